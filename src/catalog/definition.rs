//! Reads the fields of an index from the text that the database keeps of its definition.
//!
//! The text is what the database's web interface shows, such as
//! `indexCreate('a', function(var1) { return r.expr([var1("x"), var1("y")("z")]); })`. The text is broken
//! into lines of 80 columns, and cut off where it is deep. Names stand in it as they are, without escapes. So
//! a name that holds a quote can't be told from several.

use crate::query::Path;

/// Returns the fields; `None` if the index is over anything but plain fields.
pub(crate) fn fields(definition: &str) -> Option<Vec<Path>> {
    let (_, body) = definition.split_once("{ return ")?;
    let (body, _) = body.rsplit_once("; }")?;
    let Some(list) = body.strip_prefix("r.expr([") else {
        let (field, rest) = field(body)?;
        return rest.is_empty().then(|| vec![field]);
    };
    let mut rest = list.strip_suffix("])")?;
    let mut fields = Vec::new();
    loop {
        let (name, after) = field(rest.trim_start())?;
        fields.push(name);
        match after.trim_start().strip_prefix(',') {
            Some(after) => rest = after,
            // The entries of a list of one are arrays, unlike those of its field.
            None => return (after.trim().is_empty() && fields.len() > 1).then_some(fields),
        }
    }
}

/// Reads a field of the row at the start of a text. Returns the rest of the text, too.
fn field(text: &str) -> Option<(Path, &str)> {
    let mut rest = row(text)?;
    let mut names: Vec<String> = Vec::new();
    loop {
        let access = rest.trim_start();
        let Some(after) = access.strip_prefix(".getField(").or_else(|| access.strip_prefix('(')) else {
            return Some((Path::of_names(names)?, rest));
        };
        let (name, after) = after.trim_start().strip_prefix('"')?.split_once('"')?;
        names.push(name.to_owned());
        rest = after.trim_start().strip_prefix(')')?;
    }
}

/// Returns the text after the name of the row.
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
        let fields =
            fields(&format!("indexCreate('i', function(var1) {{ return {body}; }}, {{multi: true}})"))?;
        Some(fields.iter().map(Path::to_string).collect())
    }

    #[test]
    fn plain_fields_are_recognised() {
        assert_eq!(of("_var19.getField(\"a\")").unwrap(), ["a"]);
        assert_eq!(of("r.row(\"x\")(\"y\")").unwrap(), ["x.y"]);
        assert_eq!(of("r.expr([var2(\"a\"), var2(\"b\")(\"c\")])").unwrap(), ["a", "b.c"]);
        assert_eq!(of("var1(\"a; })\\\")").unwrap(), ["\"a; })\\\\\""], "a name is not escaped");
        assert_eq!(of("r.expr([var1(\"a\"),\n        var1(\"b\")\n  (\"c\")])").unwrap(), ["a", "b.c"]);
        // Of one field, not of a nested one.
        assert_eq!(of("var1(\"a.b\")(\"c\")").unwrap(), ["\"a.b\".c"]);
    }

    #[test]
    fn anything_else_is_not() {
        assert_eq!(of("var1(\"a\").add(1)"), None);
        assert_eq!(of("r.minval"), None);
        assert_eq!(of("r.expr([var1(\"a\")])"), None, "its entries are arrays");
        assert_eq!(of("r.expr([var1(\"a\"), 1])"), None);
        assert_eq!(of("var1"), None);
        assert_eq!(of("var1(\"a\"b\")"), None);
        assert_eq!(of("...(\"a\")"), None);
        assert_eq!(of(&format!("var1{}", "(\"a\")".repeat(100_000))), None);
        assert!(fields("indexCreate('i')").is_none());
    }
}
