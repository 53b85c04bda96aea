//! Values as error messages show them: JSON indented by tabs, cut to a readable length.

use super::size::EXTREMUM;
use super::text::cut;
use super::{Datum, MAX_VALUE, json, too_large};
use crate::error::Result;

/// The bytes of a value that an error message shows at most. RethinkDB has no such limit.
const MAX_PRINT: usize = 64 << 10;

/// The bytes of a value that an error message shows at most where RethinkDB cuts it (`trunc_print`).
const MAX_TRUNCATED: usize = 300;

impl Datum {
    /// Returns the value as indented JSON, as error messages show it, cut to 64 KiB.
    pub fn print(&self) -> String {
        shortened(self, MAX_PRINT)
    }

    /// Returns the text of [`print`](Self::print), cut to 300 bytes.
    pub fn trunc_print(&self) -> String {
        shortened(self, MAX_TRUNCATED)
    }

    /// Returns the value for an error message that shows it as RethinkDB does. Fails, as RethinkDB does, if a
    /// bound of ranges is anywhere inside: there is no JSON for those.
    pub fn printable(&self) -> Result<&Datum> {
        if self.marks() & EXTREMUM != 0 {
            json::to_string(self)?;
        }
        Ok(self)
    }

    /// Returns the whole text of [`print`](Self::print). Fails for bounds of ranges, and if the text is
    /// longer than a value may be.
    pub fn print_whole(&self) -> Result<String> {
        self.printable()?;
        let mut printer = Printer { out: Vec::new(), limit: MAX_VALUE };
        printer.write(self, 0);
        if printer.is_full() { Err(too_large()) } else { Ok(printer.text()) }
    }
}

fn shortened(datum: &Datum, limit: usize) -> String {
    let mut printer = Printer { out: Vec::new(), limit };
    printer.write(datum, 0);
    let mut text = printer.text();
    shorten(&mut text, limit);
    text
}

/// Cuts a text for an error message to 300 bytes.
pub(crate) fn truncate(text: &mut String) {
    shorten(text, MAX_TRUNCATED);
}

/// Cuts a text to a number of bytes, of which the last are dots.
pub(crate) fn shorten(text: &mut String, limit: usize) {
    const DOTS: &str = "...";
    if text.len() > limit {
        text.truncate(cut(text, limit - DOTS.len()).len());
        text.push_str(DOTS);
    }
}

/// Writes values until the limit is exceeded, so that the rest costs nothing.
struct Printer {
    out: Vec<u8>,
    limit: usize,
}

impl Printer {
    fn is_full(&self) -> bool {
        self.out.len() > self.limit
    }

    fn text(self) -> String {
        // Only text went in.
        String::from_utf8(self.out).unwrap_or_default()
    }

    /// Writes a value. A binary string alone stays in the line, without a space before it. Bounds of ranges
    /// show by name.
    fn write(&mut self, datum: &Datum, depth: usize) {
        match datum {
            Datum::Array(items) if !items.is_empty() => {
                self.block(*b"[]", depth, items.iter(), |printer, item| {
                    if !matches!(item, Datum::Binary(_)) {
                        printer.indent(depth + 1);
                    }
                    printer.write(&item, depth + 1);
                });
            }
            Datum::Object(object) if !object.is_empty() => {
                self.block(*b"{}", depth, object.iter(), |printer, (key, value)| {
                    printer.indent(depth + 1);
                    printer.str(key);
                    printer.out.push(b':');
                    if !matches!(value, Datum::Binary(_)) {
                        printer.out.push(b'\t');
                    }
                    printer.write(&value, depth + 1);
                });
            }
            Datum::MinVal => self.out.extend_from_slice(b"r.minval"),
            Datum::MaxVal => self.out.extend_from_slice(b"r.maxval"),
            Datum::Damaged => self.out.extend_from_slice(b"(damaged)"),
            Datum::Str(text) => self.str(text),
            Datum::Binary(bytes) => {
                json::write_binary(&bytes[..bytes.len().min(self.enough())], &mut self.out);
            }
            scalar => json::write(scalar, &mut self.out).unwrap_or_default(),
        }
    }

    fn block<T>(
        &mut self,
        [open, close]: [u8; 2],
        depth: usize,
        items: impl Iterator<Item = T>,
        mut write_item: impl FnMut(&mut Self, T),
    ) {
        self.out.push(open);
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
            for (index, item) in items.enumerate() {
                if self.is_full() {
                    return;
                }
                if index > 0 {
                    self.out.push(b',');
                }
                write_item(self, item);
            }
            self.indent(depth);
            self.out.push(close);
        });
    }

    fn indent(&mut self, depth: usize) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + depth.min(self.enough()), b'\t');
    }

    fn str(&mut self, text: &str) {
        json::write_str(cut(text, self.enough()), &mut self.out);
    }

    /// Returns the beginning of a text that is sure to exceed the limit, even after the last character is
    /// left out.
    fn enough(&self) -> usize {
        self.limit + 4
    }
}

#[cfg(test)]
mod tests {
    use super::super::MAX_LEVELS;
    use super::*;

    #[test]
    fn values_are_indented_but_for_binary_strings() {
        let binary = Datum::Binary([1, 2].as_slice().into());
        let value = Datum::object([
            ("a", Datum::array(vec![Datum::Num(1.0), binary.clone(), Datum::empty_array()])),
            ("b", binary),
            ("c", Datum::Null),
        ]);
        let base64 = "{\"$reql_type$\":\"BINARY\",\"data\":\"AQI=\"}";
        let text =
            format!("{{\n\t\"a\":\t[\n\t\t1,{base64},\n\t\t[]\n\t],\n\t\"b\":{base64},\n\t\"c\":\tnull\n}}");
        assert_eq!(value.print(), text);
        assert_eq!(value.print_whole().expect("a short text"), text);
    }

    #[test]
    fn bounds_of_ranges_are_not_printable() {
        for (bound, name) in [(Datum::MinVal, "r.minval"), (Datum::MaxVal, "r.maxval")] {
            assert_eq!(bound.print(), name);
            let message = format!("Cannot convert `{name}` to JSON.");
            let around = Datum::array(vec![Datum::Null, Datum::object([("a", bound)])]);
            assert_eq!(around.printable().expect_err("no JSON").message(), message);
            assert_eq!(around.print_whole().expect_err("no JSON").message(), message);
        }
        assert!(Datum::array(vec![Datum::Null]).printable().is_ok());
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        for text in ["x".repeat(298), "x".repeat(299), "é".repeat(200), "\u{1}".repeat(400)] {
            let whole = Datum::str(&text).print_whole().expect("a short text");
            let shown = Datum::str(&text).trunc_print();
            if whole.len() <= 300 {
                assert_eq!(shown, whole);
            } else {
                assert!((298..=300).contains(&shown.len()), "{} bytes", shown.len());
                assert!(whole.starts_with(shown.strip_suffix("...").expect("dots")));
            }
        }
    }

    #[test]
    fn what_is_not_shown_costs_nothing() {
        let long = Datum::str("x".repeat(1 << 20));
        let wide = (0..25).fold(long.clone(), |inner, _| Datum::array(vec![inner.clone(), inner]));
        let deep = (0..MAX_LEVELS).fold(long.clone(), |inner, _| Datum::object([("a", inner)]));
        let binary = Datum::Binary(vec![0; 1 << 20].into());
        let key = Datum::object([("x".repeat(1 << 20), Datum::Null)]);
        for value in [long, wide, deep, binary, key] {
            let mut printer = Printer { out: Vec::new(), limit: MAX_TRUNCATED };
            printer.write(&value, 0);
            assert!(printer.out.len() < 4 * MAX_TRUNCATED, "{} bytes", printer.out.len());
            assert_eq!(value.print().len(), MAX_PRINT);
        }
    }

    #[test]
    fn a_text_longer_than_a_value_is_no_value() {
        let deep = (0..MAX_LEVELS).fold(Datum::Null, |inner, _| Datum::array(vec![inner]));
        assert_eq!(deep.print_whole().expect_err("too long").message(), too_large().message());
    }
}
