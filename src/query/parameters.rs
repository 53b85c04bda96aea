//! The parameters of a URL, decoded; and the values in them.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::error::Error;
use crate::json;

/// The parameters with a meaning of their own. A field that has the name of one of them is written in quotes.
pub(super) const PARAMETERS: [&str; 15] = [
    "agg", "all", "and", "cursor", "distinct", "expand", "group", "index", "initial", "limit", "offset",
    "omit", "or", "order", "select",
];
/// Parameters that client libraries add, with a number, to bypass caches. They are ignored.
const CACHE_BUSTERS: [&str; 2] = ["_", "_dc"];
/// The parameter that client libraries for event streams add, with a number, to bypass caches when they send
/// the id of their last event.
const EVENT_BUSTER: &str = "r";

/// The parameters of a URL in their order. Known ones are taken out; those that are left are an error.
#[derive(Debug, Default, Clone)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn parse(query: &str) -> Result<Self, Error> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(parse_pair).collect::<Result<Vec<_>, _>>()?;
        let means =
            |(name, value): &(String, String)| !CACHE_BUSTERS.contains(&name.as_str()) || !is_number(value);
        Ok(Parameters(pairs.into_iter().filter(means).collect()))
    }

    /// Takes the id of the last event, if there is one. Clients that can't set a header send it as a
    /// parameter, under various names.
    pub(crate) fn take_last_event_id(&mut self) -> Option<String> {
        let is_id = |name: &str| name.replace(['-', '_'], "").eq_ignore_ascii_case("lasteventid");
        // A condition has a full stop after its operator.
        let is_value = |value: &str| value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        let taken = self.0.extract_if(.., |(name, value)| is_id(name) && is_value(value));
        let ids: Vec<_> = taken.map(|(_, id)| id).collect();
        if !ids.is_empty() {
            self.0.retain(|(name, value)| name != EVENT_BUSTER || !is_number(value));
        }
        ids.into_iter().find(|id| !id.is_empty())
    }

    /// Sorts them by name and value, which doesn't change the meaning of a list.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort();
        self
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Takes a parameter that may be given once.
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<String>, Error> {
        let mut values = self.take_all(name);
        let value = values.pop();
        if !values.is_empty() {
            return Err(bad(name, "it is given more than once"));
        }
        Ok(value)
    }

    /// Takes a parameter that may be given any number of times.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        self.0.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// Takes a whole number.
    pub(crate) fn take_number(&mut self, name: &str) -> Result<Option<usize>, Error> {
        let parse = |text: String| text.parse().map_err(|_| bad(name, "it must be a whole number"));
        self.take(name)?.map(parse).transpose()
    }

    /// Takes `true` or `false`. Default: false.
    pub(crate) fn take_flag(&mut self, name: &str) -> Result<bool, Error> {
        Ok(self.take_flag_if_any(name)?.unwrap_or(false))
    }

    /// Takes `true` or `false`, if there is either.
    pub(crate) fn take_flag_if_any(&mut self, name: &str) -> Result<Option<bool>, Error> {
        match self.take(name)?.as_deref() {
            None => Ok(None),
            Some("false") => Ok(Some(false)),
            Some("true") => Ok(Some(true)),
            Some(_) => Err(bad(name, "it must be `true` or `false`")),
        }
    }

    /// Returns the parameters that were not taken.
    pub(crate) fn rest(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter()
    }

    /// Checks that all have been taken.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.0.into_iter().next() {
            Some((name, _)) => Err(bad(&name, "there is no such parameter here")),
            None => Ok(()),
        }
    }
}

impl From<Vec<(String, String)>> for Parameters {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Parameters(pairs)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

fn parse_pair(pair: &str) -> Result<(String, String), Error> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = decode(&name.replace('+', " "))?;
    let value = decode(&value.replace('+', " "))?;
    Ok((name, value))
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Error::bad_request("The URL is not UTF-8."))
}

/// Parses a value: as JSON if it is valid JSON, else as a string.
pub(crate) fn value(text: &str) -> Value {
    json::read(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

pub(super) fn bad(name: &str, reason: impl Into<String>) -> Error {
    Error::bad_parameter(name, reason.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Code;

    #[test]
    fn values_are_json_where_they_can_be() {
        assert_eq!(value("42"), json!(42));
        assert_eq!(value("\"42\""), json!("42"));
        assert_eq!(value("bob"), json!("bob"));
        assert_eq!(value("[1,\"a\"]"), json!([1, "a"]));
        assert_eq!(value("1e999"), json!("1e999"));
        assert_eq!(value(""), json!(""));
    }

    #[test]
    fn parameters_are_decoded() {
        let mut parameters = Parameters::parse("a=x%20y+z&b=%C3%A9&&a=2").unwrap();
        assert_eq!(parameters.take("b").unwrap().as_deref(), Some("é"));
        assert_eq!(parameters.take_all("a"), ["x y z", "2"]);
        assert!(parameters.finish().is_ok());
    }

    #[test]
    fn what_clients_add_by_themselves_means_nothing() {
        let names =
            |query: &str| Parameters::parse(query).unwrap().rest().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("_=1700000000000&a=eq.1&_dc=5"), ["a"]);
        assert_eq!(names("_=eq.1&%22_%22=eq.1&r=5"), ["_", "\"_\"", "r"]);
        let mut polyfill = Parameters::parse("lastEventId=17&a=eq.1&r=0123").unwrap();
        assert_eq!(polyfill.take_last_event_id().as_deref(), Some("17"));
        assert_eq!(polyfill.rest().collect::<Vec<_>>(), [("a".to_owned(), "eq.1".to_owned())]);
        let id = |query: &str| Parameters::parse(query).unwrap().take_last_event_id();
        assert_eq!(id("last_event_id=00ab-17-2").as_deref(), Some("00ab-17-2"));
        assert_eq!(id("Last-Event-ID="), None);
        assert_eq!(id("lastEventId=eq.3"), None, "a field");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(Parameters::parse("a=%ff").is_err_and(|error| error.code() == Code::BadRequest));
        let twice = Parameters::parse("limit=1&limit=2").unwrap().take("limit");
        assert!(twice.is_err_and(|error| error.parameter() == Some("limit")));
        let unknown = Parameters::parse("colour=red").unwrap().finish();
        assert!(unknown.is_err_and(|error| error.parameter() == Some("colour")));
    }
}
