//! Tickets in URLs.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::app::tickets::is_ticket;
use crate::error::Error;
use crate::query::{Parameters, decode};

/// The name of the parameter.
pub(crate) const TICKET: &str = "ticket";

/// Returns the ticket in a query string, if there is one.
///
/// A condition on a field called `ticket` never has the form of a ticket.
pub(crate) fn ticket(query: &str) -> Option<&str> {
    query.split('&').find_map(read)
}

fn read(pair: &str) -> Option<&str> {
    pair.strip_prefix(TICKET)?.strip_prefix('=').filter(|value| is_ticket(value))
}

/// Returns a query string without tickets.
pub(super) fn without_ticket(query: &str) -> Cow<'_, str> {
    match ticket(query) {
        None => query.into(),
        Some(_) => query.split('&').filter(|pair| read(pair).is_none()).collect::<Vec<_>>().join("&").into(),
    }
}

/// Adds a ticket to a URL.
pub(crate) fn with_ticket(url: &str, ticket: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{TICKET}={ticket}")
}

/// Returns a canonical form of a live query's URL. Escapes, the order of parameters and the id of the last
/// event make no difference.
///
/// # Errors
///
/// [`Code::BadRequest`](crate::error::Code::BadRequest) if the URL isn't UTF-8.
pub(crate) fn followed(path: &str, query: &str) -> Result<String, Error> {
    let segment = |text| Ok(utf8_percent_encode(&decode(text)?, NON_ALPHANUMERIC).to_string());
    let segments = path.split('/').map(segment).collect::<Result<Vec<_>, Error>>()?;
    let mut parameters = Parameters::parse(&without_ticket(query))?;
    parameters.take_last_event_id();
    let escaped = |text: String| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
    let pairs = parameters.sorted().rest().map(|(name, value)| [escaped(name), escaped(value)].join("="));
    Ok(format!("{}?{}", segments.join("/"), pairs.collect::<Vec<_>>().join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_ticket_is_told_from_a_field() {
        assert_eq!(ticket(&format!("a=eq.1&ticket={TICKET}")), Some(TICKET));
        for query in ["ticket=eq.1", "ticket=has", "", &format!("my-ticket={TICKET}")] {
            assert_eq!((ticket(query), &*without_ticket(query)), (None, query));
        }
        let twice = format!("ticket=eq.1&ticket={TICKET}&b=has&ticket={TICKET}");
        assert_eq!(without_ticket(&twice), "ticket=eq.1&b=has");
        assert_eq!(with_ticket("/a", TICKET), format!("/a?ticket={TICKET}"));
        assert_eq!(with_ticket("/a?b", TICKET), format!("/a?b&ticket={TICKET}"));
    }

    #[test]
    fn a_live_query_is_the_same_however_it_is_escaped() {
        let one = followed("/tables/t/docs", "a=eq.x y&b=in.(1,2)").unwrap();
        for query in [
            format!("b=in.%281%2C2%29&a=eq.x%20y&ticket={TICKET}"),
            "a=eq.x+y&b=in.(1,2)&lastEventId=17&r=4&_=5".to_owned(),
        ] {
            assert_eq!(followed("/tables/%74/docs", &query).unwrap(), one, "{query}");
        }
        for (path, query) in [
            ("/tables/t/docs", "a=eq.x y"),
            ("/tables/t/docs", "a=eq.x y&b=in.(1,2)&c=has"),
            ("/tables/t/docs%2F", "a=eq.x y&b=in.(1,2)"),
            ("/tables/u/docs", "a=eq.x y&b=in.(1,2)"),
            ("/tables/t/docs", "a=eq.x y%26b%3Din.(1,2)"),
        ] {
            assert_ne!(followed(path, query).unwrap(), one, "{path} {query}");
        }
    }
}
