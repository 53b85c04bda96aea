//! Tests of geometry: `near`, `within`, `intersects`.

use reql::{Args, Term, r};
use serde_json::Value;

use crate::error::Error;
use crate::query::syntax::{Member, Reader};

/// The largest distance of a search, in meters: half of the earth's circumference.
const FARTHEST: f64 = 20_100_000.0;
/// The units of distances, and their lengths in meters.
const UNITS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("mi", 1609.344), ("ft", 0.3048)];

/// The types of geometries that the database supports.
const KINDS: [&str; 3] = ["Point", "LineString", "Polygon"];

/// A test of a geometry.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::query) enum Geometry {
    Near(Near),
    /// The geometry lies within this polygon, in GeoJSON.
    Within(Value),
    /// The geometry intersects this one, in GeoJSON.
    Intersects(Value),
}

/// A point and a distance from it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::query) struct Near {
    longitude: f64,
    latitude: f64,
    meters: f64,
}

impl Geometry {
    pub(super) fn read(op: &str, reader: &mut Reader<'_>) -> Result<Self, Error> {
        if op == "near" {
            return Near::read(reader).map(Geometry::Near);
        }
        let start = reader.at();
        match reader.member()? {
            Member::Json(value) if is_geojson(&value) => Ok(match op {
                "within" => Geometry::Within(value),
                _ => Geometry::Intersects(value),
            }),
            _ => {
                Err(reader.wrong(start, "a Point, a LineString or a Polygon is expected, as GeoJSON has it"))
            }
        }
    }

    /// Returns a term that fails if the GeoJSON is invalid, or of the wrong type.
    pub(super) fn check(&self) -> Term {
        match self {
            Geometry::Near(near) => near.point(),
            Geometry::Within(area) => r.geojson(area).includes(r.point(0, 0)),
            Geometry::Intersects(other) => r.geojson(other),
        }
    }

    pub(super) fn holds(&self, own: &Term) -> Term {
        match self {
            Geometry::Near(near) => near.distance(own).le(near.meters),
            Geometry::Within(area) => r.geojson(area).includes(own),
            Geometry::Intersects(other) => own.intersects(r.geojson(other)),
        }
    }

    /// Returns a geometry that intersects all geometries that pass the test, for a query of an index; `None`
    /// if there is none.
    pub(in crate::query) fn cover(&self) -> Option<Term> {
        match self {
            Geometry::Near(near) => near.cover(),
            Geometry::Within(place) | Geometry::Intersects(place) => Some(r.geojson(place)),
        }
    }
}

/// Returns whether a value looks like GeoJSON of a supported type. The database checks it in full.
fn is_geojson(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| KINDS.contains(&kind)) && value.get("coordinates").is_some_and(Value::is_array)
}

impl Near {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let start = reader.at();
        let parts = reader.bracketed(3, Reader::text_member)?;
        let wrong = |reason: &str| reader.wrong(start, reason);
        let [longitude, latitude, distance] = &parts[..] else {
            return Err(wrong("it must look like `near.(10.75,59.91,500m)`: longitude, latitude, distance"));
        };
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let degrees = |text: &str, most: f64| number(text).filter(|number| number.abs() <= most);
        let longitude = degrees(longitude, 180.0).ok_or_else(|| wrong("a longitude is from -180 to 180"))?;
        let latitude = degrees(latitude, 90.0).ok_or_else(|| wrong("a latitude is from -90 to 90"))?;
        let unit = distance.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let length = distance.get(..distance.len() - unit.len()).and_then(number);
        let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, meters)| meters);
        let meters = length.zip(unit).map(|(length, unit)| length * unit);
        let meters = meters.filter(|meters| (0.0..=FARTHEST).contains(meters));
        let reason = "a distance is such as 500m, 1.5km, 3mi, 100ft, up to 20100km";
        Ok(Near { longitude, latitude, meters: meters.ok_or_else(|| wrong(reason))? })
    }

    fn point(&self) -> Term {
        r.point(self.longitude, self.latitude)
    }

    /// Returns the distance of a geometry in meters.
    pub(in crate::query) fn distance(&self, own: &Term) -> Term {
        own.distance(self.point()).into()
    }

    /// Returns a bounding box. The database's circles are inscribed polygons, which miss points near the
    /// circle's edge.
    fn cover(&self) -> Option<Term> {
        // The shortest degree of latitude has 110,574 m, and the shortest of longitude at the equator 111,319
        // m.
        let height = self.meters / 110_500.0 + 1e-6;
        let (south, north) = (self.latitude - height, self.latitude + height);
        let narrowest = south.abs().max(north.abs()).to_radians().cos();
        if narrowest <= 0.01 || south.abs().max(north.abs()) >= 89.0 {
            return None;
        }
        let width = self.meters / (111_300.0 * narrowest) + 1e-6;
        let (west, east) = (self.longitude - width, self.longitude + width);
        // Sides of a polygon are geodesics, which bend towards the poles. And no polygon can cross the date
        // line.
        if width > 1.0 || west < -180.0 || east > 180.0 {
            return None;
        }
        // An upper bound on the bend of a side of two degrees.
        let bend = 0.02 * width + 1e-6;
        let corners =
            [[west, south - bend], [east, south - bend], [east, north + bend], [west, north + bend]];
        Some(r.polygon(Args::from_iter(corners.map(|corner| r.expr(corner)))))
    }
}
