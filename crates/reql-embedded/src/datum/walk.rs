//! Going through packed bytes from the start to the end, without making values.
//!
//! All functions return `None` if the bytes are damaged.

use super::packed::{ARRAY, OBJECT, Scalar, layout, read_bytes, read_scalar};
use super::pseudo::{LITERAL, REQL_TYPE};

/// Receives a packed value part by part. A visitor returns `None` for text that is no text, since the bytes
/// are damaged then.
pub(super) trait Visitor {
    fn scalar(&mut self, value: Scalar<'_>) -> Option<()>;
    fn open(&mut self, bracket: u8);
    fn separator(&mut self);
    /// Visits a key: the bytes of a [`text`](super::packed::text).
    fn key(&mut self, key: &[u8]) -> Option<()>;
    fn close(&mut self, bracket: u8);
}

/// Goes through a value from `at` to its end: the parts of a container follow each other.
pub(super) fn visit<V: Visitor>(bytes: &[u8], at: &mut usize, visitor: &mut V) -> Option<()> {
    match *bytes.get(*at)? {
        tag @ (ARRAY | OBJECT) => {
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || visit_container(bytes, at, tag == OBJECT, visitor))
        }
        _ => visitor.scalar(read_scalar(bytes, at)?),
    }
}

fn visit_container<V: Visitor>(bytes: &[u8], at: &mut usize, is_object: bool, visitor: &mut V) -> Option<()> {
    let layout = layout(bytes, *at)?;
    *at = layout.body;
    visitor.open(if is_object { b'{' } else { b'[' });
    for index in 0..layout.count {
        if index > 0 {
            visitor.separator();
        }
        if is_object {
            visitor.key(read_bytes(bytes, at)?)?;
        }
        visit(bytes, at, visitor)?;
    }
    visitor.close(if is_object { b'}' } else { b']' });
    Some(())
}

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
