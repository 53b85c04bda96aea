//! Filter templates with placeholders for the claims of a token, written `{sub}` or `{realm.name}`.
//!
//! The value of a claim is never parsed as part of a filter, so it can't change the filter's structure.
//! Placeholders are replaced by marks before parsing, each mark must be a whole value of the parsed filter,
//! and the claim's value replaces the mark there.

use serde_json::Value;

use super::{Clause, Condition, Filter, Group, Test};
use crate::error::Error;
use crate::query::Listing;
use crate::query::parameters::{Parameters, bad};

/// The character that begins a mark and pads it to the length of its placeholder, so that places in errors
/// stay right. No rule may contain it.
const MARK: char = '\0';
/// The first of the characters that stand for the numbers of marks.
const FIRST: u32 = 0xE000;
/// The most claims of one filter.
const CLAIMS: usize = 256;

/// A filter template, whose values may be claims.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    filter: Filter,
    claims: Vec<Vec<String>>,
}

impl Template {
    /// Parses a filter that is written like the parameters of a list.
    ///
    /// # Errors
    ///
    /// If the filter is invalid, or a placeholder stands for anything but a whole value.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        if text.contains(MARK) {
            return Err(bad("filter", "it holds a NUL"));
        }
        let (marked, claims) = marked(text)?;
        if claims.len() > CLAIMS {
            return Err(bad("filter", format!("it may hold {CLAIMS} claims at most")));
        }
        let filter = Listing::filter(Parameters::parse(&marked)?)?;
        if filter.is_empty() {
            return Err(bad("filter", "there is no condition in it"));
        }
        let (mut placed, mut checked) = (Vec::new(), Ok(()));
        filter.each(&mut |condition| {
            condition.test.each(&mut |test| {
                let outcome = check(test, &mut placed);
                checked = std::mem::replace(&mut checked, Ok(())).and(outcome);
            });
        });
        checked?;
        match claims.iter().enumerate().find(|(at, _)| !placed.contains(at)) {
            Some((_, names)) => Err(not_a_value(&names.join("."))),
            None => Ok(Template { filter, claims }),
        }
    }

    /// Returns the filter with the values of claims; `None` if it matches no document, because a claim is
    /// missing in a required condition.
    pub(crate) fn with<'a>(&self, claim: impl Fn(&[String]) -> Option<&'a Value>) -> Option<Filter> {
        let claims = Claims(self.claims.iter().map(|names| claim(names).cloned()).collect());
        self.filter.0.iter().map(|clause| clause.with(&claims)).collect::<Option<_>>().map(Filter)
    }
}

/// The values of claims, by the number of their mark; `None` for a missing claim.
struct Claims(Vec<Option<Value>>);

impl Claims {
    /// Returns the claim that a value is the mark of; the outer `None` if it is no mark.
    fn of(&self, value: &Value) -> Option<Option<&Value>> {
        mark(value).map(|at| self.0.get(at).and_then(Option::as_ref))
    }

    /// Returns the value, or the claim in its place; `None` if the claim is missing.
    fn whole(&self, value: &Value) -> Option<Value> {
        self.of(value).unwrap_or(Some(value)).cloned()
    }

    /// Returns the values with claims in the place of marks; `None` if a claim is missing.
    fn all(&self, values: &[Value]) -> Option<Vec<Value>> {
        values.iter().map(|value| self.whole(value)).collect()
    }

    /// Returns the members of a list with claims in the place of marks. A claim that is an array adds all of
    /// its members, a missing claim none.
    fn members(&self, values: &[Value]) -> Vec<Value> {
        let mut members = Vec::new();
        for value in values {
            match self.of(value) {
                Some(Some(Value::Array(several))) => members.extend(several.iter().cloned()),
                _ => members.extend(self.whole(value)),
            }
        }
        members
    }

    /// Returns whether a claim is missing in a test.
    fn lack(&self, test: &Test) -> bool {
        let mut lacks = false;
        test.each(&mut |test| lacks |= values(test).iter().any(|value| self.of(value) == Some(None)));
        lacks
    }
}

/// Filling in claims. `None` stands for a clause that never holds.
impl Clause {
    fn with(&self, claims: &Claims) -> Option<Clause> {
        match self {
            Clause::One(condition) => condition.with(claims).map(Clause::One),
            // A condition with a missing claim isn't known to be false, so its negation isn't known to be
            // true.
            Clause::Group(group) if group.negated && self.lacks(claims) => None,
            Clause::Group(group) => group.with(claims).map(Clause::Group),
        }
    }

    fn lacks(&self, claims: &Claims) -> bool {
        let mut lacks = false;
        self.each(&mut |condition| lacks |= claims.lack(&condition.test));
        lacks
    }
}

impl Group {
    fn with(&self, claims: &Claims) -> Option<Group> {
        let clauses = self.clauses.iter().map(|clause| clause.with(claims));
        let clauses: Vec<_> = match self.any {
            true => clauses.flatten().collect(),
            false => clauses.collect::<Option<_>>()?,
        };
        (!clauses.is_empty()).then_some(Group { clauses, ..*self })
    }
}

impl Condition {
    fn with(&self, claims: &Claims) -> Option<Condition> {
        if self.negated && claims.lack(&self.test) {
            return None;
        }
        let test = self.test.with(claims)?;
        Some(Condition { field: self.field.clone(), negated: self.negated, test })
    }
}

impl Test {
    fn with(&self, claims: &Claims) -> Option<Test> {
        Some(match self {
            Test::Compare(op, values) => Test::Compare(*op, claims.all(values)?),
            Test::Contains(values) => {
                Test::Contains(Some(claims.members(values)).filter(|members| !members.is_empty())?)
            }
            Test::In(values) => Test::In(claims.members(values)),
            Test::Any(tests) => {
                let spread: Vec<_> = tests.iter().filter_map(|test| test.spread(claims)).flatten().collect();
                Test::Any(Some(spread).filter(|tests| !tests.is_empty())?)
            }
            Test::All(tests) => {
                let spread = tests.iter().map(|test| test.spread(claims)).collect::<Option<Vec<_>>>()?;
                Test::All(spread.into_iter().flatten().collect())
            }
            test => test.clone(),
        })
    }

    /// Returns the tests that a member of a list stands for: one for each member of a claim that is an array.
    /// `None` if it has none, so that nothing is allowed because all of no tests pass.
    fn spread(&self, claims: &Claims) -> Option<Vec<Test>> {
        let members = match values(self) {
            [value] => claims.of(value).flatten().and_then(Value::as_array),
            _ => None,
        };
        let Some(members) = members else { return self.with(claims).map(|test| vec![test]) };
        let of = |member: &Value| match self {
            Test::Compare(op, _) => Test::Compare(*op, vec![member.clone()]),
            _ => Test::Contains(vec![member.clone()]),
        };
        Some(members.iter().map(of).collect()).filter(|tests: &Vec<_>| !tests.is_empty())
    }
}

/// Returns the values of a test that may be claims.
fn values(test: &Test) -> &[Value] {
    match test {
        Test::Compare(_, values) | Test::In(values) | Test::Contains(values) => values,
        _ => &[],
    }
}

/// Replaces placeholders by marks.
fn marked(text: &str) -> Result<(String, Vec<Vec<String>>), Error> {
    let (mut marked, mut claims) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        marked.push_str(before);
        let end = from.find('}').map_or(from.len(), |end| end + 1);
        let (placeholder, after) = from.split_at(end);
        match placed(placeholder) {
            Some(names) => {
                let number = FIRST + u32::try_from(claims.len()).unwrap_or_default();
                marked.push(MARK);
                marked.push(char::from_u32(number).unwrap_or_default());
                marked.extend(std::iter::repeat_n(MARK, placeholder.chars().count().saturating_sub(2)));
                claims.push(names);
                rest = after;
            }
            None => {
                marked.push('{');
                rest = from.get(1..).unwrap_or_default();
                if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    let at = text.len() - from.len();
                    return Err(bad("filter", format!("a claim is not closed, or none, at byte {}", at + 1)));
                }
            }
        }
    }
    marked.push_str(rest);
    Ok((marked, claims))
}

/// Returns the path of the claim in a placeholder such as `{realm.name}`.
pub(crate) fn placed(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    if is_number(inner) {
        return None;
    }
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-:/@ ".contains(c));
    let names: Vec<_> = inner.split('.').map(str::to_owned).collect();
    names.iter().all(|name| is_name(name)).then_some(names)
}

/// Returns whether a text is a number, which in the braces of a pattern says how often something comes.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// Returns the number of the mark that a value is.
fn mark(value: &Value) -> Option<usize> {
    let mut chars = value.as_str()?.chars();
    let number = match (chars.next(), chars.next()) {
        (Some(MARK), Some(number)) => u32::from(number).checked_sub(FIRST)?,
        _ => return None,
    };
    chars.all(|c| c == MARK).then_some(number as usize)
}

/// Checks that marks are whole values, and collects their numbers.
fn check(test: &Test, placed: &mut Vec<usize>) -> Result<(), Error> {
    let values = values(test);
    // Tests without values that may be claims: a pattern, a prefix, a geometry.
    if values.is_empty() && format!("{test:?}").contains("\\0") {
        return Err(bad("filter", "a claim can be neither a pattern nor a place, nor part of one"));
    }
    for value in values {
        match mark(value) {
            Some(at) => placed.push(at),
            None if value.to_string().contains("\\u0000") => return Err(not_a_value("...")),
            None if value.as_str().is_some_and(is_numbered) => {
                return Err(bad("filter", "the name of a claim is no number"));
            }
            None => {}
        }
    }
    Ok(())
}

fn is_numbered(text: &str) -> bool {
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).is_some_and(is_number)
}

fn not_a_value(name: &str) -> Error {
    bad(
        "filter",
        format!("`{{{name}}}` has to be a whole value: a claim is neither a name nor part of a text"),
    )
}

#[cfg(test)]
mod tests {
    use reql::{Term, r};
    use serde_json::json;

    use super::*;

    /// The filter with these claims, as it is sent; `never` if it can't hold.
    fn with(text: &str, claims: &Value) -> String {
        let template = Template::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let claim = |names: &[String]| claims.pointer(&format!("/{}", names.join("/")));
        let filter = template.with(claim);
        filter.map_or("never".to_owned(), |filter| r.expr(|row: Term| filter.holds(&row)).to_string())
    }

    #[test]
    fn a_claim_is_a_value_whatever_it_holds() {
        for hostile in ["x)&a=has", "\"", "{sub}", "*", "1", "true", "2020-01-01", "a,b", "\u{0}"] {
            let plain = with("owner=eq.x", &json!({}));
            let own = with("owner=eq.{sub}", &json!({"sub": hostile}));
            assert_eq!(own, plain.replace("\"x\"", &json!(hostile).to_string()), "{hostile}");
        }
        let listed =
            with("or=(owner=eq.{a.b},team=in.({teams},\"x\"))", &json!({"a": {"b": 7}, "teams": ["r", "s"]}));
        assert_eq!(listed, with("or=(owner=eq.7,team=in.(r,s,x))", &json!({})));
    }

    #[test]
    fn a_missing_claim_makes_its_comparison_false() {
        let none = json!({});
        for never in [
            "a=eq.{x}",
            "a=not.eq.{x}",
            "a=ne.{x}",
            "b=eq.1&a=lt.{x}",
            "or=(a=eq.{x},b=not.eq.{y})",
            "a=not.in.({x},1)",
            "not.or=(a=eq.{x},b=eq.1)",
            "not.and=(a=eq.{x},b=eq.1)",
            "and=(a=eq.1,or=(a=eq.{x},not.or=(b=in.({x},1))))",
            "a=any.({x},{y})",
            "a=all.({x},1)",
            "a=not.any.({x},1)",
        ] {
            assert_eq!(with(never, &none), "never", "{never}");
        }
        assert_eq!(with("or=(a=eq.{x},b=eq.1)", &none), with("or=(b=eq.1)", &none));
        assert_eq!(with("or=(b=eq.1,and=(a=eq.{x},b=eq.2))", &none), with("or=(b=eq.1)", &none));
        assert_eq!(with("a=in.({x},1)", &none), with("a=in.(1)", &none));
        assert_eq!(with("a=in.({x})", &none), with("a=in.()", &none));
    }

    #[test]
    fn an_array_stands_for_each_of_its_members() {
        let (none, teams) = (json!({}), json!({"x": ["r", "s"], "none": []}));
        for (claim, plain) in [
            ("a=all.({x})", "a=all.(r,s)"),
            ("a=all.({x},1)", "a=all.(r,s,1)"),
            ("a=not.all.({x})", "a=not.all.(r,s)"),
            ("a=all.ne.({x})", "a=all.ne.(r,s)"),
            ("a=any.({x})", "a=any.(r,s)"),
            ("a=any.eq.({x})", "a=any.eq.(r,s)"),
            ("a=any.gt.({x})", "a=any.gt.(r,s)"),
            ("a=in.({x})", "a=in.(r,s)"),
        ] {
            assert_eq!(with(claim, &teams), with(plain, &none), "{claim}");
        }
        for never in [
            "a=all.({none})",
            "a=all.({none},1)",
            "a=not.all.({none})",
            "a=all.ne.({none})",
            "a=any.({none})",
            "a=not.any.gt.({none})",
        ] {
            assert_eq!(with(never, &teams), "never", "{never}");
        }
    }

    #[test]
    fn a_claim_stands_for_a_whole_value_only() {
        for wrong in [
            "a=eq.x{sub}",
            "a=eq.{sub}x",
            "a=match.{sub}",
            "a=match.^{sub}$",
            "a=starts.{sub}",
            "a=any.starts.({sub})",
            "a=near.({sub},1,2m)",
            "{sub}=eq.1",
            "a.{sub}=eq.1",
            "a=in.({sub}x)",
            "a=eq.[\"{sub}\"]",
            "a=in.([\"{sub}\"])",
            "or=({sub}=eq.1)",
            "a={sub}.1",
            "a={sub}",
            "a=eq.{sub",
            "a=eq.{sub,b}",
            "a=eq.%00",
            "order={sub}",
            "&",
        ] {
            assert!(Template::read(wrong).is_err(), "{wrong}");
        }
        assert!(Template::read("a=eq.\u{0}").is_err());
        assert!(Template::read("a=eq.{2}").is_err() && Template::read("a=in.(1,{2})").is_err());
        // Braces of patterns and of JSON are no claims.
        assert!(Template::read("a=match.^[A-Z]{2}$&b=imatch.\\d{10}").is_ok_and(|it| it.claims.is_empty()));
        assert!(Template::read("a=eq.{\"b\":1}").is_ok_and(|template| template.claims.is_empty()));
    }

    #[test]
    fn errors_name_the_place_in_the_text_as_it_is_written() {
        let error = Template::read("or=(a=eq.{subject},b)").unwrap_err().to_string();
        assert!(error.contains("at character 18"), "{error}");
    }
}
