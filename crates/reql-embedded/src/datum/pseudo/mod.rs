//! Pseudo-types: objects whose `$reql_type$` field makes them times, geometry, literals or binary strings.

pub mod binary;
pub mod geometry;
pub mod literal;
pub mod time;

use super::{Datum, Object};
use crate::error::{Error, Result};

/// The field that makes an object a pseudo-type.
pub const REQL_TYPE: &str = "$reql_type$";
/// A point in time with a time zone.
pub const TIME: &str = "TIME";
/// A GeoJSON geometry.
pub const GEOMETRY: &str = "GEOMETRY";
/// `r.literal`, which is only allowed in the arguments of `merge` and `update`.
pub const LITERAL: &str = "LITERAL";
/// Bytes in base64.
pub const BINARY: &str = "BINARY";

/// The treatment of `r.literal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literals {
    /// Parts of queries, which may end up in `merge` or `update`.
    Allowed,
    /// Everything else.
    Refused,
}

/// Turns a new object into the value that it stands for: checks pseudo-types, normalises times, decodes
/// binary strings (`datum_t::maybe_sanitize_ptype`).
pub fn sanitize(object: Object, literals: Literals) -> Result<Datum> {
    let Some(kind) = object.get(REQL_TYPE) else { return Ok(Datum::Object(object)) };
    let Datum::Str(name) = &kind else {
        return Err(Error::logic(format!(
            "Error: Field `{REQL_TYPE}` must be a string (got `{}` of type {}):\n{}",
            kind.trunc_print(),
            kind.type_name(),
            Datum::Object(object).trunc_print()
        )));
    };
    match &**name {
        TIME => time::sanitize(object),
        GEOMETRY => geometry::sanitize(object),
        LITERAL => literal::sanitize(object, literals),
        BINARY => binary::decode(&object),
        _ => Err(Error::logic(format!("Unknown $reql_type$ `PTYPE<{name}>`."))),
    }
}
