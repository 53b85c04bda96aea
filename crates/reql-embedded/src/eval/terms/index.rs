//! Secondary indexes: making, dropping, renaming them, and waiting until they are ready.

use std::collections::BTreeSet;

use crate::accounts::Permission;
use crate::datum::Datum;
use crate::error::{At, Error, ErrorKind, Result};
use crate::eval::table::TableRef;
use crate::eval::{Arity, Call, Determinism, Shortcut, Spec, Val, stored};
use crate::storage::{self, IndexSpec, IndexStatus};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::IndexCreate, Arity::between(2, 3), create).optargs(&["multi", "geo"]),
    Spec::new(TermType::IndexDrop, Arity::exactly(2), drop_index),
    Spec::new(TermType::IndexList, Arity::exactly(1), list),
    Spec::new(TermType::IndexStatus, Arity::at_least(1), status),
    Spec::new(TermType::IndexWait, Arity::at_least(1), wait),
    Spec::new(TermType::IndexRename, Arity::exactly(3), rename).optargs(&["overwrite"]),
];

fn create(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let name = call.datum(1)?.as_str()?.clone();
    check_name(call, &table, &name)?;
    let mut spec = IndexSpec { name: name.to_string(), source: String::new(), multi: false, geo: false };
    if call.len() == 3 {
        let function = call.arg(2)?;
        match definition(&function) {
            Some(definition) => {
                spec =
                    IndexSpec { name: spec.name, ..stored::index_from_binary(&definition).at(function.bt)? }
            }
            None => {
                let func = function.into_func(Shortcut::None)?;
                func.check_deterministic(Determinism::ALWAYS, stored::INDEX_HINT)?;
                spec.source = stored::text(&func)?;
            }
        }
    } else {
        spec.source = stored::text_of_field(&name, call.bt())?;
    }
    if let Some(multi) = call.optarg("multi")? {
        spec.multi = multi.into_bool()?;
    }
    if let Some(geo) = call.optarg("geo")? {
        spec.geo = geo.into_bool()?;
    }
    let stored = table.ordinary("you can't create secondary indexes on the tables in it.").at(call.bt())?;
    call.env.require(Permission::Config, table.scope()).at(call.bt())?;
    stored.create_index(spec, false).at(call.bt())?;
    Ok(call.val(Datum::object([("created", Datum::Num(1.0))])))
}

/// Returns the definition of another index, as `index_status` shows it.
fn definition(val: &Val) -> Option<std::sync::Arc<[u8]>> {
    match &val.value {
        crate::eval::Value::Datum(Datum::Binary(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}

fn check_name(call: &Call<'_>, table: &TableRef, name: &str) -> Result<()> {
    if *name == **table.primary_key() {
        return Err(call.fail(format!("Index name conflict: `{name}` is the name of the primary key.")));
    }
    Ok(())
}

fn drop_index(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let name = call.str(1)?;
    changeable(call, &table, &name)?.drop_index(&name).at(call.bt())?;
    Ok(call.val(Datum::object([("dropped", Datum::Num(1.0))])))
}

/// Returns the stored table of an index that is to be changed.
fn changeable<'a>(call: &Call<'_>, table: &'a TableRef, index: &str) -> Result<&'a storage::Table> {
    let Some(stored) = table.stored() else {
        let table = table.display_name();
        return Err(
            call.fail_as(ErrorKind::OpFailed, format!("Index `{index}` does not exist on table `{table}`."))
        );
    };
    call.env.require(Permission::Config, table.scope()).at(call.bt())?;
    Ok(stored)
}

fn list(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let indexes = table.indexes().at(call.bt())?;
    Ok(call.val(Datum::array(indexes.into_iter().map(|index| Datum::str(&index.spec.name)).collect())))
}

/// Returns the names of indexes that a term is about, in the order in which they are looked for.
fn names(call: &mut Call<'_>) -> Result<BTreeSet<String>> {
    (1..call.len()).map(|index| Ok(call.str(index)?.to_string())).collect()
}

fn status(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let names = names(call)?;
    let all = table.indexes().at(call.bt())?;
    if let Some(missing) = names.iter().find(|name| !all.iter().any(|index| index.spec.name == **name)) {
        let table = table.display_name();
        return Err(
            Error::op_failed(format!("Index `{missing}` was not found on table `{table}`.")).at(call.bt())
        );
    }
    let wanted = all.into_iter().filter(|index| names.is_empty() || names.contains(&*index.spec.name));
    let statuses = wanted.map(|index| describe(&index)).collect::<Result<_>>()?;
    Ok(call.val(Datum::array(statuses)))
}

fn wait(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let names = names(call)?;
    let env = call.env;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ready = match (table.stored(), names.first()) {
        (Some(stored), _) => stored.wait_indexes(&names, &|| env.check_wanted()).at(call.bt())?,
        (None, Some(name)) => return table.index(name).map(|_| call.val(Datum::Null)).at(call.bt()),
        (None, None) => Vec::new(),
    };
    let statuses = ready.iter().map(describe).collect::<Result<_>>()?;
    Ok(call.val(Datum::array(statuses)))
}

fn describe(index: &IndexStatus) -> Result<Datum> {
    let spec = &index.spec;
    let mut fields = vec![
        ("index", Datum::str(&spec.name)),
        ("ready", Datum::Bool(index.ready)),
        ("outdated", Datum::Bool(false)),
        ("multi", Datum::Bool(spec.multi)),
        ("geo", Datum::Bool(spec.geo)),
        ("function", Datum::Binary(stored::index_to_binary(spec)?.into())),
        ("query", Datum::from(stored::index_query(spec)?)),
    ];
    if !index.ready {
        fields.push(("progress", Datum::Num(index.processed as f64 / (index.total as f64).max(1.0))));
    }
    Ok(Datum::object(fields))
}

fn rename(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let old = call.str(1)?;
    let new = call.str(2)?;
    check_name(call, &table, &old)?;
    check_name(call, &table, &new)?;
    let overwrite = call.optarg("overwrite")?.map(Val::into_bool).transpose()?.unwrap_or(false);
    changeable(call, &table, &old)?.rename_index(&old, &new, overwrite).at(call.bt())?;
    Ok(call.val(Datum::object([("renamed", Datum::Num(if old == new { 0.0 } else { 1.0 }))])))
}
