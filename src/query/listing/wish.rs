//! The parameter `expand`: relations, each with what is asked of the documents there in brackets.

use crate::error::Error;
use crate::query::parameters::{Parameters, bad};
use crate::query::syntax::Reader;

/// The most relations that a document is expanded by.
const MOST: usize = 20;

/// A relation that a request names, and what it asks of the documents there.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) relation: String,
    /// The text in brackets behind the relation.
    pub(crate) parameters: Parameters,
}

impl Wish {
    /// Takes the parameter `expand`.
    pub(crate) fn take(parameters: &mut Parameters) -> Result<Vec<Self>, Error> {
        let Some(text) = parameters.take("expand")? else { return Ok(Vec::new()) };
        let mut reader = Reader::new(&text, "expand");
        let wishes = reader.separated(MOST, Wish::read)?;
        reader.finish()?;
        let is_twice = |at: usize, wish: &Wish| wishes.iter().take(at).any(|it| it.relation == wish.relation);
        match wishes.iter().enumerate().find(|(at, wish)| is_twice(*at, wish)) {
            Some((_, wish)) => Err(bad("expand", format!("`{}` is asked for twice", wish.relation))),
            None => Ok(wishes),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.blanks();
        let start = reader.at();
        let names = reader.names(",()")?;
        let [name] = &names[..] else {
            return Err(
                reader.wrong(start, "the name of a relation is expected; one behind it stands in brackets")
            );
        };
        let relation = name.text.clone();
        let mut options = Vec::new();
        if reader.eat('(') {
            loop {
                options.push(Wish::option(reader)?);
                if !reader.eat(';') {
                    break;
                }
            }
            reader.expect(')')?;
        }
        Ok(Wish { relation, parameters: Parameters::from(options) })
    }

    fn option(reader: &mut Reader<'_>) -> Result<(String, String), Error> {
        let start = reader.at();
        let option = reader.option();
        let (mut quoted, mut escaped) = (false, false);
        let is_between = |c: char| {
            let is_escaped = std::mem::take(&mut escaped);
            escaped = quoted && !is_escaped && c == '\\';
            quoted ^= c == '"' && !is_escaped;
            c == '=' && !quoted
        };
        let Some((name, text)) = option.split_once(is_between) else {
            return Err(reader.wrong(start, "a parameter such as `limit=3` is expected"));
        };
        Ok((name.trim().to_owned(), text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Options = Vec<(String, String)>;

    fn wishes(text: &str) -> Result<Vec<(String, Options)>, String> {
        let mut parameters = Parameters::from(vec![("expand".to_owned(), text.to_owned())]);
        let wishes = Wish::take(&mut parameters).map_err(|error| error.to_string())?;
        Ok(wishes.into_iter().map(|wish| (wish.relation, wish.parameters.rest().collect())).collect())
    }

    #[test]
    fn what_is_in_brackets_belongs_to_a_relation() {
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let text =
            r#"author, comments(limit=3;order=at.desc,id;"a=b"=in.(";)",2);expand=author(select=x;omit=y))"#;
        let read = wishes(text).unwrap();
        assert_eq!(read[0], ("author".to_owned(), vec![]));
        let options = [
            pair("limit", "3"),
            pair("order", "at.desc,id"),
            pair("\"a=b\"", "in.(\";)\",2)"),
            pair("expand", "author(select=x;omit=y)"),
        ];
        assert_eq!(read[1], ("comments".to_owned(), options.to_vec()));
        let escaped = wishes(r#"a("a\"=\\"=eq.1)"#).unwrap().remove(0);
        assert_eq!(escaped.1, [pair(r#""a\"=\\""#, "eq.1")]);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in ["", "a,", "a,a", "a.b", "a(", "a()", "a(limit)", "a(limit=3", "a(limit=3))", "a(b=\"x;)"]
        {
            let error = wishes(text).expect_err(text);
            assert!(error.contains("`expand`"), "{text}: {error}");
        }
        assert!(wishes(&vec!["a"; MOST + 1].join(",")).is_err());
        assert!(wishes(&"a(expand=".repeat(100_000)).is_err());
    }
}
