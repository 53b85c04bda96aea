//! A grid on the sphere: the faces of a cube, each divided into four cells, each of these into four, and so
//! on.
//!
//! A cell's number starts with the number of the cell it is a part of, so the cells inside of a cell are a
//! range of numbers. Index files store the cells that cover a geometry, so changing the cover changes the
//! files' format.

use std::collections::VecDeque;

use super::geojson::Shape;
use super::sphere::Vector;
use crate::budget::fuel;

/// The level of the smallest cells, about a centimeter wide.
const MAX_LEVEL: u32 = 30;

/// The distance outside of a cell at which a point still counts as inside, so that rounding loses nothing.
const MARGIN: f64 = 1e-14;

/// A cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// 0 to 2 are the faces of the cube where x, y, z are 1; 3 to 5 are those where they are -1.
    face: u32,
    level: u32,
    column: u32,
    row: u32,
}

impl Cell {
    const FACES: [Cell; 6] = {
        let mut faces = [Cell { face: 0, level: 0, column: 0, row: 0 }; 6];
        let mut face = 1;
        while face < 6 {
            faces[face as usize].face = face;
            face += 1;
        }
        faces
    };

    /// Returns the smallest cell around a point.
    pub fn around(point: Vector) -> Self {
        let axis = point.largest_axis();
        let coordinates = point.coordinates();
        let depth = coordinates[axis].abs();
        let place = |coordinate: f64| {
            let fraction = stretch(coordinate / depth);
            (fraction * f64::from(1 << MAX_LEVEL)).clamp(0.0, f64::from((1 << MAX_LEVEL) - 1)) as u32
        };
        Cell {
            face: axis as u32 + if coordinates[axis] < 0.0 { 3 } else { 0 },
            level: MAX_LEVEL,
            column: place(coordinates[(axis + 1) % 3]),
            row: place(coordinates[(axis + 2) % 3]),
        }
    }

    /// Returns the number of the cell: its face, two bits for each level, and a bit that ends them.
    pub fn id(self) -> u64 {
        let path = (0..self.level).rev().fold(u64::from(self.face), |path, bit| {
            path << 2 | u64::from(self.column >> bit & 1) << 1 | u64::from(self.row >> bit & 1)
        });
        (path << 1 | 1) << self.low_bits()
    }

    /// Returns the least and the greatest number of the cells inside of this one, itself included.
    pub fn range(self) -> (u64, u64) {
        let below = (1 << self.low_bits()) - 1;
        (self.id() - below, self.id() + below)
    }

    fn low_bits(self) -> u32 {
        2 * (MAX_LEVEL - self.level)
    }

    /// Returns the cells that this one is a part of, the smallest first.
    pub fn ancestors(self) -> impl Iterator<Item = Cell> {
        std::iter::successors(Some(self), |cell| {
            let level = cell.level.checked_sub(1)?;
            Some(Cell { level, column: cell.column >> 1, row: cell.row >> 1, ..*cell })
        })
        .skip(1)
    }

    fn children(self) -> impl Iterator<Item = Cell> {
        (0..4).map(move |quarter| Cell {
            level: self.level + 1,
            column: self.column << 1 | quarter >> 1,
            row: self.row << 1 | quarter & 1,
            ..self
        })
    }

    /// Returns the interval of the position `index` of this level, on a face that reaches from -1 to 1.
    fn span(self, index: u32) -> (f64, f64) {
        let at = |index: u32| shrink(f64::from(index) / f64::from(1 << self.level));
        (at(index), at(index + 1))
    }

    /// Returns the vector with these coordinates in the frame of the face.
    fn vector(self, depth: f64, column: f64, row: f64) -> Vector {
        let axis = self.face as usize % 3;
        let mut coordinates = [0.0; 3];
        coordinates[axis] = if self.face < 3 { depth } else { -depth };
        coordinates[(axis + 1) % 3] = column;
        coordinates[(axis + 2) % 3] = row;
        let [x, y, z] = coordinates;
        Vector::new(x, y, z)
    }

    fn center(self) -> Vector {
        let ((left, right), (low, high)) = (self.span(self.column), self.span(self.row));
        self.vector(1.0, (left + right) / 2.0, (low + high) / 2.0).normalized()
    }

    /// Returns the normals of the planes through the sides, pointing inwards.
    fn sides(self) -> [Vector; 4] {
        let ((left, right), (low, high)) = (self.span(self.column), self.span(self.row));
        [
            self.vector(-left, 1.0, 0.0),
            self.vector(right, -1.0, 0.0),
            self.vector(-low, 0.0, 1.0),
            self.vector(high, 0.0, -1.0),
        ]
    }
}

/// Returns true if an edge meets the cell with these sides. The edge's chord is clipped by each of their
/// planes in turn.
fn meets(sides: &[Vector; 4], a: Vector, b: Vector) -> bool {
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for side in sides {
        let (at_a, at_b) = (side.dot(a) + MARGIN, side.dot(b) + MARGIN);
        match (at_a < 0.0, at_b < 0.0) {
            (true, true) => return false,
            (false, false) => {}
            (true, false) => from = from.max(at_a / (at_a - at_b)),
            (false, true) => to = to.min(at_a / (at_a - at_b)),
        }
    }
    from <= to + MARGIN
}

/// Maps 0..1 to -1..1. Makes cells near the corners of the cube larger and those in the middle of its faces
/// smaller, so that all are about the same size on the sphere.
fn shrink(fraction: f64) -> f64 {
    if fraction >= 0.5 {
        (4.0 * fraction * fraction - 1.0) / 3.0
    } else {
        (1.0 - 4.0 * (1.0 - fraction) * (1.0 - fraction)) / 3.0
    }
}

/// Inverts [`shrink`].
fn stretch(place: f64) -> f64 {
    if place >= 0.0 { 0.5 * (1.0 + 3.0 * place).sqrt() } else { 1.0 - 0.5 * (1.0 - 3.0 * place).sqrt() }
}

/// Returns at most about `goal` cells that cover the shape: the smallest possible ones. A point has one cell,
/// of the lowest level.
pub fn cover(shape: &Shape, goal: usize) -> Vec<Cell> {
    if let Shape::Point(point) = shape {
        return vec![Cell::around(*point)];
    }
    let edges: Vec<_> = match shape {
        Shape::Point(_) => Vec::new(),
        Shape::Line(line) => line.edges().collect(),
        Shape::Polygon(polygon) => polygon.edges().collect(),
    };
    let mut covering = Vec::new();
    let mut queue: VecDeque<_> =
        Cell::FACES.into_iter().filter_map(|face| Candidate::new(face, &edges, shape)).collect();
    // The largest cells come first, and are divided until there would be too many.
    while let Some(candidate) = queue.pop_front() {
        let children = candidate.divide(shape);
        let fits = covering.len() + queue.len() + children.len() <= goal;
        if children.is_empty() || children.len() > 1 && !fits {
            covering.push(candidate.cell);
        } else {
            queue.extend(children);
        }
    }
    covering
}

/// A cell that meets the shape, and the edges in it.
struct Candidate {
    cell: Cell,
    edges: Vec<(Vector, Vector)>,
}

impl Candidate {
    fn new(cell: Cell, edges: &[(Vector, Vector)], shape: &Shape) -> Option<Self> {
        if !fuel::burn(1 + edges.len()) {
            return None;
        }
        let sides = cell.sides();
        let edges: Vec<_> = edges.iter().copied().filter(|(a, b)| meets(&sides, *a, *b)).collect();
        let inside = || matches!(shape, Shape::Polygon(polygon) if polygon.contains_point(cell.center()));
        (!edges.is_empty() || inside()).then_some(Candidate { cell, edges })
    }

    /// Returns the parts of the cell that meet the shape, out of four; none if the cell is to stay whole,
    /// since it is inside of the shape or as small as can be.
    fn divide(&self, shape: &Shape) -> Vec<Candidate> {
        if self.edges.is_empty() || self.cell.level == MAX_LEVEL {
            return Vec::new();
        }
        self.cell.children().filter_map(|child| Candidate::new(child, &self.edges, shape)).collect()
    }
}
