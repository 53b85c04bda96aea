//! `get_nearest`: searches growing circles until enough documents are found (RethinkDB's `geo_traversal.cc`).

use std::f64::consts::PI;

use super::circle::Circle;
use super::ellipsoid::Ellipsoid;
use super::geojson::{self, LonLat, Shape};
use super::sphere::Vector;
use crate::error::{Error, Result};

/// The first radius, as a part of the equator's; 10 m on the earth.
const FIRST_RADIUS: f64 = 10.0 / 6_378_137.0;
/// The documents that the next circle should bring.
const GOAL: f64 = 100.0;
/// The factor by which the radius grows if nothing was found.
const GROWTH: f64 = 2.0;
/// The corners that approximate a circle.
const VERTICES: u32 = 8;

/// A search in progress. The results of a step are the documents whose geometries intersect
/// [`shape`](Nearest::shape) and are in [`reach`](Nearest::reach), without the results of earlier steps.
/// Sorted by distance, they follow the results of the earlier steps.
#[derive(Debug, Clone)]
pub struct Nearest {
    center: LonLat,
    origin: Vector,
    ellipsoid: Ellipsoid,
    max_distance: f64,
    max_results: usize,
    found: usize,
    searched: f64,
    radius: f64,
}

impl Nearest {
    /// The default of `max_dist`, in meters.
    pub const MAX_DISTANCE: f64 = 100_000.0;
    /// The default of `max_results`.
    pub const MAX_RESULTS: usize = 100;

    /// Begins a search around a point; the distance is in meters.
    pub fn new(center: LonLat, ellipsoid: Ellipsoid, max_distance: f64, max_results: usize) -> Self {
        Nearest {
            center,
            origin: Vector::from_degrees(center.longitude, center.latitude),
            ellipsoid,
            max_distance,
            max_results,
            found: 0,
            searched: 0.0,
            radius: max_distance.min(FIRST_RADIUS * ellipsoid.equator),
        }
    }

    /// Returns the number of results that are wanted at most; the last step may bring more.
    pub fn max_results(&self) -> usize {
        self.max_results
    }

    /// Returns the shape to search in this step: a circle, without most of the circle that was searched
    /// before.
    pub fn shape(&self) -> Result<Shape> {
        let mut rings = vec![self.around(self.radius)?];
        if self.searched > 0.0 {
            rings.push(self.within(self.searched)?);
        }
        Shape::of(&geojson::unchecked_polygon(&rings)?)
    }

    /// Returns the distance of a document's geometry, if it is near enough for this step.
    pub fn reach(&self, geometry: &Shape) -> Result<Option<f64>> {
        let distance = geometry.distance(self.origin, self.ellipsoid)?;
        Ok((distance <= self.radius).then_some(distance))
    }

    /// Ends a step with this many new results. Returns true if another step is to follow.
    pub fn advance(&mut self, results: usize) -> bool {
        let area = PI * (self.radius * self.radius - self.searched * self.searched);
        let density = results as f64 / area;
        self.found += results;
        self.searched = self.radius;
        let next = if density > 0.0 {
            (GOAL / PI / density + self.searched * self.searched).sqrt()
        } else {
            self.searched * GROWTH
        };
        self.radius = next.min(self.max_distance);
        self.searched < self.max_distance && self.found < self.max_results
    }

    /// Returns a polygon around all points that are at most this far, by the measure of the ellipsoid, though
    /// its corners are on the sphere.
    fn around(&self, distance: f64) -> Result<Vec<LonLat>> {
        let Ellipsoid { equator, .. } = self.ellipsoid;
        let poles = self.ellipsoid.poles();
        let distortion = equator.max(poles) / equator.min(poles);
        self.polygon(distance * 1.01 / (PI / f64::from(VERTICES)).cos() * distortion)
    }

    /// Returns a polygon inside of which no point is farther.
    fn within(&self, distance: f64) -> Result<Vec<LonLat>> {
        self.polygon(distance * 0.99)
    }

    fn polygon(&self, radius: f64) -> Result<Vec<LonLat>> {
        let circle = Circle { center: self.center, radius, vertices: VERTICES, ellipsoid: self.ellipsoid };
        circle.points().map_err(|error| {
            Error::logic(format!(
                "The distance has become too large for continuing the indexed nearest traversal.  Consider \
                 specifying a smaller `max_dist` parameter.  ({})",
                error.message()
            ))
        })
    }
}
