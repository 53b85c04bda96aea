//! The edges of a long chain that may meet a given edge: an interval tree along the chain's longest axis.

use super::EDGE;
use super::extent::Extent;
use super::vector::Vector;
use crate::budget::fuel;

/// The number of edges below which it is cheaper to test all of them.
const WORTH_INDEXING: usize = 40;

/// The edges of a chain, findable by place.
#[derive(Debug, Clone)]
pub enum EdgeIndex {
    /// A short chain, given by the number of its edges.
    Short(usize),
    /// A long chain.
    Tree(Tree),
}

/// Intervals sorted by their beginning; the middle of each slice is the root of a search tree.
#[derive(Debug, Clone)]
pub struct Tree {
    axis: usize,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    lo: f64,
    hi: f64,
    /// The farthest end of any interval below this node.
    reach: f64,
    edge: usize,
}

impl EdgeIndex {
    /// Indexes the edges in the order of their numbers.
    pub fn new(edges: impl ExactSizeIterator<Item = (Vector, Vector)>) -> Self {
        if edges.len() < WORTH_INDEXING {
            return EdgeIndex::Short(edges.len());
        }
        let extents: Vec<_> = edges.map(|(a, b)| Extent::of_edge(a, b)).collect();
        let axis = extents.iter().fold(Extent::EMPTY, |all, one| all.union(*one)).longest_axis();
        let mut nodes: Vec<_> = extents
            .iter()
            .enumerate()
            .map(|(edge, extent)| {
                let (lo, hi) = extent.along(axis);
                Node { lo, hi, reach: hi, edge }
            })
            .collect();
        nodes.sort_by(|a, b| a.lo.total_cmp(&b.lo));
        spread_reach(&mut nodes);
        EdgeIndex::Tree(Tree { axis, nodes })
    }

    /// Calls `visit` with each edge that may meet `ab`, until it returns true. Returns true if it did.
    pub fn any(&self, a: Vector, b: Vector, mut visit: impl FnMut(usize) -> bool) -> bool {
        let mut visit = |edge| !fuel::burn(EDGE) || visit(edge);
        match self {
            EdgeIndex::Short(count) => (0..*count).any(visit),
            EdgeIndex::Tree(tree) => {
                let (lo, hi) = Extent::of_edge(a, b).along(tree.axis);
                search(&tree.nodes, lo, hi, &mut visit)
            }
        }
    }
}

fn spread_reach(nodes: &mut [Node]) -> f64 {
    let middle = nodes.len() / 2;
    let (left, rest) = nodes.split_at_mut(middle);
    let Some((node, right)) = rest.split_first_mut() else { return f64::NEG_INFINITY };
    node.reach = node.hi.max(spread_reach(left)).max(spread_reach(right));
    node.reach
}

fn search(nodes: &[Node], lo: f64, hi: f64, visit: &mut impl FnMut(usize) -> bool) -> bool {
    let (left, rest) = nodes.split_at(nodes.len() / 2);
    let Some((node, right)) = rest.split_first() else { return false };
    if node.reach < lo {
        return false;
    }
    search(left, lo, hi, visit)
        || (node.lo <= hi && ((node.hi >= lo && visit(node.edge)) || search(right, lo, hi, visit)))
}
