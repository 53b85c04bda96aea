//! `grant`: the permissions of users.

use super::admin::replacement;
use super::reconfigure::Target;
use crate::accounts::Scope;
use crate::datum::Datum;
use crate::error::{At, Result};
use crate::eval::{Arity, Call, Determinism, Spec, Val, system};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] =
    &[Spec::new(TermType::Grant, Arity::between(2, 3), grant).determinism(Determinism::NO)];

fn grant(call: &mut Call<'_>) -> Result<Val> {
    let has_target = call.len() == 3;
    let at = usize::from(has_target);
    let user = call.str(at)?;
    let permissions = call.datum(at + 1)?;
    let scope = if has_target {
        match Target::of(call.arg(0)?)? {
            Target::Database(db) => db.scope(),
            Target::Table(table) => table.scope(),
        }
    } else {
        Scope::Global
    };
    let (before, after) = system::grant(call.env, &user, &permissions, scope).at(call.bt())?;
    Ok(call.val(Datum::object([
        ("granted", Datum::Num(1.0)),
        ("permissions_changes", replacement(before, after)),
    ])))
}
