//! The URL of the next page.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Returns the URL of the next page: the current one, with a parameter that replaces `offset` and `cursor`.
pub(super) fn next_page(path: &str, query: &str, name: &str, value: &str) -> String {
    let stays =
        |part: &&str| !part.is_empty() && !part.starts_with("cursor=") && !part.starts_with("offset=");
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
    }
}
