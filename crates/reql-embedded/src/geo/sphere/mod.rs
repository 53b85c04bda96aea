//! Geometry on the unit sphere: points, lines and polygons whose edges are geodesics.
//!
//! Every test is exact. Orientation is decided with adaptive precision, and where points are collinear, by an
//! infinitesimal displacement of each of them, so that no two answers contradict each other. That is how
//! Google's S2 does it, which RethinkDB embeds, and it is what makes shapes that merely touch give
//! RethinkDB's answers.

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

/// Units of work that looking at an edge takes.
const EDGE: usize = 2;
