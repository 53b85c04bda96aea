//! Lines: chains of edges.

use super::EDGE;
use super::edge::{self, Crossing};
use super::extent::Extent;
use super::index::EdgeIndex;
use super::vector::Vector;
use crate::budget::fuel;

/// A chain of at least one edge.
#[derive(Debug, Clone)]
pub struct Line {
    vertices: Vec<Vector>,
    extent: Extent,
    index: EdgeIndex,
}

impl Line {
    /// Makes the line through these points; `None` if there are fewer than two, or if neighbours are the same
    /// or antipodal.
    pub fn new(vertices: Vec<Vector>) -> Option<Self> {
        let valid = vertices.len() >= 2
            && vertices.iter().all(|vertex| vertex.is_unit())
            && vertices.windows(2).all(|pair| pair[0] != pair[1] && pair[0] != -pair[1]);
        if !valid {
            return None;
        }
        let edges = vertices.windows(2).map(|pair| (pair[0], pair[1]));
        let extent = edges.clone().fold(Extent::EMPTY, |all, (a, b)| all.union(Extent::of_edge(a, b)));
        let index = EdgeIndex::new(edges);
        Some(Line { vertices, extent, index })
    }

    /// Returns the first vertex.
    pub fn start(&self) -> Vector {
        self.vertices[0]
    }

    /// Returns a box around the line.
    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    /// Returns the edges in order.
    pub fn edges(&self) -> impl ExactSizeIterator<Item = (Vector, Vector)> + Clone + '_ {
        self.vertices.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// Returns the nearest point of the line.
    pub fn project(&self, point: Vector) -> Vector {
        project(point, self.edges()).unwrap_or(self.start())
    }

    /// Returns true if the lines have a point in common.
    pub fn intersects(&self, other: &Line) -> bool {
        self.extent.meets(&other.extent)
            && other.edges().any(|(c, d)| {
                self.index.any(c, d, |i| {
                    edge::crossing(self.vertices[i], self.vertices[i + 1], c, d) != Crossing::Apart
                })
            })
    }
}

/// Returns the nearest point of any of these edges.
pub(super) fn project(point: Vector, edges: impl Iterator<Item = (Vector, Vector)>) -> Option<Vector> {
    let mut best = f64::INFINITY;
    let mut nearest = None;
    for (a, b) in edges {
        if !fuel::burn(EDGE) {
            break;
        }
        let distance = edge::distance(point, a, b);
        if distance < best {
            best = distance;
            nearest = Some((a, b));
        }
    }
    nearest.map(|(a, b)| edge::nearest(point, a, b))
}
