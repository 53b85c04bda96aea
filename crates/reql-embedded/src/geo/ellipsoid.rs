//! Distances on the earth, or on any other ellipsoid of revolution.

use geographiclib_rs::{DirectGeodesic, Geodesic, InverseGeodesic};

use super::geojson::LonLat;
use crate::datum::Datum;
use crate::datum::text::until_nul;
use crate::error::{Error, Result};

/// An ellipsoid of revolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ellipsoid {
    /// The radius of the equator, in meters; positive.
    pub equator: f64,
    /// By what part of it the poles are nearer to the center; in `[0, 1)`.
    pub flattening: f64,
}

impl Ellipsoid {
    /// The earth as GPS sees it: the default of every term.
    pub const WGS84: Ellipsoid = Ellipsoid { equator: 6_378_137.0, flattening: 1.0 / 298.257_223_563 };
    /// A sphere of radius one.
    pub const UNIT_SPHERE: Ellipsoid = Ellipsoid { equator: 1.0, flattening: 0.0 };

    /// The `geo_system` option: a name, or an object with the radius `a` and the flattening `f`.
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

    /// The distance of the poles from the center, in meters.
    pub fn poles(&self) -> f64 {
        (1.0 - self.flattening) * self.equator
    }

    /// The length of the shortest way between two points, in meters.
    pub fn distance(&self, from: LonLat, to: LonLat) -> f64 {
        self.geodesic().inverse(from.latitude, from.longitude, to.latitude, to.longitude)
    }

    /// Where one arrives after this many meters in a direction, given in degrees east of north.
    pub fn destination(&self, from: LonLat, azimuth: f64, meters: f64) -> LonLat {
        let (latitude, longitude) = self.geodesic().direct(from.latitude, from.longitude, azimuth, meters);
        LonLat { longitude, latitude }
    }

    fn geodesic(&self) -> Geodesic {
        Geodesic::new(self.equator, self.flattening)
    }
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
    /// The `unit` option.
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

    /// A length in this unit as meters.
    pub fn to_meters(self, length: f64) -> f64 {
        length * self.meters()
    }

    /// A length in meters as this unit.
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
