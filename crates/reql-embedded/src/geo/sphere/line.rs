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
    /// The line through these points; `None` when there are fewer than two, or when neighbours are the same
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

    /// Where it begins.
    pub fn start(&self) -> Vector {
        self.vertices[0]
    }

    /// A box around it.
    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    /// Its edges in order.
    pub fn edges(&self) -> impl ExactSizeIterator<Item = (Vector, Vector)> + Clone + '_ {
        self.vertices.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// Its point that is nearest.
    pub fn project(&self, point: Vector) -> Vector {
        project(point, self.edges()).unwrap_or(self.start())
    }

    /// Whether the lines have a point in common.
    pub fn intersects(&self, other: &Line) -> bool {
        self.extent.meets(&other.extent)
            && other.edges().any(|(c, d)| {
                self.index.any(c, d, |i| {
                    edge::crossing(self.vertices[i], self.vertices[i + 1], c, d) != Crossing::Apart
                })
            })
    }
}

/// The point of any of these edges that is nearest.
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
