//! Write hooks: the function that decides last on the documents that are written to a table.

use crate::accounts::Permission;
use crate::datum::Datum;
use crate::error::{At, Result};
use crate::eval::write::escaped;
use crate::eval::{Arity, Call, Determinism, Shortcut, Spec, Val, Value, stored};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::SetWriteHook, Arity::exactly(2), set).determinism(Determinism::NO),
    Spec::new(TermType::GetWriteHook, Arity::exactly(1), get).determinism(Determinism::NO),
];

fn set(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    if !table.db().is_system() {
        call.env.require(Permission::Config, table.scope()).map_err(escaped)?;
    }
    let existed = table.write_hook()?.is_some();
    let hook = definition(call)?;
    let ordinary = table.ordinary("you can't set a write hook on the tables in it.").at(call.bt())?;
    let done = match (&hook, existed) {
        (None, _) => "deleted",
        (Some(_), true) => "replaced",
        (Some(_), false) => "created",
    };
    ordinary
        .alter(move |config| {
            config.write_hook = hook;
            Ok(())
        })
        .at(call.bt())?;
    Ok(call.val(Datum::object([(done, Datum::Num(1.0))])))
}

/// Returns the text of the function; `None` to remove it.
fn definition(call: &mut Call<'_>) -> Result<Option<String>> {
    let hook = call.arg(1)?;
    let bt = hook.bt;
    let (func, text) = match &hook.value {
        Value::Datum(Datum::Null) => return Ok(None),
        Value::Datum(Datum::Binary(bytes)) => {
            let text = stored::hook_from_binary(bytes).at(call.bt())?;
            (stored::function(&text).at(bt)?, text)
        }
        _ => {
            let func = hook.into_func(Shortcut::None)?;
            func.check_deterministic(Determinism::ALWAYS, stored::HOOK_HINT)?;
            let text = stored::text(&func)?;
            (func, text)
        }
    };
    if func.arity() != Some(3) {
        return Err(call.fail("Write hook functions must expect 3 arguments."));
    }
    Ok(Some(text))
}

fn get(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let Some(ordinary) = table.stored() else { return Ok(call.val(Datum::Null)) };
    call.env.require(Permission::Config, table.scope()).at(call.bt())?;
    let hook = ordinary.config().write_hook.as_deref();
    Ok(call.val(hook.map_or(Ok(Datum::Null), stored::hook_row)?))
}
