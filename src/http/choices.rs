//! Preferences of a request about the database: `Prefer: read-mode=outdated`, `Prefer: durability=soft`.

use warp::http::Method;
use warp::http::header::{HeaderValue, VARY};
use warp::reply::Response;

use super::answer::with_header;
use super::context::Context;
use super::headers::PREFERENCE_APPLIED;
use crate::conn::Choices;
use crate::settings::{Auth, ReadMode};

/// The path of all requests that have such a choice.
const DOCUMENTS: &str = "/tables/{table}/docs";

impl Context {
    /// Returns what holds for the queries of the request. A preference that makes no sense counts for nothing
    /// (RFC 7240, section 2).
    pub(crate) fn choices(&self) -> Choices {
        if !self
            .template()
            .is_some_and(|template| template.ends_with(DOCUMENTS) || template.contains("/docs/"))
        {
            return Choices::default();
        }
        match *self.method() {
            Method::GET | Method::HEAD => {
                let usual = self.app().settings().rdb.read_mode;
                let mode = self.preferred_mode().unwrap_or(usual);
                Choices { read_mode: (mode != ReadMode::default()).then(|| mode.into()), durability: None }
            }
            _ => Choices { read_mode: None, durability: self.preferred_durability() },
        }
    }

    fn preferred_mode(&self) -> Option<ReadMode> {
        self.prefers("read-mode").and_then(ReadMode::named)
    }

    fn preferred_durability(&self) -> Option<reql::Durability> {
        match self.prefers("durability") {
            Some("hard") => Some(reql::Durability::Hard),
            Some("soft") => Some(reql::Durability::Soft),
            _ => None,
        }
    }

    /// Says in an answer about documents which of those preferences were heeded, and what of the request
    /// another answer may depend on.
    pub(crate) fn chosen(&self, mut response: Response) -> Response {
        if matches!(*self.method(), Method::GET | Method::HEAD) {
            let others = if self.app().settings().auth == Auth::None { "" } else { ", authorization" };
            let varies = HeaderValue::try_from(format!("accept, prefer{others}"));
            response.headers_mut().extend(varies.ok().map(|varies| (VARY, varies)));
        }
        let applied = match *self.method() {
            Method::GET | Method::HEAD => self.preferred_mode().map(|mode| format!("read-mode={mode}")),
            _ => {
                let durability = self.preferred_durability();
                durability.and(self.prefers("durability")).map(|name| format!("durability={name}"))
            }
        };
        let Some(applied) = applied else { return response };
        let before = response.headers().get(PREFERENCE_APPLIED).and_then(|before| before.to_str().ok());
        let all = before.map_or_else(|| applied.clone(), |before| format!("{before}, {applied}"));
        with_header(response, PREFERENCE_APPLIED, &all)
    }
}
