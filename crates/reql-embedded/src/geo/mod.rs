//! Geometry: computations on GeoJSON objects.
//!
//! [`geojson`] reads and writes them, [`sphere`] decides how they relate to each other, [`ellipsoid`]
//! measures distances on the earth, and [`index`] finds them: by cells of a grid that covers the sphere
//! ([`cell`]), or in the order of their distance ([`nearest`]). Nothing here evaluates a term; all functions
//! work on values.

pub mod cell;
pub mod ellipsoid;
pub mod geojson;
pub mod index;
pub mod nearest;
pub mod sphere;

mod circle;
mod relate;

pub use circle::{Circle, circle};
pub use ellipsoid::{Ellipsoid, Unit};
pub use geojson::{LonLat, Shape};
pub use relate::{Relation, distance, expect_polygon, expect_shell, subtract};
