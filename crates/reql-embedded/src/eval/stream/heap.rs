//! The priority queue of libstdc++, comparison by comparison.
//!
//! RethinkDB merges streams with it. The order of its moves decides which of several equal rows comes first,
//! and for which row a function is called first.

use crate::error::Result;

/// Items of which the least one can be taken out.
pub struct Heap<T>(Vec<T>);

impl<T> Heap<T> {
    /// Makes an empty queue.
    pub fn new() -> Self {
        Heap(Vec::new())
    }

    /// Adds an item.
    pub fn push(&mut self, item: T, is_less: impl Fn(&T, &T) -> Result<bool>) -> Result<()> {
        self.0.push(item);
        self.rise(self.0.len() - 1, &is_less)
    }

    /// Takes the least item out.
    pub fn pop(&mut self, is_less: impl Fn(&T, &T) -> Result<bool>) -> Result<Option<T>> {
        let Some(last) = self.0.len().checked_sub(1) else { return Ok(None) };
        self.0.swap(0, last);
        let least = self.0.pop();
        // The item from the end sinks all the way down, and rises again from there.
        let (mut hole, len) = (0, last);
        while let Some(right) = Some(2 * hole + 2).filter(|right| *right < len) {
            let child = if is_less(&self.0[right - 1], &self.0[right])? { right - 1 } else { right };
            self.0.swap(hole, child);
            hole = child;
        }
        if 2 * hole + 2 == len {
            self.0.swap(hole, len - 1);
            hole = len - 1;
        }
        if len > 0 {
            self.rise(hole, &is_less)?;
        }
        Ok(least)
    }

    fn rise(&mut self, mut at: usize, is_less: &impl Fn(&T, &T) -> Result<bool>) -> Result<()> {
        while at > 0 && is_less(&self.0[at], &self.0[(at - 1) / 2])? {
            self.0.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Heap;

    #[test]
    fn the_least_item_comes_first() {
        let mut heap = Heap::new();
        for at in 0..500_u64 {
            heap.push(at * 7919 % 257, |a, b| Ok(a < b)).expect("comparing numbers");
            if at % 3 == 0 {
                heap.pop(|a, b| Ok(a < b)).expect("comparing numbers");
            }
        }
        let mut left = Vec::new();
        while let Some(item) = heap.pop(|a, b| Ok(a < b)).expect("comparing numbers") {
            left.push(item);
        }
        assert_eq!(left.len(), 500 - 167);
        assert!(left.is_sorted());
    }

    #[test]
    fn equal_items_change_places_as_they_do_in_libstdcxx() {
        let mut heap = Heap::new();
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            heap.push((0, name), |a, b| Ok(a.0 < b.0)).expect("comparing numbers");
        }
        let mut names = Vec::new();
        while let Some((_, name)) = heap.pop(|a, b| Ok(a.0 < b.0)).expect("comparing numbers") {
            names.push(name);
        }
        assert_eq!(names, ["a", "c", "f", "g", "e", "b", "d"]);
    }
}
