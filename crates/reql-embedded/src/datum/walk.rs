//! Looking for something in packed bytes, from the start to the end, without making values.
//!
//! All functions return `None` if the bytes are damaged.

use super::packed::{ARRAY, OBJECT, Scalar, layout, read_bytes, read_scalar};
use super::pseudo::{LITERAL, REQL_TYPE};

/// Returns true if the value at `at` has containers nested more than `limit` levels deep. If not, `at` is
/// then at the end of the value.
pub(super) fn is_deeper_than(bytes: &[u8], at: &mut usize, limit: usize) -> Option<bool> {
    let tag = *bytes.get(*at)?;
    if !matches!(tag, ARRAY | OBJECT) {
        read_scalar(bytes, at)?;
        return Some(false);
    }
    let Some(limit) = limit.checked_sub(1) else { return Some(true) };
    let layout = layout(bytes, *at)?;
    *at = layout.body;
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
        for _ in 0..layout.count {
            if tag == OBJECT {
                read_bytes(bytes, at)?;
            }
            if is_deeper_than(bytes, at, limit)? {
                return Some(true);
            }
        }
        Some(false)
    })
}

/// Returns true if the value at `at` has an object with `$reql_type$: LITERAL` in it. If not, `at` is then at
/// the end of the value.
pub(super) fn holds_literal(bytes: &[u8], at: &mut usize) -> Option<bool> {
    let tag = *bytes.get(*at)?;
    if !matches!(tag, ARRAY | OBJECT) {
        read_scalar(bytes, at)?;
        return Some(false);
    }
    let layout = layout(bytes, *at)?;
    *at = layout.body;
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
        for _ in 0..layout.count {
            let is_type = tag == OBJECT && read_bytes(bytes, at)? == REQL_TYPE.as_bytes();
            if is_type
                && let Some(Scalar::Str(name)) = read_scalar(bytes, &mut { *at })
                && name == LITERAL.as_bytes()
            {
                return Some(true);
            }
            if holds_literal(bytes, at)? {
                return Some(true);
            }
        }
        Some(false)
    })
}
