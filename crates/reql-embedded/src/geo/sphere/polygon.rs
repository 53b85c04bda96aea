//! Polygons: regions between rings.

use super::assemble::assemble;
use super::edge::{self, Crossing};
use super::extent::Extent;
use super::line::{self, Line};
use super::ring::Ring;
use super::vector::Vector;

/// A region bounded by rings that do not cross: shells, holes in them, shells in these, and so on. None of
/// the rings covers more than half of the sphere, and without rings the region is empty.
#[derive(Debug, Clone)]
pub struct Polygon {
    rings: Vec<Bound>,
    extent: Extent,
}

#[derive(Debug, Clone)]
struct Bound {
    ring: Ring,
    is_hole: bool,
}

impl Polygon {
    /// Makes the region inside of the first ring and outside of the others; `None` if edges cross or overlap.
    pub fn new(rings: Vec<Ring>) -> Option<Self> {
        let mut rings: Vec<_> = rings.into_iter().map(Ring::normalized).collect();
        if rings.len() > 1 {
            rings = rings
                .into_iter()
                .enumerate()
                .map(|(i, ring)| if i == 0 { ring } else { ring.inverted() })
                .collect();
            rings = assemble(&rings)?;
            if shares_edges(&rings) || cross(&rings) {
                return None;
            }
        }
        let depth = |ring: &Ring| {
            rings.iter().filter(|other| !std::ptr::eq(*other, ring) && other.contains_nested(ring)).count()
        };
        let holes: Vec<_> = rings.iter().map(|ring| depth(ring) % 2 == 1).collect();
        let rings: Vec<_> =
            rings.into_iter().zip(holes).map(|(ring, is_hole)| Bound { ring, is_hole }).collect();
        let shells = rings.iter().filter(|bound| !bound.is_hole);
        let extent = shells.fold(Extent::EMPTY, |all, bound| all.union(*bound.ring.extent()));
        Some(Polygon { rings, extent })
    }

    /// Returns true if the region covers nothing at all.
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// Returns the edges of all rings.
    pub fn edges(&self) -> impl Iterator<Item = (Vector, Vector)> + '_ {
        self.rings.iter().flat_map(|bound| bound.ring.edges())
    }

    /// Returns true if the point is inside; of the rim, some points are and some are not.
    pub fn contains_point(&self, point: Vector) -> bool {
        self.extent.holds(point)
            && self.rings.iter().filter(|bound| bound.ring.contains_point(point)).count() % 2 == 1
    }

    /// Returns the nearest point of the region, which is the point itself if it is inside; `None` for the
    /// empty region.
    pub fn project(&self, point: Vector) -> Option<Vector> {
        if self.contains_point(point) { Some(point) } else { line::project(point, self.edges()) }
    }

    /// Returns true if the other region is a part of this one.
    pub fn contains(&self, other: &Polygon) -> bool {
        if let ([own], [others]) = (&self.rings[..], &other.rings[..]) {
            return own.ring.contains(&others.ring);
        }
        if !self.has_holes() && !other.has_holes() {
            return other
                .rings
                .iter()
                .all(|theirs| self.rings.iter().any(|own| own.ring.contains(&theirs.ring)));
        }
        // Every shell of the other region is in an odd number of these rings, and every hole of this one in
        // an even number of the other's.
        other.shells().all(|shell| self.contains_uncrossed(shell) == Some(true))
            && self.holes().all(|hole| other.contains_uncrossed(hole) == Some(false))
    }

    /// Returns true if the regions overlap.
    pub fn intersects(&self, other: &Polygon) -> bool {
        if !self.extent.meets(&other.extent) {
            return false;
        }
        if !self.has_holes() && !other.has_holes() {
            return self
                .rings
                .iter()
                .any(|own| other.rings.iter().any(|theirs| own.ring.intersects(&theirs.ring)));
        }
        other.shells().any(|shell| self.intersects_shell(shell))
            || self.shells().any(|shell| other.intersects_shell(shell))
    }

    fn intersects_shell(&self, shell: &Ring) -> bool {
        let mut inside = false;
        for Bound { ring, .. } in &self.rings {
            if ring.contains(shell) {
                inside = !inside;
            } else if !shell.contains(ring) && ring.intersects(shell) {
                return true;
            }
        }
        inside
    }

    /// Returns true if the ring is inside; `None` if it crosses the rim.
    fn contains_uncrossed(&self, other: &Ring) -> Option<bool> {
        self.rings
            .iter()
            .try_fold(false, |inside, bound| Some(inside ^ bound.ring.contains_uncrossed(other)?))
    }

    /// Returns true if a part of the line is inside.
    pub fn meets_line(&self, line: &Line) -> bool {
        self.extent.meets(line.extent()) && self.clips_to_something(line, false)
    }

    /// Returns true if no part of the line is outside.
    pub fn contains_line(&self, line: &Line) -> bool {
        !self.clips_to_something(line, true)
    }

    /// Returns true if anything is left of the line after cutting off all parts outside, or, if `inverted`,
    /// all parts inside. The line is walked from intersection to intersection, keeping track of the side.
    fn clips_to_something(&self, line: &Line, inverted: bool) -> bool {
        let mut kept = self.contains_point(line.start()) != inverted;
        line.edges().any(|(a, b)| {
            let mut cuts = self.cuts(a, b);
            if kept {
                cuts.push((0.0, a));
            }
            kept = cuts.len() % 2 == 1;
            if kept {
                cuts.push((1.0, b));
            }
            cuts.sort_by(|(s, p), (t, q)| s.total_cmp(t).then(p.cmp(q)));
            cuts.chunks_exact(2).any(|piece| piece[0] != piece[1])
        })
    }

    /// Returns the points in which the rim cuts an edge, each with its position along the edge.
    fn cuts(&self, a: Vector, b: Vector) -> Vec<(f64, Vector)> {
        let mut cuts = Vec::new();
        for Bound { ring, .. } in &self.rings {
            ring.any_edge(a, b, |c, d| {
                match edge::crossing(a, b, c, d) {
                    Crossing::Proper => {
                        let point = edge::intersection(a, b, c, d);
                        cuts.push((edge::fraction(point, a, b), point));
                    }
                    Crossing::Touching if edge::vertex_crossing(a, b, c, d) => {
                        cuts.push(if a == c || a == d { (0.0, a) } else { (1.0, b) });
                    }
                    _ => {}
                }
                false
            });
        }
        cuts
    }

    fn has_holes(&self) -> bool {
        self.rings.iter().any(|bound| bound.is_hole)
    }

    fn shells(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().filter(|bound| !bound.is_hole).map(|bound| &bound.ring)
    }

    fn holes(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().filter(|bound| bound.is_hole).map(|bound| &bound.ring)
    }
}

fn shares_edges(rings: &[Ring]) -> bool {
    let directed = rings.iter().flat_map(|ring| ring.edges());
    let mut edges: Vec<_> = directed.map(|(a, b)| if a < b { (a, b) } else { (b, a) }).collect();
    edges.sort();
    edges.windows(2).any(|pair| pair[0] == pair[1])
}

fn cross(rings: &[Ring]) -> bool {
    rings.iter().enumerate().any(|(i, ring)| {
        rings.get(i + 1..).unwrap_or_default().iter().any(|other| ring.contains_uncrossed(other).is_none())
    })
}
