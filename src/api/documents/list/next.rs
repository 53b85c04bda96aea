//! The URL of the next page.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::query::decode;

/// Returns the URL of the next page: the current one, with a parameter that replaces `offset` and `cursor`.
pub(super) fn next_page(path: &str, query: &str, name: &str, value: &str) -> String {
    let stays = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default();
        // Letters may be written as escapes.
        !part.is_empty() && !decode(name).is_ok_and(|name| ["cursor", "offset"].contains(&name.as_str()))
    };
    let start: String = query.split('&').filter(stays).map(|part| format!("{part}&")).collect();
    let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
    format!("{path}?{start}{name}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_other_parameters() {
        let url = next_page("/tables/t/docs", "limit=2&offset=4&age=gte.18", "cursor", "[1]");
        assert_eq!(url, "/tables/t/docs?limit=2&age=gte.18&cursor=%5B1%5D");
        assert_eq!(
            next_page("/tables/t/docs", "", "cursor", "[\"a\"]"),
            "/tables/t/docs?cursor=%5B%22a%22%5D"
        );
        assert_eq!(
            next_page("/tables/t/docs", "offset=4&limit=2", "offset", "6"),
            "/tables/t/docs?limit=2&offset=6"
        );
        let escaped = "%6Fffset=4&limit=2&%63ursor=%5B0%5D&a%6F=has";
        assert_eq!(next_page("/t", escaped, "cursor", "1"), "/t?limit=2&a%6F=has&cursor=1");
    }
}
