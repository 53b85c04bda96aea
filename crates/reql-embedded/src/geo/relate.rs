//! The computations of the terms that take two geometries.

use super::ellipsoid::Ellipsoid;
use super::geojson::{self, LonLat, Shape};
use super::sphere::{Polygon, Vector};
use crate::datum::Datum;
use crate::error::{Error, Result};

/// A relation of one geometry to another.
#[derive(Debug, Clone)]
pub enum Relation {
    /// `intersects`: the geometry has a point in common with this shape.
    Intersects(Shape),
    /// `includes`: the geometry is a polygon in which this shape lies.
    Includes(Shape),
}

impl Relation {
    /// Returns true if the geometry has this relation.
    pub fn holds(&self, geometry: &Datum) -> Result<bool> {
        let geometry = geojson::expect(geometry)?;
        Ok(match self {
            Relation::Intersects(shape) => Shape::of(geometry)?.intersects(shape),
            Relation::Includes(shape) => polygon_includes(&geojson::to_polygon(geometry)?, shape),
        })
    }
}

/// Computes `distance` in meters. Fails unless one of the geometries is a point.
pub fn distance(first: &Datum, second: &Datum, ellipsoid: Ellipsoid) -> Result<f64> {
    let (first, second) = (geojson::expect(first)?, geojson::expect(second)?);
    let (point, other) =
        if **first.field("type")?.as_str()? == *"Point" { (first, second) } else { (second, first) };
    let point = geojson::to_point(point)?;
    Shape::of(other)?.distance(point, ellipsoid)
}

/// Computes `polygon_sub`: cuts the second polygon out of the first. Neither may have holes, which the caller
/// has to check with [`expect_shell`].
pub fn subtract(polygon: &Datum, hole: &Datum) -> Result<Datum> {
    if !polygon_includes(&geojson::to_polygon(polygon)?, &Shape::of(hole)?) {
        return Err(Error::logic("The second argument to `polygon_sub` is not contained in the first one."));
    }
    let mut rings = polygon.field("coordinates")?.as_array()?.clone().into_vec();
    let hole = hole.field("coordinates")?.as_array()?.get(0);
    rings.push(hole.ok_or_else(|| Error::missing("Index out of bounds: 0"))?);
    geojson::checked("Polygon", Datum::array(rings))
}

/// Checks that a geometry is a polygon.
pub fn expect_polygon(argument: &Datum) -> Result<()> {
    geojson::to_polygon(geojson::expect(argument)?).map(drop)
}

/// Returns an argument of `polygon_sub`, which must be a polygon without holes.
pub fn expect_shell(argument: &Datum) -> Result<&Datum> {
    let polygon = geojson::expect(argument)?;
    let kind = polygon.field("type")?;
    let kind = kind.as_str()?;
    if **kind != *"Polygon" {
        return Err(Error::logic(format!("Expected a Polygon but found a {kind}.")));
    }
    if polygon.field("coordinates")?.as_array()?.len() > 1 {
        return Err(Error::logic("Expected a Polygon with only an outer shell.  This one has holes."));
    }
    Ok(polygon)
}

impl Shape {
    /// Returns true if the shapes have a point in common. Polygons that only touch have none.
    pub fn intersects(&self, other: &Shape) -> bool {
        match (self, other) {
            (Shape::Point(a), Shape::Point(b)) => a == b,
            (Shape::Point(point), Shape::Line(line)) | (Shape::Line(line), Shape::Point(point)) => {
                line.project(*point) == *point
            }
            (Shape::Point(point), Shape::Polygon(polygon))
            | (Shape::Polygon(polygon), Shape::Point(point)) => meets_point(polygon, *point),
            (Shape::Line(a), Shape::Line(b)) => b.intersects(a),
            (Shape::Line(line), Shape::Polygon(polygon)) | (Shape::Polygon(polygon), Shape::Line(line)) => {
                polygon.meets_line(line)
            }
            (Shape::Polygon(a), Shape::Polygon(b)) => b.intersects(a),
        }
    }

    /// Returns the distance from a point, in meters; zero inside of a polygon. The nearest point is sought on
    /// the sphere, so over large distances it may be another than the nearest one on the ellipsoid.
    pub fn distance(&self, from: Vector, ellipsoid: Ellipsoid) -> Result<f64> {
        let nearest = match self {
            Shape::Point(point) => Some(*point),
            Shape::Line(line) => Some(line.project(from)),
            Shape::Polygon(polygon) => polygon.project(from),
        };
        let nearest = nearest
            .ok_or_else(|| Error::logic("The polygon is empty. It must have at least an outer shell."))?;
        let place = |point: Vector| LonLat { longitude: point.longitude(), latitude: point.latitude() };
        Ok(if nearest == from { 0.0 } else { ellipsoid.distance(place(from), place(nearest)) })
    }
}

fn polygon_includes(polygon: &Polygon, shape: &Shape) -> bool {
    match shape {
        Shape::Point(point) => meets_point(polygon, *point),
        Shape::Line(line) => polygon.contains_line(line),
        Shape::Polygon(other) => polygon.contains(other),
    }
}

/// Returns true if the point is inside or on the rim.
fn meets_point(polygon: &Polygon, point: Vector) -> bool {
    polygon.project(point) == Some(point)
}
