//! Geometry on the unit sphere: points, lines and polygons whose edges are geodesics.
//!
//! Every test is exact. Orientation is decided with adaptive precision. Collinear points are decided by an
//! infinitesimal displacement of each of them, so that no two answers contradict each other. Google's S2,
//! which RethinkDB embeds, does the same, so shapes that merely touch give RethinkDB's answers.

mod assemble;
mod edge;
mod extent;
mod index;
mod line;
mod polygon;
mod ring;
mod sign;
mod vector;

pub use line::Line;
pub use polygon::Polygon;
pub use ring::Ring;
pub use vector::Vector;

/// The units of work that looking at an edge takes.
const EDGE: usize = 2;
