//! Relations of two edges, and of an edge and a point.

use super::sign::{ordered, roughly_left, sign};
use super::vector::Vector;

/// The relation of two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// The edges don't meet.
    Apart,
    /// The edges have a vertex in common.
    Touching,
    /// The edges meet in a point inside of both.
    Proper,
}

/// Returns the relation of the edges `ab` and `cd`. Exchanging the edges or their ends gives the same.
pub fn crossing(a: Vector, b: Vector, c: Vector, d: Vector) -> Crossing {
    let acb = -sign(a, b, c);
    let bda = sign(a, b, d);
    if acb == 0 || bda == 0 {
        return Crossing::Touching;
    }
    if acb == bda && -sign(c, d, b) == acb && sign(c, d, a) == acb {
        Crossing::Proper
    } else {
        Crossing::Apart
    }
}

/// Returns true if edges with a common vertex count as crossing, such that counting crossings tells inside
/// from outside: if `ab` comes after `cd` in a left turn around that vertex.
pub fn vertex_crossing(a: Vector, b: Vector, c: Vector, d: Vector) -> bool {
    if a == b || c == d {
        return false;
    }
    if a == d {
        ordered(a.ortho(), c, b, a)
    } else if b == c {
        ordered(b.ortho(), d, a, b)
    } else if a == c {
        ordered(a.ortho(), d, b, a)
    } else if b == d {
        ordered(b.ortho(), c, a, b)
    } else {
        false
    }
}

/// Returns true if the edges cross, be it in a common vertex.
pub fn crosses(a: Vector, b: Vector, c: Vector, d: Vector) -> bool {
    match crossing(a, b, c, d) {
        Crossing::Apart => false,
        Crossing::Touching => vertex_crossing(a, b, c, d),
        Crossing::Proper => true,
    }
}

/// Returns the point in which two crossing edges meet.
pub fn intersection(a0: Vector, a1: Vector, b0: Vector, b1: Vector) -> Vector {
    let a_normal = a0.robust_cross(a1).normalized();
    let b_normal = b0.robust_cross(b1).normalized();
    let point = a_normal.robust_cross(b_normal).normalized();
    // The great circles meet on both sides of the sphere; the edges are where their ends are.
    let point = if point.dot((a0 + a1) + (b0 + b1)) < 0.0 { -point } else { point };
    let within_a = |p: Vector| ordered(a0, p, a1, a_normal);
    let within_b = |p: Vector| ordered(b0, p, b1, b_normal);
    if within_a(point) && within_b(point) {
        return point;
    }
    // Nearly parallel edges: the nearest end that lies between the ends of the other edge.
    let ends =
        [a0, a1].into_iter().filter(|p| within_b(*p)).chain([b0, b1].into_iter().filter(|p| within_a(*p)));
    ends.min_by(|p, q| (point - *p).norm2().total_cmp(&(point - *q).norm2()).then(p.cmp(q))).unwrap_or(point)
}

/// Returns the position of the point along the edge from `a` to `b`, from 0 to 1.
pub fn fraction(point: Vector, a: Vector, b: Vector) -> f64 {
    let (from_a, from_b) = (point.angle(a), point.angle(b));
    from_a / (from_a + from_b)
}

/// Returns the angle between a point and the nearest point of the edge `ab`, in radians.
pub fn distance(point: Vector, a: Vector, b: Vector) -> f64 {
    let normal = a.robust_cross(b);
    if roughly_left(normal, a, point) && roughly_left(point, b, normal) {
        let sine = point.dot(normal).abs() / normal.norm();
        return sine.min(1.0).asin();
    }
    let chord2 = (point - a).norm2().min((point - b).norm2());
    2.0 * (0.5 * chord2.sqrt()).min(1.0).asin()
}

/// Returns the point of the edge `ab` that is nearest.
pub fn nearest(point: Vector, a: Vector, b: Vector) -> Vector {
    let normal = a.robust_cross(b);
    let foot = point - normal * (point.dot(normal) / normal.norm2());
    // All of an edge is equally far from the pole of its great circle, and the foot is nothing but rounding.
    let is_pole = foot.norm2() < 1e-28;
    if !is_pole && roughly_left(normal, a, foot) && roughly_left(foot, b, normal) {
        foot.normalized()
    } else if (point - a).norm2() <= (point - b).norm2() {
        a
    } else {
        b
    }
}

/// The region to the left of two consecutive edges, near the vertex between them.
#[derive(Debug, Clone, Copy)]
pub struct Wedge {
    /// The start of the first edge.
    pub from: Vector,
    /// The end of the second edge.
    pub to: Vector,
}

/// The relation of two wedges at the same vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wedges {
    /// The wedges are the same.
    Equal,
    /// The first contains the second.
    Contains,
    /// The second contains the first.
    Contained,
    /// Each has a part of its own.
    Overlap,
    /// The wedges share no point.
    Disjoint,
}

impl Wedge {
    /// Returns true if this wedge contains the other.
    pub fn contains(self, other: Wedge, vertex: Vector) -> bool {
        ordered(self.to, other.to, other.from, vertex) && ordered(other.from, self.from, self.to, vertex)
    }

    /// Returns true if the wedges share a region.
    pub fn intersects(self, other: Wedge, vertex: Vector) -> bool {
        !(ordered(self.from, other.to, other.from, vertex) && ordered(other.from, self.to, self.from, vertex))
    }

    /// Returns the relation of the wedges.
    pub fn relation(self, other: Wedge, vertex: Vector) -> Wedges {
        if self.from == other.from && self.to == other.to {
            return Wedges::Equal;
        }
        if ordered(self.from, self.to, other.to, vertex) {
            return if ordered(other.to, other.from, self.from, vertex) {
                Wedges::Contains
            } else if self.to == other.to {
                Wedges::Contained
            } else {
                Wedges::Overlap
            };
        }
        if ordered(self.from, other.from, other.to, vertex) {
            Wedges::Contained
        } else if ordered(self.from, other.from, self.to, vertex) {
            Wedges::Disjoint
        } else {
            Wedges::Overlap
        }
    }
}
