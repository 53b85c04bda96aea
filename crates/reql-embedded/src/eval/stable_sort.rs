//! The stable sort of libstdc++, comparison by comparison.
//!
//! RethinkDB sorts with it, and calls the query's functions while it compares. If one fails, the error shows
//! the row that was compared first, so the comparisons have to be the same ones in the same order.

use crate::error::Result;

/// The items that are sorted by insertion before runs are merged.
const CHUNK: usize = 7;

/// Sorts items by `is_less`, which may fail. An order that contradicts itself does no harm.
pub fn stable_sort<T: Copy>(items: &mut [T], is_less: &mut impl FnMut(T, T) -> Result<bool>) -> Result<()> {
    if items.len() < 2 {
        return Ok(());
    }
    let (left, right) = items.split_at_mut(items.len().div_ceil(2));
    sort_half(left, is_less)?;
    sort_half(right, is_less)?;
    let merged = if left.len() <= right.len() {
        merge(left, right, is_less)?
    } else {
        merge_from_the_back(left, right, is_less)?
    };
    items.copy_from_slice(&merged);
    Ok(())
}

fn sort_half<T: Copy>(items: &mut [T], is_less: &mut impl FnMut(T, T) -> Result<bool>) -> Result<()> {
    items.chunks_mut(CHUNK).try_for_each(|chunk| insertion_sort(chunk, is_less))?;
    let mut step = CHUNK;
    while step < items.len() {
        for pair in items.chunks_mut(2 * step).filter(|pair| pair.len() > step) {
            let (left, right) = pair.split_at(step);
            let merged = merge(left, right, is_less)?;
            pair.copy_from_slice(&merged);
        }
        step *= 2;
    }
    Ok(())
}

fn insertion_sort<T: Copy>(items: &mut [T], is_less: &mut impl FnMut(T, T) -> Result<bool>) -> Result<()> {
    for at in 1..items.len() {
        let item = items[at];
        let mut to = at;
        if is_less(item, items[0])? {
            to = 0;
        } else {
            while to > 1 && is_less(item, items[to - 1])? {
                to -= 1;
            }
        }
        items[to..=at].rotate_right(1);
    }
    Ok(())
}

fn merge<T: Copy>(
    mut left: &[T],
    mut right: &[T],
    is_less: &mut impl FnMut(T, T) -> Result<bool>,
) -> Result<Vec<T>> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some((first, others)), Some((second, seconds))) = (left.split_first(), right.split_first()) {
        if is_less(*second, *first)? {
            merged.push(*second);
            right = seconds;
        } else {
            merged.push(*first);
            left = others;
        }
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
    Ok(merged)
}

fn merge_from_the_back<T: Copy>(
    mut left: &[T],
    mut right: &[T],
    is_less: &mut impl FnMut(T, T) -> Result<bool>,
) -> Result<Vec<T>> {
    let mut reversed = Vec::with_capacity(left.len() + right.len());
    while let (Some((first, firsts)), Some((second, seconds))) = (left.split_last(), right.split_last()) {
        if is_less(*second, *first)? {
            reversed.push(*first);
            left = firsts;
        } else {
            reversed.push(*second);
            right = seconds;
        }
    }
    reversed.extend(right.iter().rev());
    reversed.extend(left.iter().rev());
    reversed.reverse();
    Ok(reversed)
}

#[cfg(test)]
mod tests {
    use super::stable_sort;

    /// Returns the order in which items are first compared.
    fn looked_at(count: usize) -> Vec<usize> {
        let mut order = Vec::new();
        let mut items: Vec<usize> = (0..count).collect();
        stable_sort(&mut items, &mut |a, b| {
            for item in [a, b] {
                if !order.contains(&item) {
                    order.push(item);
                }
            }
            Ok(a < b)
        })
        .expect("comparing numbers");
        order
    }

    #[test]
    fn the_second_item_is_looked_at_first() {
        assert!(looked_at(1).is_empty());
        assert_eq!(looked_at(2), [1, 0]);
        assert_eq!(looked_at(3), [1, 0, 2]);
        assert_eq!(looked_at(5), [1, 0, 2, 4, 3]);
        // Halves of 9 and 8, sorted seven by seven.
        assert_eq!(looked_at(17), [1, 0, 2, 3, 4, 5, 6, 8, 7, 10, 9, 11, 12, 13, 14, 15, 16]);
    }

    #[test]
    fn it_sorts_and_keeps_equal_items_in_their_order() {
        for count in 0..200_usize {
            let mut items: Vec<(usize, usize)> = (0..count).map(|at| (at * 7919 % 11, at)).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            stable_sort(&mut items, &mut |a, b| Ok(a.0 < b.0)).expect("comparing numbers");
            assert_eq!(items, expected);
        }
    }

    #[test]
    fn an_order_that_contradicts_itself_loses_no_item() {
        for count in 0..100_usize {
            let mut items: Vec<usize> = (0..count).collect();
            // Scissors, paper, stone.
            stable_sort(&mut items, &mut |a, b| Ok((a + 1) % 3 == b % 3)).expect("comparing numbers");
            items.sort_unstable();
            assert!(items.into_iter().eq(0..count));
        }
    }
}
