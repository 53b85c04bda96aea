//! Rings: closed chains of edges, which have their inside on their left.

use super::EDGE;
use super::edge::{self, Crossing, Wedge, Wedges};
use super::extent::Extent;
use super::index::EdgeIndex;
use super::sign::{ordered, sign};
use super::vector::Vector;
use crate::budget::fuel;

/// The point at which the count of crossings begins that tells if another point is inside. Real shapes avoid
/// it.
const ORIGIN: Vector =
    Vector::new(0.004_567_599_683_568_1, 0.999_474_766_645_098_4, 0.032_083_140_009_307_655);

/// A closed chain of at least three edges.
#[derive(Debug, Clone)]
pub struct Ring {
    vertices: Vec<Vector>,
    origin_inside: bool,
    extent: Extent,
    index: EdgeIndex,
}

impl Ring {
    /// Makes the ring through these points, of which the last is not the first again. It may cross itself,
    /// see [`is_simple`](Ring::is_simple).
    pub fn new(vertices: Vec<Vector>) -> Option<Self> {
        if vertices.len() < 3 {
            return None;
        }
        let mut ring = Ring {
            index: EdgeIndex::new(pairs(&vertices)),
            vertices,
            origin_inside: false,
            extent: Extent::EMPTY,
        };
        let (before, vertex, after) = (ring.vertex(0), ring.vertex(1), ring.vertex(2));
        let vertex_inside = ordered(vertex.ortho(), before, after, vertex);
        ring.origin_inside = vertex_inside != ring.winds_around(vertex);
        ring.extent = ring.measure();
        Some(ring)
    }

    /// Returns a box around the inside: it reaches farthest along an axis on its rim, or where it covers that
    /// axis.
    fn measure(&self) -> Extent {
        let rim = counted(self.edges()).fold(Extent::EMPTY, |all, (a, b)| all.union(Extent::of_edge(a, b)));
        let axes = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)].map(|(x, y, z)| Vector::new(x, y, z));
        axes.into_iter()
            .flat_map(|axis| [axis, -axis])
            .filter(|axis| self.winds_around(*axis))
            .fold(rim, |all, axis| all.union(Extent::of_point(axis)))
    }

    /// Returns true if no vertex occurs twice and no edges cross.
    pub fn is_simple(&self) -> bool {
        let mut sorted = self.vertices.clone();
        sorted.sort();
        let distinct = sorted.windows(2).all(|pair| pair[0] != pair[1]);
        distinct
            && self.vertices.iter().all(|vertex| vertex.is_unit())
            && !self.edges().enumerate().any(|(i, (a, b))| {
                self.index.any(a, b, |j| {
                    j > i + 1 && edge::crossing(a, b, self.vertex(j), self.vertex(j + 1)) == Crossing::Proper
                })
            })
    }

    /// Returns the ring with its inside on the side that is at most half of the sphere.
    #[must_use]
    pub fn normalized(self) -> Self {
        if self.is_normalized() { self } else { self.inverted() }
    }

    /// Returns true if the inside is at most half of the sphere.
    pub fn is_normalized(&self) -> bool {
        let turn = |i: usize| {
            let (a, b, c) = (self.vertex(i), self.vertex(i + 1), self.vertex(i + 2));
            b.robust_cross(a).angle(c.robust_cross(b)) * f64::from(sign(a, b, c))
        };
        counted(0..self.vertices.len()).map(turn).sum::<f64>() >= -1e-14
    }

    /// Exchanges inside and outside.
    #[must_use]
    pub fn inverted(mut self) -> Self {
        self.vertices.reverse();
        self.origin_inside = !self.origin_inside;
        self.index = EdgeIndex::new(pairs(&self.vertices));
        self.extent = self.measure();
        self
    }

    /// Returns the vertices in order.
    pub fn vertices(&self) -> &[Vector] {
        &self.vertices
    }

    /// Returns the edges in order; the last one leads back to the first vertex.
    pub fn edges(&self) -> impl ExactSizeIterator<Item = (Vector, Vector)> + Clone + '_ {
        pairs(&self.vertices)
    }

    /// Returns a box around the inside.
    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    /// Calls `visit` with each edge that may meet `ab`, until it returns true. Returns true if it did.
    pub fn any_edge(&self, a: Vector, b: Vector, mut visit: impl FnMut(Vector, Vector) -> bool) -> bool {
        self.index.any(a, b, |i| visit(self.vertex(i), self.vertex(i + 1)))
    }

    /// Returns true if the point is inside. Of rings that share an edge or a vertex, exactly one contains
    /// each point of it.
    pub fn contains_point(&self, point: Vector) -> bool {
        self.extent.holds(point) && self.winds_around(point)
    }

    fn winds_around(&self, point: Vector) -> bool {
        counted(self.edges())
            .fold(self.origin_inside, |inside, (a, b)| inside ^ edge::crosses(ORIGIN, point, a, b))
    }

    /// Returns true if the inside of the other ring is in the inside of this one.
    pub fn contains(&self, other: &Ring) -> bool {
        if !self.may_meet(other) || !self.reaches(other.vertex(0)) {
            return false;
        }
        let mut sticks_out = false;
        let crossing = self.meets_rim(other, |vertex, own, others| {
            sticks_out = !own.contains(others, vertex);
            sticks_out
        });
        // Rings whose insides cover the sphere together contain each other's rims too.
        !crossing && !sticks_out && !other.strictly_contains(self.vertex(0))
    }

    /// Returns true if the insides have a region in common.
    pub fn intersects(&self, other: &Ring) -> bool {
        if !self.may_meet(other) {
            return false;
        }
        if self.strictly_contains(other.vertex(0)) {
            return true;
        }
        let mut overlaps = false;
        let crossing = self.meets_rim(other, |vertex, own, others| {
            overlaps = own.intersects(others, vertex);
            overlaps
        });
        crossing || overlaps || other.strictly_contains(self.vertex(0))
    }

    /// Returns the relation of the insides: `None` if the rims cross, else true if this ring contains the
    /// other. Neither ring may cover more than half of the sphere.
    pub fn contains_uncrossed(&self, other: &Ring) -> Option<bool> {
        if !self.may_meet(other) {
            return Some(false);
        }
        let (mut wider, mut narrower, mut disjoint, mut overlap) = (false, false, false, false);
        let crossing = self.meets_rim(other, |vertex, own, others| {
            match own.relation(others, vertex) {
                Wedges::Equal => {}
                Wedges::Contains => wider = true,
                Wedges::Contained => narrower = true,
                Wedges::Disjoint => disjoint = true,
                Wedges::Overlap => overlap = true,
            }
            overlap |= wider && narrower;
            overlap
        });
        if crossing || overlap {
            return None;
        }
        Some(!disjoint && !narrower && self.reaches(other.vertex(0)))
    }

    /// Returns true if the other ring is inside, given that their rims share no edge and do not cross.
    pub fn contains_nested(&self, other: &Ring) -> bool {
        if !self.may_meet(other) {
            return false;
        }
        let vertex = other.vertex(1);
        match self.find(vertex) {
            Some(at) => {
                let others = Wedge { from: other.vertex(0), to: other.vertex(2) };
                self.wedge(at).contains(others, vertex)
            }
            None => self.contains_point(vertex),
        }
    }

    /// Returns true if the rims cross. Before that is found, `at_shared` is called with each common vertex
    /// and the wedges of both rings there; if it returns true, the search ends with false.
    fn meets_rim(&self, other: &Ring, mut at_shared: impl FnMut(Vector, Wedge, Wedge) -> bool) -> bool {
        let mut crossing = false;
        for (j, (c, d)) in other.edges().enumerate() {
            let ended = self.index.any(c, d, |i| {
                let (a, b) = (self.vertex(i), self.vertex(i + 1));
                match edge::crossing(c, d, a, b) {
                    Crossing::Apart => false,
                    Crossing::Proper => {
                        crossing = true;
                        true
                    }
                    // Each common vertex is the end of one edge of either ring.
                    Crossing::Touching => b == d && at_shared(b, self.wedge(i + 1), other.wedge(j + 1)),
                }
            });
            if ended {
                break;
            }
        }
        crossing
    }

    /// Returns whether the parts of the sphere meet in which the rings are.
    fn may_meet(&self, other: &Ring) -> bool {
        fuel::burn(EDGE) && self.extent.meets(&other.extent)
    }

    fn wedge(&self, at: usize) -> Wedge {
        Wedge { from: self.vertex(at + self.vertices.len() - 1), to: self.vertex(at + 1) }
    }

    fn vertex(&self, at: usize) -> Vector {
        self.vertices[at % self.vertices.len()]
    }

    fn find(&self, point: Vector) -> Option<usize> {
        counted(self.vertices.iter()).position(|vertex| *vertex == point)
    }

    fn reaches(&self, point: Vector) -> bool {
        self.contains_point(point) || self.find(point).is_some()
    }

    fn strictly_contains(&self, point: Vector) -> bool {
        self.contains_point(point) && self.find(point).is_none()
    }
}

/// Counts the work on each edge, and ends when it isn't to go on.
fn counted<T>(edges: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    edges.take_while(|_| fuel::burn(EDGE))
}

fn pairs(vertices: &[Vector]) -> impl ExactSizeIterator<Item = (Vector, Vector)> + Clone + '_ {
    (0..vertices.len()).map(|i| (vertices[i], vertices[(i + 1) % vertices.len()]))
}
