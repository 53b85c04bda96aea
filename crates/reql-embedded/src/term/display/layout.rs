//! Lays text out in lines of limited width.
//!
//! A document says where lines may break, and which parts belong together. A group that fits stays on its
//! line; another is broken at all its own breaks. The method is Oppen's ("Prettyprinting", 1980), with
//! indentation to the column in which a group starts.

use std::borrow::Cow;

/// A piece of text with its width on one line.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    width: usize,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Text(Cow<'static, str>),
    /// `flat` on one line, or else a new line that starts with `lead`.
    Break {
        flat: &'static str,
        lead: &'static str,
    },
    NewLine,
    Concat(Vec<Doc>),
    Group(Box<Doc>),
}

impl Doc {
    pub(super) fn text(text: impl Into<Cow<'static, str>>) -> Doc {
        let text = text.into();
        Doc { width: text.len(), content: Content::Text(text) }
    }

    /// Returns a place where a line may break.
    pub(super) fn soft_break(flat: &'static str, lead: &'static str) -> Doc {
        Doc { width: flat.len(), content: Content::Break { flat, lead } }
    }

    /// Returns a place where a line does break.
    pub(super) fn new_line() -> Doc {
        Doc { width: 0, content: Content::NewLine }
    }

    /// Joins documents.
    pub(super) fn concat(docs: impl IntoIterator<Item = Doc>) -> Doc {
        let docs: Vec<Doc> = docs.into_iter().collect();
        Doc { width: docs.iter().map(|doc| doc.width).sum(), content: Content::Concat(docs) }
    }

    /// Joins documents, indented together, on one line if they fit.
    pub(super) fn group(docs: impl IntoIterator<Item = Doc>) -> Doc {
        let doc = Doc::concat(docs);
        Doc { width: doc.width, content: Content::Group(Box::new(doc)) }
    }

    pub(super) fn is_break(&self) -> bool {
        matches!(self.content, Content::Break { .. })
    }

    /// Returns the text in lines of at most `width` bytes, as far as that is possible.
    pub(super) fn print(&self, width: usize) -> String {
        let mut printer = Printer { width, edge: width, ..Printer::default() };
        printer.print(self);
        printer.out
    }
}

/// Prints a document. `column` is the position in the line; `flat` would be the position if no line had been
/// broken.
#[derive(Default)]
struct Printer {
    out: String,
    width: usize,
    column: usize,
    flat: usize,
    /// The end of the line, counted flat.
    edge: usize,
    /// Number of the open groups that are known to fit.
    fitting: usize,
    indents: Vec<usize>,
}

impl Printer {
    fn print(&mut self, doc: &Doc) {
        match &doc.content {
            Content::Text(text) => {
                self.flat += doc.width;
                self.put(text);
            }
            Content::Break { flat, lead } => {
                self.flat += doc.width;
                if self.fitting == 0 {
                    self.start_line(lead);
                } else {
                    self.put(flat);
                }
            }
            Content::NewLine => self.start_line(""),
            Content::Concat(docs) => docs.iter().for_each(|doc| self.print(doc)),
            Content::Group(inner) => self.print_group(inner),
        }
    }

    fn print_group(&mut self, inner: &Doc) {
        let fits = self.fitting > 0 || self.flat + inner.width <= self.edge;
        self.fitting = if fits { self.fitting + 1 } else { 0 };
        self.indents.push(self.column);
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.print(inner));
        self.indents.pop();
        self.fitting = self.fitting.saturating_sub(1);
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }

    fn start_line(&mut self, lead: &str) {
        let indent = self.indents.last().copied().unwrap_or_default();
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
        self.put(lead);
        self.fitting = 0;
        self.edge = (self.width + self.flat).saturating_sub(self.column);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&'static str]) -> Doc {
        let mut docs = vec![Doc::text("[")];
        let mut items = Vec::new();
        for word in words {
            if !items.is_empty() {
                items.extend([Doc::text(","), Doc::soft_break(" ", "")]);
            }
            items.push(Doc::text(*word));
        }
        docs.push(Doc::group(items));
        docs.push(Doc::text("]"));
        Doc::concat(docs)
    }

    #[test]
    fn what_fits_stays_on_one_line() {
        assert_eq!(list(&["one", "two"]).print(20), "[one, two]");
    }

    #[test]
    fn what_does_not_fit_breaks_everywhere_and_lines_up() {
        assert_eq!(list(&["one", "two", "three"]).print(10), "[one,\n two,\n three]");
    }

    #[test]
    fn inner_groups_break_on_their_own() {
        let outer = Doc::group([list(&["a", "b"]), Doc::soft_break(".", "."), list(&["long", "words"])]);
        assert_eq!(outer.print(14), "[a, b]\n.[long, words]");
        assert_eq!(outer.print(9), "[a, b]\n.[long,\n  words]");
    }

    #[test]
    fn new_lines_are_not_optional() {
        let doc = Doc::group([Doc::text("a"), Doc::new_line(), Doc::text("b")]);
        assert_eq!(doc.print(80), "a\nb");
    }
}
