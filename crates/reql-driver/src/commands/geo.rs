//! Geometry.

use super::{Distance, GetIntersecting, GetNearest, methods};
use crate::term::{Argument, Term};

methods! {
    /// Returns the geometry as GeoJSON: `r.point(2, 49).to_geojson()`.
    to_geojson() -> Term = ToGeojson with;
    /// Returns the distance of two geometries: `r.point(2, 49).distance(r.point(3, 49))`.
    distance<K>(other: Argument<K>) -> Distance = Distance with;
    /// Tells if geometries touch, or keeps the rows that do: `area.intersects(r.point(2, 49))`.
    intersects<K>(other: Argument<K>) -> Term = Intersects with;
    /// Tells if one geometry contains another, or keeps the rows that do: `area.includes(r.point(2, 49))`.
    includes<K>(other: Argument<K>) -> Term = Includes with;
    /// Makes a polygon of a closed line: `line.fill()`.
    fill() -> Term = Fill with;
    /// Cuts a hole into a polygon: `area.polygon_sub(hole)`.
    polygon_sub<K>(hole: Argument<K>) -> Term = PolygonSub with;
    /// Returns the documents whose geometry touches another: `places.get_intersecting(area).index("where")`.
    get_intersecting<K>(geometry: Argument<K>) -> GetIntersecting = GetIntersecting with;
    /// Returns the documents nearest to a point: `places.get_nearest(r.point(2, 49)).index("where")`.
    get_nearest<K>(point: Argument<K>) -> GetNearest = GetNearest with;
}
