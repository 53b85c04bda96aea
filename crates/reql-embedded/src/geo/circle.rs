//! Circles, which are polygons with many vertices.

use std::f64::consts::FRAC_PI_2;

use super::ellipsoid::Ellipsoid;
use super::geojson::{self, LonLat};
use crate::budget::fuel;
use crate::datum::{Datum, display_g20};
use crate::error::{Error, Result};

/// The units of work that a corner takes.
const CORNER: usize = 40;

/// The arguments of `r.circle`.
#[derive(Debug, Clone, Copy)]
pub struct Circle {
    /// The center.
    pub center: LonLat,
    /// The radius in meters.
    pub radius: f64,
    /// The number of corners that approximate the circle; at least one.
    pub vertices: u32,
    /// The ellipsoid on which distances are measured.
    pub ellipsoid: Ellipsoid,
}

/// Computes `r.circle`: a polygon if it is to be filled, else a line.
pub fn circle(circle: &Circle, fill: bool) -> Result<Datum> {
    let points = circle.points()?;
    if fill { geojson::polygon(&points) } else { geojson::line(&points) }
}

impl Circle {
    /// Fails unless the radius is positive and stays on the near side of the ellipsoid.
    pub fn check_radius(&self) -> Result<()> {
        if self.radius <= 0.0 {
            return Err(Error::logic("Radius must be positive"));
        }
        let limit = FRAC_PI_2 * self.ellipsoid.equator.min(self.ellipsoid.poles());
        if self.radius >= limit {
            return Err(Error::logic(format!(
                "Radius must be smaller than a quarter of the circumference along the minor axis of the \
                 reference ellipsoid.  Got {}m, but must be smaller than {}m.",
                display_g20(self.radius),
                display_g20(limit)
            )));
        }
        Ok(())
    }

    /// Returns the corners; the first one comes again at the end.
    pub(super) fn points(&self) -> Result<Vec<LonLat>> {
        self.check_radius()?;
        let _aside = fuel::aside(self.vertices as usize * size_of::<LonLat>())?;
        let step = 360.0 / f64::from(self.vertices);
        let corner = |i| {
            fuel::spend(CORNER)?;
            Ok(self.ellipsoid.destination(self.center, -180.0 + step * f64::from(i), self.radius))
        };
        (0..self.vertices).chain(0..self.vertices.min(1)).map(corner).collect()
    }
}
