//! GeoJSON objects as values: building, checking and reading them (RethinkDB's `geo/geojson.cc`).

use super::sphere::{Line, Polygon, Ring, Vector};
use crate::budget::fuel;
use crate::datum::pseudo::{self, GEOMETRY, Literals, REQL_TYPE};
use crate::datum::text::until_nul;
use crate::datum::{Array, Datum, ObjectBuilder, display_g20};
use crate::error::{Error, Result};

/// Units of work that it takes to turn a position into a point of the sphere.
const VERTEX: usize = 4;

/// Bytes that a shape takes for each of its packed coordinates: its points, and an index of its edges.
const GROWTH: usize = 8;

/// A position in degrees, as the client wrote it: it may lie anywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LonLat {
    /// Degrees east of Greenwich.
    pub longitude: f64,
    /// Degrees north of the equator.
    pub latitude: f64,
}

/// A geometry, ready for computing.
#[derive(Debug, Clone)]
pub enum Shape {
    /// `Point`
    Point(Vector),
    /// `LineString`
    Line(Line),
    /// `Polygon`
    Polygon(Polygon),
}

/// Computes `r.geojson`: checks a GeoJSON object and makes it a geometry.
pub fn from_geojson(geojson: &Datum) -> Result<Datum> {
    validate(geojson)?;
    let mut fields = ObjectBuilder::from(geojson.as_object()?.clone());
    if fields.insert(REQL_TYPE, Datum::str(GEOMETRY)).is_some() {
        return Err(Error::logic(format!("GeoJSON object already had a {REQL_TYPE} field.")));
    }
    fields.remove("bbox");
    pseudo::sanitize(fields.build(), Literals::Refused)
}

/// Computes `to_geojson`: returns the GeoJSON object of a geometry.
pub fn to_geojson(geometry: &Datum) -> Result<Datum> {
    Ok(Datum::Object(expect(geometry)?.as_object()?.clone().without(REQL_TYPE)))
}

/// Returns the value, which must be a geometry. Like RethinkDB, this takes any pseudo-type for one; a time is
/// noticed by the fields that it lacks.
pub fn expect(geometry: &Datum) -> Result<&Datum> {
    if geometry.reql_type().is_some() {
        Ok(geometry)
    } else {
        Err(Error::logic(format!("Not a {GEOMETRY} pseudotype: `{}`.", geometry.printable()?.trunc_print())))
    }
}

/// Computes `r.point`.
pub fn point(longitude: f64, latitude: f64) -> Result<Datum> {
    checked("Point", position(LonLat { longitude, latitude })?)
}

/// Computes `r.line`.
pub fn line(points: &[LonLat]) -> Result<Datum> {
    checked("LineString", positions(points)?)
}

/// Computes `r.polygon`; closes the ring if it is open.
pub fn polygon(shell: &[LonLat]) -> Result<Datum> {
    checked("Polygon", Datum::array(vec![ring(shell)?]))
}

/// Returns a polygon with holes, unchecked, for [`Shape::of`] to read.
pub(super) fn unchecked_polygon(rings: &[Vec<LonLat>]) -> Result<Datum> {
    let rings = rings.iter().map(|points| ring(points)).collect::<Result<_>>()?;
    Ok(object("Polygon", Datum::array(rings)))
}

/// Returns the points of a line, which `fill` makes the shell of a polygon.
pub fn points(line: &Datum) -> Result<Vec<LonLat>> {
    let line = expect(line)?;
    expect_type(line, "LineString")?;
    let coordinates = line.field("coordinates")?;
    coordinates.as_array()?.iter().map(|position| LonLat::of_position(&position)).collect()
}

/// Returns a geometry of this type, checked.
pub(super) fn checked(kind: &str, coordinates: Datum) -> Result<Datum> {
    let geometry = object(kind, coordinates);
    validate(&geometry)?;
    Ok(geometry)
}

fn object(kind: &str, coordinates: Datum) -> Datum {
    Datum::object([
        (REQL_TYPE, Datum::str(GEOMETRY)),
        ("coordinates", coordinates),
        ("type", Datum::str(kind)),
    ])
}

fn position(point: LonLat) -> Result<Datum> {
    Ok(Datum::array(vec![Datum::num(point.longitude)?, Datum::num(point.latitude)?]))
}

fn positions(points: &[LonLat]) -> Result<Datum> {
    /// Bytes that a position takes: an array of two numbers.
    const POSITION: usize = 160;
    fuel::spend(points.len())?;
    let _aside = fuel::aside(points.len().saturating_mul(POSITION))?;
    Ok(Datum::array(points.iter().map(|point| position(*point)).collect::<Result<_>>()?))
}

fn ring(points: &[LonLat]) -> Result<Datum> {
    if is_open(points) { positions(&[points, &points[..1]].concat()) } else { positions(points) }
}

/// Returns true if the first point has to come again to close the ring.
pub fn is_open(points: &[LonLat]) -> bool {
    matches!(points, [first, .., last] if first != last)
}

fn validate(geojson: &Datum) -> Result<()> {
    match geojson.as_object()?.get("crs") {
        None | Some(Datum::Null) => Shape::of(geojson).map(drop),
        Some(_) => Err(Error::logic(
            "Non-default coordinate reference systems are not supported in GeoJSON objects.  Make sure the \
             `crs` field of the geometry is null or non-existent.",
        )),
    }
}

impl LonLat {
    /// Reads a point given as an argument: a geometry, or an array of two numbers.
    pub fn of_argument(argument: &Datum) -> Result<Self> {
        if argument.is_ptype(GEOMETRY) {
            expect_type(argument, "Point")?;
            return LonLat::of_position(&argument.field("coordinates")?);
        }
        let pair = argument.as_array()?;
        match (pair.get(0), pair.get(1), pair.len()) {
            (Some(longitude), Some(latitude), 2) => {
                Ok(LonLat { longitude: longitude.as_num()?, latitude: latitude.as_num()? })
            }
            (_, _, len) => Err(Error::logic(format!(
                "Expected point coordinate pair.  Got {len} element array instead of a 2 element one."
            ))),
        }
    }

    /// Reads a position in GeoJSON's coordinates.
    fn of_position(position: &Datum) -> Result<Self> {
        let coordinates = position.as_array()?;
        let len = coordinates.len();
        match (coordinates.get(0), coordinates.get(1)) {
            (Some(longitude), Some(latitude)) if len == 2 => {
                Ok(LonLat { longitude: longitude.as_num()?, latitude: latitude.as_num()? })
            }
            _ if len < 2 => Err(Error::logic("Too few coordinates.  Need at least longitude and latitude.")),
            _ if len == 3 => Err(Error::logic(
                "A third altitude coordinate in GeoJSON positions was found, but is not supported.",
            )),
            _ => Err(Error::logic(format!(
                "Too many coordinates.  GeoJSON position should have no more than three coordinates, but got \
                 {len}."
            ))),
        }
    }

    /// Returns the point of the sphere. Fails if there is none.
    pub(super) fn on_sphere(self) -> Result<Vector> {
        let LonLat { longitude, latitude } = self;
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(Error::logic(format!(
                "Longitude must be between -180 and 180.  Got {}.",
                display_g20(longitude)
            )));
        }
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(Error::logic(format!(
                "Latitude must be between -90 and 90.  Got {}.",
                display_g20(latitude)
            )));
        }
        // Both names of this meridian must give one point, which they don't after rounding.
        let longitude = if longitude == 180.0 { -180.0 } else { longitude };
        Ok(Vector::from_degrees(longitude, latitude))
    }
}

impl Shape {
    /// Reads a geometry or a GeoJSON object.
    pub fn of(geojson: &Datum) -> Result<Self> {
        let kind = geojson.field("type")?;
        let kind = kind.as_str()?;
        let coordinates = geojson.field("coordinates")?;
        let _aside = fuel::aside(GROWTH.saturating_mul(coordinates.size()))?;
        match &**kind {
            "Point" => Ok(Shape::Point(vertex(&coordinates)?)),
            "LineString" => Ok(Shape::Line(line_of(coordinates.as_array()?)?)),
            "Polygon" => Ok(Shape::Polygon(polygon_of(coordinates.as_array()?)?)),
            "$reql_LatLngRect$" => Err(Error::logic(
                "LatLngRect cannot be generated by a user query.  The `$reql_LatLngRect$` type is reserved \
                 for internal use.",
            )),
            "MultiPoint" | "MultiLineString" | "MultiPolygon" | "GeometryCollection" | "Feature"
            | "FeatureCollection" => Err(Error::logic(format!("GeoJSON type `{kind}` is not supported."))),
            _ => Err(Error::logic(format!("Unrecognized GeoJSON type `{}`.", until_nul(kind)))),
        }
    }
}

/// Reads the point of a `Point`.
pub(super) fn to_point(geojson: &Datum) -> Result<Vector> {
    expect_type(geojson, "Point")?;
    vertex(&geojson.field("coordinates")?)
}

/// Reads the region of a `Polygon`.
pub(super) fn to_polygon(geojson: &Datum) -> Result<Polygon> {
    expect_type(geojson, "Polygon")?;
    polygon_of(geojson.field("coordinates")?.as_array()?)
}

fn expect_type(geojson: &Datum, expected: &str) -> Result<()> {
    let kind = geojson.field("type")?;
    let kind = kind.as_str()?;
    if **kind == *expected {
        Ok(())
    } else {
        Err(Error::logic(format!("Expected geometry of type `{expected}` but found `{}`.", until_nul(kind))))
    }
}

fn vertex(position: &Datum) -> Result<Vector> {
    LonLat::of_position(position)?.on_sphere()
}

fn vertices(positions: &Array) -> Result<Vec<Vector>> {
    let vertex = |position: Datum| {
        fuel::spend(VERTEX)?;
        vertex(&position)
    };
    positions.iter().map(vertex).collect()
}

fn line_of(positions: &Array) -> Result<Line> {
    if positions.len() < 2 {
        return Err(Error::logic("GeoJSON LineString must have at least two positions."));
    }
    Line::new(vertices(positions)?)
        .ok_or_else(|| Error::logic("Invalid LineString.  Are there antipodal or duplicate vertices?"))
}

fn polygon_of(rings: &Array) -> Result<Polygon> {
    let rings = rings.iter().map(|positions| ring_of(positions.as_array()?)).collect::<Result<_>>()?;
    Polygon::new(rings).ok_or_else(|| {
        Error::logic("Some edges in GeoJSON polygon could not be used.  Are they intersecting?")
    })
}

fn ring_of(positions: &Array) -> Result<Ring> {
    if positions.len() < 4 {
        return Err(Error::logic("GeoJSON LinearRing must have at least four positions."));
    }
    let mut vertices = vertices(positions)?;
    if vertices.first() != vertices.last() {
        return Err(Error::logic("First and last vertex of GeoJSON LinearRing must be identical."));
    }
    vertices.pop();
    Ring::new(vertices).filter(Ring::is_simple).ok_or_else(|| {
        Error::logic(
            "Invalid LinearRing.  Are there antipodal or duplicate vertices? Is it self-intersecting?",
        )
    })
}
