//! Which fields an index is over, read from the text that the database keeps of its definition.
//!
//! The text is what the database's web interface shows, such as
//! `indexCreate('a', function(var1) { return r.expr([var1("x"), var1("y")("z")]); })`.

/// The fields, nested ones as `a.b`; `None` if the index is over anything but plain fields.
pub(super) fn fields(definition: &str) -> Option<Vec<String>> {
    let (_, body) = definition.split_once("{ return ")?;
    let (body, _) = body.rsplit_once("; }")?;
    let Some(list) = body.strip_prefix("r.expr([") else {
        let (field, rest) = field(body)?;
        return rest.is_empty().then(|| vec![field]);
    };
    let mut rest = list.strip_suffix("])")?;
    let mut fields = Vec::new();
    loop {
        let (name, after) = field(rest)?;
        fields.push(name);
        match after.strip_prefix(", ") {
            Some(after) => rest = after,
            None => return after.is_empty().then_some(fields),
        }
    }
}

/// A field of the row at the start of a text, and what follows it.
fn field(text: &str) -> Option<(String, &str)> {
    let mut rest = row(text)?;
    let mut names: Vec<String> = Vec::new();
    while let Some(after) = rest.strip_prefix(".getField(").or_else(|| rest.strip_prefix('(')) {
        let mut strings = serde_json::Deserializer::from_str(after).into_iter();
        names.push(strings.next()?.ok()?);
        rest = after.get(strings.byte_offset()..)?.strip_prefix(')')?;
    }
    (!names.is_empty()).then(|| (names.join("."), rest))
}

/// What follows the name of the row.
fn row(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("r.row") {
        return Some(rest);
    }
    let rest = text.strip_prefix('_').unwrap_or(text).strip_prefix("var")?;
    Some(rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Option<Vec<String>> {
        fields(&format!("indexCreate('i', function(var1) {{ return {body}; }}, {{multi: true}})"))
    }

    #[test]
    fn plain_fields_are_recognised() {
        assert_eq!(of("_var19.getField(\"a\")").unwrap(), ["a"]);
        assert_eq!(of("r.row(\"x\")(\"y\")").unwrap(), ["x.y"]);
        assert_eq!(of("r.expr([var2(\"a\"), var2(\"b\")(\"c\")])").unwrap(), ["a", "b.c"]);
        assert_eq!(of("var1(\"a; })\\\"\")").unwrap(), ["a; })\""]);
    }

    #[test]
    fn anything_else_is_not() {
        assert_eq!(of("var1(\"a\").add(1)"), None);
        assert_eq!(of("r.minval"), None);
        assert_eq!(of("r.expr([var1(\"a\"), 1])"), None);
        assert_eq!(of("var1"), None);
        assert_eq!(fields("indexCreate('i')"), None);
    }
}
