//! Checks of `Origin` and `Host` for requests whose credentials a browser would add by itself.
//!
//! Where nothing is needed, everybody who can reach the service may use it, and a browser can reach it on
//! behalf of any page. It sends form-like requests to any origin without a preflight (CSRF), together with a
//! name and a password that it has been told before. And if the name of a page is made to resolve to this
//! machine, the browser takes the service for the page's own origin (DNS rebinding). Foreign pages show in
//! `Sec-Fetch-Site` ([Fetch Metadata, 2.3](https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header)),
//! which browsers send over HTTPS and to the own machine, and in `Origin`
//! ([Fetch, 3.2](https://fetch.spec.whatwg.org/#origin-header)); foreign names in `Host`.

use warp::http::Method;
use warp::http::header::{AUTHORIZATION, HeaderValue, ORIGIN};

use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::settings::{Auth, Cors, Settings};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Refuses unsafe requests of foreign pages, unless they have a token; and requests for foreign hosts that
/// need no credentials.
pub(crate) fn check(settings: &Settings, context: &Context) -> Result<(), Error> {
    if needs_no_credentials(settings, context) && !context.hosts().all(|host| settings.hosts.has(host)) {
        return Err(Error::from(Code::ForeignHost));
    }
    // Reads are harmless: without CORS headers, the browser keeps the answer from the page.
    if !context.method().is_safe() && !has_token(settings, context) && is_foreign(settings, context) {
        return Err(Error::from(Code::ForeignOrigin));
    }
    Ok(())
}

/// Returns whether a request is served without credentials, and so would be that of any page.
fn needs_no_credentials(settings: &Settings, context: &Context) -> bool {
    match settings.auth {
        Auth::None => true,
        Auth::Database => !settings.anonymous_user.is_empty(),
        // A preflight comes without the token that the request after it has.
        Auth::Token => {
            !has_token(settings, context) && context.ticket().is_none() && context.method() != Method::OPTIONS
        }
    }
}

/// Returns whether a request has a token, which no browser adds by itself.
fn has_token(settings: &Settings, context: &Context) -> bool {
    settings.auth == Auth::Token && context.headers().contains_key(AUTHORIZATION)
}

/// Returns whether a request is that of a page that may not write. Other clients send neither header.
fn is_foreign(settings: &Settings, context: &Context) -> bool {
    let site = context.headers().get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    if matches!(site, Some(b"same-origin" | b"none")) {
        return false;
    }
    match context.headers().get(ORIGIN).map(HeaderValue::to_str) {
        None => site.is_some(),
        Some(Err(_)) => true,
        // The browser knows its page's origin and the service's better than what `Host` tells of them.
        Some(Ok(origin)) => {
            (site.is_some() || !is_own(settings, origin, context)) && !is_listed(settings, origin)
        }
    }
}

/// Returns whether `cors` has an origin.
fn is_listed(settings: &Settings, origin: &str) -> bool {
    match &settings.cors {
        Cors::Off => false,
        Cors::Any => true,
        Cors::List(origins) => origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
    }
}

/// Returns whether an origin is that of the service. A page of `http://` isn't, if the service itself speaks
/// TLS; behind a proxy, the service doesn't know the scheme, and takes either.
fn is_own(settings: &Settings, origin: &str, context: &Context) -> bool {
    let Some((scheme, own)) = origin.split_once("://") else { return false };
    // Unix sockets, whose clients have no address, are without TLS.
    let is_safe = settings.tls.is_on() && settings.trusted_proxies.is_empty() && context.client().is_some();
    (!is_safe || scheme.eq_ignore_ascii_case("https"))
        && context.hosts().any(|host| host.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use warp::http::Request;

    use super::*;
    use crate::app::App;
    use crate::database::Database;
    use crate::http::client::Peer;
    use crate::settings::{Named, Rdb, Tls};

    fn asked(settings: &Settings, method: &str, host: &str, origin: &str) -> &'static str {
        let origin = Some(("origin", origin)).filter(|(_, origin)| !origin.is_empty());
        let headers: Vec<_> = [("host", host)].into_iter().chain(origin).collect();
        asked_with(settings, method, &headers)
    }

    fn asked_with(settings: &Settings, method: &str, headers: &[(&str, &str)]) -> &'static str {
        asked_at(settings, method, "/tables", headers)
    }

    fn asked_at(settings: &Settings, method: &str, uri: &str, headers: &[(&str, &str)]) -> &'static str {
        let request = Request::builder().method(method).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let app = App::new(settings.clone(), Database::new(Rdb::default()).unwrap());
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(Peer::Address(Ipv4Addr::LOCALHOST.into()));
        let context = Context::new(&app, &request, |_| None);
        check(settings, &context).map_or_else(|error| error.code().as_str(), |()| "ok")
    }

    #[test]
    fn pages_of_others_may_not_write() {
        let settings = Settings::default();
        for (method, host, origin, expected) in [
            ("POST", "localhost:8000", "", "ok"),
            ("POST", "localhost:8000", "http://localhost:8000", "ok"),
            ("POST", "localhost:8000", "http://localhost:3000", "foreign-origin"),
            ("DELETE", "127.0.0.1", "https://evil.example", "foreign-origin"),
            ("POST", "127.0.0.1", "null", "foreign-origin"),
            ("GET", "127.0.0.1", "https://evil.example", "ok"),
            ("OPTIONS", "127.0.0.1", "https://evil.example", "ok"),
            ("GET", "evil.example", "", "foreign-host"),
            ("GET", "127.0.0.1.evil.example:8000", "", "foreign-host"),
            ("GET", "[::1]:8000", "", "ok"),
            ("GET", "", "", "ok"),
            ("GET", "warp-reql:8000", "", "ok"),
            ("GET", "LocalHost.", "", "ok"),
        ] {
            assert_eq!(asked(&settings, method, host, origin), expected, "{method} {host} {origin}");
        }
    }

    #[test]
    fn a_page_without_tls_is_another_one() {
        let plain = Settings::default();
        let tls = Tls { cert: "cert.pem".into(), ..Tls::default() };
        let safe = Settings { tls, ..Settings::default() };
        let proxied = Settings { trusted_proxies: "127.0.0.1".parse().unwrap(), ..safe.clone() };
        let (http, https) = ("http://localhost", "https://localhost");
        for (settings, origin, expected) in [
            (&plain, http, "ok"),
            (&plain, https, "ok"),
            (&safe, http, "foreign-origin"),
            (&safe, https, "ok"),
            (&safe, "HTTPS://LocalHost", "ok"),
            (&proxied, http, "ok"),
        ] {
            assert_eq!(asked(settings, "POST", "localhost", origin), expected, "{origin}");
        }
    }

    #[test]
    fn settings_let_more_in() {
        let cors = "https://a.example".parse().unwrap();
        let hosts: Named = "box.example, api.example".parse().unwrap();
        let settings = Settings { cors, hosts, ..Settings::default() };
        assert_eq!(asked(&settings, "POST", "box.example:80", "https://a.example"), "ok");
        assert_eq!(asked(&settings, "POST", "api.example", "https://b.example"), "foreign-origin");
        assert_eq!(asked(&settings, "POST", "other.example", ""), "foreign-host");
        let settings = Settings { cors: Cors::Any, hosts: Named::Any, ..Settings::default() };
        assert_eq!(asked(&settings, "POST", "other", "https://b.example"), "ok");
    }

    #[test]
    fn a_browsers_own_credentials_are_not_the_pages() {
        let database = Settings { auth: Auth::Database, ..Settings::default() };
        let anonymous = Settings { anonymous_user: "guest".to_owned(), ..database.clone() };
        let token = Settings { auth: Auth::Token, ..Settings::default() };
        let basic = ("authorization", "Basic YTpi");
        let bearer = ("authorization", "Bearer x");
        let (host, page) = (("host", "shop.example"), ("origin", "https://b.example"));
        let (own, local) = (("origin", "https://shop.example"), ("host", "localhost"));
        for (settings, headers, expected) in [
            (&database, &[host, page, basic][..], "foreign-origin"),
            (&database, &[host, page], "foreign-origin"),
            (&database, &[host, own, basic], "ok"),
            (&database, &[host, basic], "ok"),
            (&anonymous, &[host], "foreign-host"),
            (&anonymous, &[local, page], "foreign-origin"),
            (&anonymous, &[local], "ok"),
            (&token, &[host], "foreign-host"),
            (&token, &[host, own], "foreign-host"),
            (&token, &[local, page], "foreign-origin"),
            (&token, &[local], "ok"),
            (&token, &[host, page, bearer], "ok"),
        ] {
            assert_eq!(asked_with(settings, "POST", headers), expected, "{:?} {headers:?}", settings.auth);
        }
    }

    #[test]
    fn a_host_without_a_dot_or_a_token_is_needed() {
        let token = Settings { auth: Auth::Token, ..Settings::default() };
        let listed = Settings { hosts: "shop.example".parse().unwrap(), ..token.clone() };
        let any = Settings { hosts: Named::Any, ..token.clone() };
        let (host, bearer) = (("host", "shop.example"), ("authorization", "Bearer x"));
        let ticket = format!("/tables/t/changes?ticket={}", "0".repeat(32));
        for (settings, method, uri, headers, expected) in [
            (&token, "GET", "/tables/t/docs", &[host][..], "foreign-host"),
            (&token, "GET", "/tables/t/docs?ticket=eq.1", &[host], "foreign-host"),
            (&token, "GET", "/tables/t/docs", &[host, bearer], "ok"),
            (&token, "OPTIONS", "/tables/t/docs", &[host], "ok"),
            (&token, "GET", &ticket, &[host], "ok"),
            (&listed, "GET", "/tables/t/docs", &[host], "ok"),
            (&any, "GET", "/tables/t/docs", &[host], "ok"),
        ] {
            assert_eq!(asked_at(settings, method, uri, headers), expected, "{method} {uri} {headers:?}");
        }
    }

    #[test]
    fn a_browser_says_which_site_asks() {
        let cors = "https://a.example".parse().unwrap();
        let settings = Settings { auth: Auth::Database, cors, ..Settings::default() };
        // Behind a proxy that asks by another name.
        let asked = |origin: &str, site: &str| {
            let headers = [("host", "inside"), ("origin", origin), ("sec-fetch-site", site)];
            asked_with(&settings, "POST", &headers)
        };
        for (origin, site, expected) in [
            ("https://shop.example", "same-origin", "ok"),
            ("https://shop.example", "same-site", "foreign-origin"),
            ("https://a.example", "cross-site", "ok"),
            ("http://inside", "cross-site", "foreign-origin"),
            ("null", "cross-site", "foreign-origin"),
        ] {
            assert_eq!(asked(origin, site), expected, "{origin} {site}");
        }
        let alone = [("host", "inside"), ("sec-fetch-site", "cross-site")];
        assert_eq!(asked_with(&settings, "POST", &alone), "foreign-origin");
    }
}
