//! Distances on the earth, or on any other ellipsoid of revolution.

use geographiclib_rs::{DirectGeodesic, Geodesic, InverseGeodesic, capability};

use super::geojson::LonLat;
use crate::datum::Datum;
use crate::datum::text::until_nul;
use crate::error::{Error, Result};

/// An ellipsoid of revolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ellipsoid {
    /// The radius of the equator, in meters; positive.
    pub equator: f64,
    /// The part of the equator's radius by which the poles are nearer to the center; in `[0, 1)`.
    pub flattening: f64,
}

impl Ellipsoid {
    /// The earth as GPS models it: the default of every term.
    pub const WGS84: Ellipsoid = Ellipsoid { equator: 6_378_137.0, flattening: 1.0 / 298.257_223_563 };
    /// A sphere of radius one.
    pub const UNIT_SPHERE: Ellipsoid = Ellipsoid { equator: 1.0, flattening: 0.0 };

    /// Reads the `geo_system` option: a name, or an object with the radius `a` and the flattening `f`.
    pub fn of_option(option: &Datum) -> Result<Self> {
        if let Datum::Object(_) = option {
            let (equator, flattening) = (option.field("a")?.as_num()?, option.field("f")?.as_num()?);
            if equator <= 0.0 {
                return Err(Error::logic("The equator radius `a` must be positive."));
            }
            if !(0.0..1.0).contains(&flattening) {
                return Err(Error::logic("The flattening `f` must be in the range [0, 1)."));
            }
            return Ok(Ellipsoid { equator, flattening });
        }
        match &**option.as_str()? {
            "WGS84" => Ok(Ellipsoid::WGS84),
            "unit_sphere" => Ok(Ellipsoid::UNIT_SPHERE),
            name => Err(Error::logic(format!(
                "Unrecognized geo system \"{name}\" (valid options: \"WGS84\", \"unit_sphere\")."
            ))),
        }
    }

    /// Returns the distance of the poles from the center, in meters.
    pub fn poles(&self) -> f64 {
        (1.0 - self.flattening) * self.equator
    }

    /// Returns the length of the shortest way between two points, in meters.
    pub fn distance(&self, from: LonLat, to: LonLat) -> f64 {
        let geodesic = self.geodesic();
        if from.latitude == to.latitude && from.latitude.abs() == 90.0 {
            return around_pole(&geodesic, to.longitude - from.longitude);
        }
        geodesic.inverse(from.latitude, from.longitude, to.latitude, to.longitude)
    }

    /// Returns the point at a distance of `meters` in a direction, given in degrees east of north.
    pub fn destination(&self, from: LonLat, azimuth: f64, meters: f64) -> LonLat {
        let (latitude, longitude) = self.geodesic().direct(from.latitude, from.longitude, azimuth, meters);
        LonLat { longitude, latitude }
    }

    fn geodesic(&self) -> Geodesic {
        Geodesic::new(self.equator, self.flattening)
    }
}

/// Returns the distance of two points at the same pole, whose longitudes differ by `longitudes` degrees.
///
/// The library that RethinkDB carries (`geo/karney/geodesic.cc`) keeps poles a hair away from the axis, so
/// these are two points. Its later versions know better; the steps of the earlier one are taken here.
fn around_pole(geodesic: &Geodesic, longitudes: f64) -> f64 {
    let longitudes = if longitudes.abs() > 180.0 { 360.0 - longitudes.abs() } else { longitudes.abs() };
    // The reduced latitude, and the place on the way from the first point to the second.
    let radius = geodesic._f1.hypot(geodesic.tiny_);
    let (sine, cosine) = (-geodesic._f1 / radius, geodesic.tiny_ / radius);
    let turned = longitudes.to_radians().cos() * cosine;
    let angle = (turned * sine - sine * cosine).max(0.0).atan2(turned * cosine + sine * sine);
    let stretch = (1.0 + geodesic._ep2 * sine * sine).sqrt();
    let third_flattening = geodesic.f / (2.0 - geodesic.f);
    let (length, ..) = geodesic._Lengths(
        third_flattening,
        angle,
        sine,
        turned,
        stretch,
        sine,
        cosine,
        stretch,
        cosine,
        cosine,
        capability::DISTANCE,
        &mut [0.0; 7],
        &mut [0.0; 7],
    );
    length * geodesic._b
}

/// A unit of length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// `m`
    #[default]
    Meter,
    /// `km`
    Kilometer,
    /// `mi`
    Mile,
    /// `nm`
    NauticalMile,
    /// `ft`
    Foot,
}

impl Unit {
    /// Reads the `unit` option.
    pub fn of_option(option: &Datum) -> Result<Self> {
        match &**option.as_str()? {
            "m" => Ok(Unit::Meter),
            "km" => Ok(Unit::Kilometer),
            "mi" => Ok(Unit::Mile),
            "nm" => Ok(Unit::NauticalMile),
            "ft" => Ok(Unit::Foot),
            name => Err(Error::logic(format!("Unrecognized distance unit `{}`.", until_nul(name)))),
        }
    }

    /// Converts a length in this unit to meters.
    pub fn to_meters(self, length: f64) -> f64 {
        length * self.meters()
    }

    /// Converts a length in meters to this unit.
    pub fn from_meters(self, length: f64) -> f64 {
        // The factor first, then the product: this rounds as RethinkDB does.
        length * (1.0 / self.meters())
    }

    fn meters(self) -> f64 {
        match self {
            Unit::Meter => 1.0,
            Unit::Kilometer => 1000.0,
            Unit::Mile => 1609.344,
            Unit::NauticalMile => 1852.0,
            Unit::Foot => 0.3048,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_a_pole_are_as_far_apart_as_rethinkdb_says() {
        let distance = |latitude, from, to| {
            let point = |longitude| LonLat { longitude, latitude };
            Ellipsoid::WGS84.distance(point(from), point(to))
        };
        for (from, to) in [(0.0, 1.0), (1.0, 0.0), (-180.0, 179.0)] {
            assert_eq!(distance(90.0, from, to), 1.453_912_692_400_034_7e-151);
            assert_eq!(distance(-90.0, from, to), 1.453_912_692_400_034_7e-151);
        }
        assert_eq!(distance(90.0, 7.0, 7.0), 0.0);
    }
}
