//! From the edges of a shell and its holes to rings that cross neither themselves nor each other.
//!
//! An edge and its reverse cancel out, so a hole may share edges with the shell or with other holes; the
//! rings are then put together anew by turning left at every vertex.

use std::collections::BTreeMap;

use super::EDGE;
use super::ring::Ring;
use super::sign::ordered;
use super::vector::Vector;
use crate::budget::fuel;

/// Returns the rings around the region that all these rings bound together, or `None` if edges are left over.
pub fn assemble(rings: &[Ring]) -> Option<Vec<Ring>> {
    let mut edges = Edges::default();
    for ring in rings {
        let vertices = ring.vertices();
        for i in (1..=vertices.len()).rev() {
            edges.add(vertices[i % vertices.len()], vertices[(i + 1) % vertices.len()]);
        }
    }
    let mut assembled = Vec::new();
    for start in std::mem::take(&mut edges.starts) {
        while let Some(next) = edges.first(start) {
            let path = edges.trace(start, next)?;
            for i in 0..path.len() {
                edges.remove(path[i], path[(i + 1) % path.len()]);
            }
            assembled.push(Ring::new(path)?.normalized());
        }
    }
    Some(assembled)
}

/// Directed edges by their first vertex; the ends are sorted.
#[derive(Default)]
struct Edges {
    ends: BTreeMap<Vector, Vec<Vector>>,
    starts: Vec<Vector>,
}

impl Edges {
    fn add(&mut self, from: Vector, to: Vector) {
        if self.remove(to, from) {
            return;
        }
        let starts = &mut self.starts;
        let ends = self.ends.entry(from).or_insert_with(|| {
            starts.push(from);
            Vec::new()
        });
        fuel::burn(EDGE + ends.len() / 64);
        ends.insert(ends.partition_point(|end| *end < to), to);
    }

    fn remove(&mut self, from: Vector, to: Vector) -> bool {
        let Some(ends) = self.ends.get_mut(&from) else { return false };
        let Ok(at) = ends.binary_search(&to) else { return false };
        ends.remove(at);
        if ends.is_empty() {
            self.ends.remove(&from);
        }
        true
    }

    fn first(&self, from: Vector) -> Option<Vector> {
        self.ends.get(&from).and_then(|ends| ends.first().copied())
    }

    /// Returns the end of the leftmost edge from `at`, on a way that comes from `before` and does not turn
    /// back.
    fn leftmost(&self, before: Vector, at: Vector) -> Option<Vector> {
        let ends = self.ends.get(&at)?.iter().copied().take_while(|_| fuel::burn(EDGE));
        let ends = ends.filter(|end| *end != before);
        ends.reduce(|best, end| if ordered(before, best, end, at) { end } else { best })
    }

    /// Follows edges to the left until a vertex comes a second time; the way from there is a ring. Returns
    /// `None` if the way ends.
    fn trace(&self, start: Vector, next: Vector) -> Option<Vec<Vector>> {
        let mut path = vec![start, next];
        let mut seen = BTreeMap::from([(next, 1)]);
        let (mut before, mut at) = (start, next);
        while fuel::burn(EDGE) {
            let next = self.leftmost(before, at)?;
            if let Some(first) = seen.insert(next, path.len()) {
                return Some(path.split_off(first));
            }
            path.push(next);
            (before, at) = (at, next);
        }
        None
    }
}
