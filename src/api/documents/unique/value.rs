//! The values of unique fields, as the database compares them.

use serde_json::Value;

use crate::names::PSEUDO_TYPE;

/// Returns a text that is equal for values that the database takes for equal; `None` for types that aren't
/// compared.
pub(super) fn canonical(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(format!("s{text}")),
        Value::Bool(value) => Some(format!("b{value}")),
        // Without the sign of zero.
        Value::Number(number) => Some(format!("n{}", number.as_f64()? + 0.0)),
        Value::Object(fields) => match fields.get(PSEUDO_TYPE)?.as_str()? {
            // Times are equal whatever their zones.
            "TIME" => Some(format!("t{}", fields.get("epoch_time")?.as_f64()? + 0.0)),
            "BINARY" => Some(format!("x{}", fields.get("data")?.as_str()?)),
            _ => None,
        },
        Value::Null | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_have_one_text() {
        let time = |zone: &str| json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": zone});
        for (one, other) in
            [(json!(1), json!(1.0)), (json!(0), json!(-0.0)), (time("+00:00"), time("+02:00"))]
        {
            assert_eq!(canonical(&one).unwrap(), canonical(&other).unwrap());
        }
        for (one, other) in [(json!("1"), json!(1)), (json!("true"), json!(true)), (json!("a"), json!("A"))] {
            assert_ne!(canonical(&one).unwrap(), canonical(&other).unwrap());
        }
        for none in [json!(null), json!([1]), json!({"a": 1})] {
            assert_eq!(canonical(&none), None);
        }
    }
}
