//! Values of JavaScript and of ReQL, each made from the other.

use rquickjs::function::This;
use rquickjs::object::Property;
use rquickjs::{Array, Coerced, Ctx, Exception, Function, IntoJs, Object, Value};

use super::OUT_OF_MEMORY;
use crate::datum::pseudo::{self, Literals, time};
use crate::datum::{Datum, ObjectBuilder, damaged};
use crate::error::Error;
use crate::eval::Limits;

/// The levels to which values may be nested: the worker's stack has room for that.
const DEPTH: usize = 500;

type Converted<T> = Result<T, String>;

/// Converts a value of JavaScript to one of ReQL.
pub fn to_datum(value: Value<'_>, limits: Limits) -> Converted<Datum> {
    datum_within(value, limits, DEPTH)
}

fn datum_within(value: Value<'_>, limits: Limits, depth: usize) -> Converted<Datum> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err("Recursion limit exceeded in js_to_json (circular reference?).".into());
    };
    if let Some(text) = value.as_string() {
        return text.to_string().map(Datum::from).map_err(|error| text_failure(&error));
    }
    if value.is_object() {
        let object = Object::from_value(value).map_err(|_| unknown())?;
        return object_within(&object, limits, depth);
    }
    match (value.as_number(), value.as_bool()) {
        (Some(number), _) if number.is_finite() => Ok(Datum::Num(number)),
        (Some(_), _) => Err("Number return value is not finite.".into()),
        (None, Some(truth)) => Ok(Datum::Bool(truth)),
        (None, None) if value.is_null() => Ok(Datum::Null),
        (None, None) if value.is_undefined() => {
            Err("Cannot convert javascript `undefined` to ql::datum_t.".into())
        }
        (None, None) => Err(unknown()),
    }
}

fn object_within(object: &Object<'_>, limits: Limits, depth: usize) -> Converted<Datum> {
    if object.is_array() {
        items(object, limits, depth)
    } else if object.is_function() {
        Err("Cannot convert function to ql::datum_t.".into())
    } else if is_made_by(object, "RegExp") {
        Err("Cannot convert RegExp to ql::datum_t.".into())
    } else if is_made_by(object, "Date") {
        date(object)
    } else {
        fields(object, limits, depth)
    }
}

/// Returns RethinkDB's text for errors that it doesn't know, and for those that couldn't be read.
fn unknown() -> String {
    "Unhandled value type when converting to ql::datum_t.".into()
}

fn text_failure(error: &rquickjs::Error) -> String {
    match error {
        rquickjs::Error::Utf8(_) => "Cannot convert a string with a lone surrogate to ql::datum_t.".into(),
        _ => OUT_OF_MEMORY.into(),
    }
}

fn message(error: Error) -> String {
    error.message().to_owned()
}

/// Returns true if an object is directly of a class. RethinkDB looks the class up where the script would find
/// it.
fn is_made_by(object: &Object<'_>, class: &str) -> bool {
    // Reading the prototype of a proxy may fail, which the binding doesn't report.
    if object.is_proxy() {
        return false;
    }
    let prototype = object
        .ctx()
        .globals()
        .get::<_, Object>(class)
        .and_then(|constructor| constructor.get::<_, Object>("prototype"));
    matches!((prototype, object.get_prototype()), (Ok(wanted), Some(found)) if wanted == found)
}

fn items(array: &Object<'_>, limits: Limits, depth: usize) -> Converted<Datum> {
    let length = array.get::<_, Value>("length").ok().and_then(|length| length.as_number());
    let length = length.ok_or_else(|| "Array length is not a number".to_owned())? as u32;
    limits.check_array(usize::try_from(length).unwrap_or(usize::MAX)).map_err(message)?;
    (0..length)
        .map(|index| {
            let item = array.get(index).map_err(|_| unknown())?;
            datum_within(item, limits, depth)
        })
        .collect::<Converted<Vec<Datum>>>()
        .map(Datum::array)
}

fn date(date: &Object<'_>) -> Converted<Datum> {
    let milliseconds = date
        .get::<_, Function>("valueOf")
        .and_then(|value_of| value_of.call::<_, Coerced<f64>>((This(date.clone()),)))
        .map_err(|_| "Invalid Date in JS environment".to_owned())?;
    time::make(milliseconds.0 / 1000.0, "+00:00").map_err(message)
}

fn fields(object: &Object<'_>, limits: Limits, depth: usize) -> Converted<Datum> {
    let mut builder = ObjectBuilder::new();
    for name in object.keys::<rquickjs::Atom>() {
        let name = name.map_err(|_| "Could not get object properties.".to_owned())?;
        let value = object.get(name.clone()).map_err(|_| unknown())?;
        let value = datum_within(value, limits, depth)?;
        // As an atom, the name would not be checked for lone surrogates.
        let name = name.to_js_string().and_then(|name| name.to_string());
        builder.insert(name.map_err(|error| text_failure(&error))?, value);
    }
    pseudo::sanitize(builder.build(), Literals::Refused).map_err(message)
}

/// Converts a value of ReQL to one of JavaScript.
pub fn from_datum<'js>(ctx: &Ctx<'js>, datum: &Datum) -> Converted<Value<'js>> {
    value_within(ctx, datum, DEPTH)
}

fn value_within<'js>(ctx: &Ctx<'js>, datum: &Datum, depth: usize) -> Converted<Value<'js>> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(format!("Values passed to `r.js` may be nested {DEPTH} levels deep at most."));
    };
    match datum {
        Datum::MinVal => Err("`r.minval` cannot be passed to `r.js`.".into()),
        Datum::MaxVal => Err("`r.maxval` cannot be passed to `r.js`.".into()),
        Datum::Damaged => Err(message(damaged())),
        Datum::Binary(_) => Err("`r.binary` data cannot be used in `r.js`.".into()),
        Datum::Null => Ok(Value::new_null(ctx.clone())),
        Datum::Bool(truth) => Ok(Value::new_bool(ctx.clone(), *truth)),
        Datum::Num(number) => Ok(Value::new_float(ctx.clone(), *number)),
        Datum::Str(text) => (**text).into_js(ctx).map_err(|_| raised(ctx, "")),
        Datum::Array(items) => {
            let array = Array::new(ctx.clone())
                .map_err(|_| raised(ctx, "JS exception constructing new array: "))?
                .into_object();
            for (index, item) in (0_u32..).zip(items.iter()) {
                let value = value_within(ctx, &item, depth)?;
                array.prop(index, own(value)).map_err(|_| "JS error appending array element".to_owned())?;
            }
            Ok(array.into_value())
        }
        Datum::Object(_) if datum.is_ptype(pseudo::TIME) => {
            let construct = || {
                let class: rquickjs::function::Constructor = ctx.globals().get("Date")?;
                class.construct((time::epoch(datum) * 1000.0,))
            };
            construct().map_err(|_| raised(ctx, "Exception invoking Date constructor: "))
        }
        Datum::Object(fields) => {
            let object = Object::new(ctx.clone()).map_err(|_| raised(ctx, ""))?;
            for (name, value) in fields.iter() {
                let value = value_within(ctx, &value, depth)?;
                object.prop(name, own(value)).map_err(|_| "JS error adding object property".to_owned())?;
            }
            Ok(object.into_value())
        }
    }
}

/// Makes a property like that of a literal. Assignment would run setters instead, and let `__proto__` change
/// the class.
fn own(value: Value<'_>) -> Property<Value<'_>> {
    Property::from(value).writable().enumerable().configurable()
}

/// Returns the exception that the engine has just raised, as text.
fn raised(ctx: &Ctx<'_>, what: &str) -> String {
    let exception = ctx.catch();
    let text = match exception.as_exception().map(Exception::message) {
        Some(Some(text)) => text,
        _ => "out of memory".into(),
    };
    format!("{what}InternalError: {text}")
}
