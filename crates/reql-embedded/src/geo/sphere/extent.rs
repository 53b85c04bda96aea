//! Boxes in space around parts of the sphere: the cheap test before each expensive one.

use super::vector::Vector;

/// More than the distance by which rounding can move a point.
const MARGIN: f64 = 1e-13;

/// A box with edges along the axes.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    lo: [f64; 3],
    hi: [f64; 3],
}

impl Extent {
    /// The box that holds nothing.
    pub const EMPTY: Extent = Extent { lo: [f64::INFINITY; 3], hi: [f64::NEG_INFINITY; 3] };

    /// Returns a box around an edge. An arc of at most half a circle lies in the ball that has its chord as
    /// diameter.
    pub fn of_edge(a: Vector, b: Vector) -> Self {
        let middle = ((a + b) * 0.5).coordinates();
        let radius = (a - b).norm() * 0.5 + MARGIN;
        Extent { lo: middle.map(|m| m - radius), hi: middle.map(|m| m + radius) }
    }

    /// Returns a box around a point.
    pub fn of_point(point: Vector) -> Self {
        Extent::of_edge(point, point)
    }

    /// Returns the smallest box around both.
    #[must_use]
    pub fn union(self, other: Extent) -> Self {
        let mut both = self;
        for axis in 0..3 {
            both.lo[axis] = both.lo[axis].min(other.lo[axis]);
            both.hi[axis] = both.hi[axis].max(other.hi[axis]);
        }
        both
    }

    /// Returns true if the boxes share a point.
    pub fn meets(&self, other: &Extent) -> bool {
        (0..3).all(|axis| self.lo[axis] <= other.hi[axis] && other.lo[axis] <= self.hi[axis])
    }

    /// Returns true if the point is in the box.
    pub fn holds(&self, point: Vector) -> bool {
        let point = point.coordinates();
        (0..3).all(|axis| self.lo[axis] <= point[axis] && point[axis] <= self.hi[axis])
    }

    /// Returns the interval of the box along an axis.
    pub fn along(&self, axis: usize) -> (f64, f64) {
        (self.lo[axis], self.hi[axis])
    }

    /// Returns the axis along which the box is longest.
    pub fn longest_axis(&self) -> usize {
        let length = |axis: &usize| self.hi[*axis] - self.lo[*axis];
        (0..3).max_by(|a, b| length(a).total_cmp(&length(b))).unwrap_or(0)
    }
}
