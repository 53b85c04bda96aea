//! Times and the constants of the calendar.

use std::cmp::Ordering;

use crate::budget::fuel;
use crate::datum::Datum;
use crate::datum::pseudo::TIME;
use crate::datum::pseudo::time::calendar::{self, Portion, TimeOfDay};
use crate::datum::pseudo::time::{self, iso8601};
use crate::error::{At, Bt, Error, Result};
use crate::eval::terms::table::is_open;
use crate::eval::{Arity, Call, Determinism, Spec};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::plain(TermType::Now, Arity::exactly(0), now).determinism(Determinism::CONSTANT_NOW),
    Spec::plain(TermType::Time, Arity::between(4, 7), time_term),
    Spec::plain(TermType::EpochTime, Arity::exactly(1), epoch_time),
    Spec::plain(TermType::Iso8601, Arity::exactly(1), from_iso8601).optargs(&["default_timezone"]),
    Spec::plain(TermType::ToEpochTime, Arity::exactly(1), to_epoch_time),
    Spec::plain(TermType::ToIso8601, Arity::exactly(1), to_iso8601),
    Spec::plain(TermType::InTimezone, Arity::exactly(2), in_timezone),
    Spec::plain(TermType::Timezone, Arity::exactly(1), timezone),
    Spec::plain(TermType::During, Arity::exactly(3), during).optargs(&["left_bound", "right_bound"]),
    Spec::plain(TermType::Date, Arity::exactly(1), date),
    Spec::plain(TermType::TimeOfDay, Arity::exactly(1), time_of_day),
    portion_spec(TermType::Year),
    portion_spec(TermType::Month),
    portion_spec(TermType::Day),
    portion_spec(TermType::DayOfWeek),
    portion_spec(TermType::DayOfYear),
    portion_spec(TermType::Hours),
    portion_spec(TermType::Minutes),
    portion_spec(TermType::Seconds),
    constant_spec(TermType::Monday),
    constant_spec(TermType::Tuesday),
    constant_spec(TermType::Wednesday),
    constant_spec(TermType::Thursday),
    constant_spec(TermType::Friday),
    constant_spec(TermType::Saturday),
    constant_spec(TermType::Sunday),
    constant_spec(TermType::January),
    constant_spec(TermType::February),
    constant_spec(TermType::March),
    constant_spec(TermType::April),
    constant_spec(TermType::May),
    constant_spec(TermType::June),
    constant_spec(TermType::July),
    constant_spec(TermType::August),
    constant_spec(TermType::September),
    constant_spec(TermType::October),
    constant_spec(TermType::November),
    constant_spec(TermType::December),
];

const fn portion_spec(kind: TermType) -> Spec {
    Spec::plain(kind, Arity::exactly(1), portion)
}

const fn constant_spec(kind: TermType) -> Spec {
    Spec::plain(kind, Arity::exactly(0), constant)
}

fn now(call: &mut Call<'_>) -> Result<Datum> {
    call.env.now()
}

/// Returns an argument that has to be a time.
fn time_arg(call: &mut Call<'_>, index: usize) -> Result<Datum> {
    let (time, bt) = call.placed(index)?;
    as_time(time, bt)
}

/// Takes a value for a time. Other pseudo-types are only told apart by the field that they lack.
fn as_time(time: Datum, bt: Bt) -> Result<Datum> {
    match time.reql_type() {
        Some(name) if *name == *TIME => Ok(time),
        Some(_) => time.field(time::EPOCH_TIME).and(Err(not_a_time(&time))),
        None => Err(not_a_time(&time).at(bt)),
    }
}

fn not_a_time(value: &Datum) -> Error {
    match value.printable() {
        Ok(value) => Error::logic(format!("Not a TIME pseudotype: `{}`.", value.trunc_print())),
        Err(error) => error,
    }
}

fn time_term(call: &mut Call<'_>) -> Result<Datum> {
    let count = call.len();
    if !matches!(count, 4 | 7) {
        call.arg(0)?;
        return Err(call.fail(format!("Got {count} arguments to TIME (expected 4 or 7).")));
    }
    let date = (int(call, 0)?, int(call, 1)?, int(call, 2)?);
    let of_day = match count {
        4 => TimeOfDay::default(),
        _ => TimeOfDay { hours: int(call, 3)?, minutes: int(call, 4)?, seconds: call.num(5)? },
    };
    let zone = call.str(count - 1)?;
    calendar::from_parts(date, of_day, &zone).at(call.bt())
}

fn int(call: &mut Call<'_>, index: usize) -> Result<i32> {
    let (arg, bt) = call.look(index)?;
    let int = arg.as_int().at(bt)?;
    i32::try_from(int).map_err(|_| Error::logic(format!("Integer too large: {int}")).at(bt))
}

fn epoch_time(call: &mut Call<'_>) -> Result<Datum> {
    let seconds = call.num(0)?;
    time::make(seconds, "+00:00")
}

fn from_iso8601(call: &mut Call<'_>) -> Result<Datum> {
    let (text, bt) = call.placed(0)?;
    let zone = match call.optarg("default_timezone")? {
        Some(zone) => zone.into_str()?,
        None => "".into(),
    };
    let text = text.as_str().at(bt)?;
    // Little is looked at of what is no time, but the error tells of it.
    fuel::spend_bytes(text.len() + zone.len())?;
    let _aside = fuel::aside(2 * (text.len() + zone.len()))?;
    iso8601::parse(text, &zone).at(bt)
}

fn to_epoch_time(call: &mut Call<'_>) -> Result<Datum> {
    let time = time_arg(call, 0)?;
    Ok(Datum::Num(time::epoch(&time)))
}

fn to_iso8601(call: &mut Call<'_>) -> Result<Datum> {
    let time = time_arg(call, 0)?;
    Ok(Datum::from(iso8601::format(&time)?))
}

fn in_timezone(call: &mut Call<'_>) -> Result<Datum> {
    let (time, bt) = call.placed(0)?;
    let zone = call.datum(1)?;
    let zone = zone.as_str()?;
    fuel::spend_bytes(zone.len())?;
    let _aside = fuel::aside(2 * zone.len())?;
    time::in_timezone(&as_time(time, bt)?, zone)
}

fn timezone(call: &mut Call<'_>) -> Result<Datum> {
    let time = time_arg(call, 0)?;
    Ok(time::timezone(&time))
}

fn during(call: &mut Call<'_>) -> Result<Datum> {
    let (time, left, right) = (time_arg(call, 0)?, time_arg(call, 1)?, time_arg(call, 2)?);
    // A bound is only evaluated if it matters.
    let within = |order: Ordering, name, open| match order {
        Ordering::Less => Ok(true),
        Ordering::Equal => is_open(call, name, open).map(|is_open| !is_open),
        Ordering::Greater => Ok(false),
    };
    let is_within = within(time::compare(&left, &time), "left_bound", false)?
        && within(time::compare(&time, &right), "right_bound", true)?;
    Ok(Datum::Bool(is_within))
}

fn date(call: &mut Call<'_>) -> Result<Datum> {
    let time = time_arg(call, 0)?;
    calendar::date(&time)
}

fn time_of_day(call: &mut Call<'_>) -> Result<Datum> {
    let time = time_arg(call, 0)?;
    Ok(Datum::Num(calendar::time_of_day(&time)?))
}

fn portion(call: &mut Call<'_>) -> Result<Datum> {
    let portion = match call.kind() {
        TermType::Year => Portion::Year,
        TermType::Month => Portion::Month,
        TermType::Day => Portion::Day,
        TermType::DayOfWeek => Portion::DayOfWeek,
        TermType::DayOfYear => Portion::DayOfYear,
        TermType::Hours => Portion::Hours,
        TermType::Minutes => Portion::Minutes,
        _ => Portion::Seconds,
    };
    let time = time_arg(call, 0)?;
    Ok(Datum::Num(calendar::portion(&time, portion)?))
}

/// Returns a day of the week or a month, which count from 1, in the order of their numbers in the protocol.
fn constant(call: &mut Call<'_>) -> Result<Datum> {
    let number = call.kind().number();
    let first = if number < TermType::January.number() { TermType::Monday } else { TermType::January };
    Ok(Datum::Num(f64::from(number - first.number() + 1)))
}
