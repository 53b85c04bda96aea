//! The guards of a write: conditions (`If-Match`), preferences that show or bound it (`Prefer: tx=rollback`,
//! `explain`, `max-affected`), and a key against repetitions (`Idempotency-Key`).
//!
//! A client that sends one relies on it. So a write that doesn't take it is refused, although RFC 7240 would
//! have preferences ignored then.

use super::context::Context;
use super::etag::Conditions;
use super::headers::IDEMPOTENCY_KEY;
use crate::error::{Code, Error};

/// The preferences that may keep a write from being done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Guards {
    /// The most documents that may be changed (`max-affected=N`).
    pub(crate) most: Option<usize>,
    /// `true` if only the result is to be shown (`tx=rollback`).
    pub(crate) rollback: bool,
    /// `true` if only the query is to be shown (`explain`).
    explain: bool,
}

impl Guards {
    /// Returns the guards of a change by a filter, which takes no conditions.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] if there is a condition, or a guard that makes no sense;
    /// [`Code::PreconditionRequired`] if `require_match` is set and nothing bounds the change.
    pub(crate) fn of_many(context: &Context) -> Result<Self, Error> {
        unconditional(context)?;
        let guards = Guards::of(context)?;
        let is_bounded = guards.most.is_some() || guards.rollback || guards.explain;
        if context.app().settings().require_match && !is_bounded {
            let detail = "A change by a filter needs `Prefer: max-affected=N` here.";
            let hint = "Say how many documents it may change at most; `Prefer: tx=rollback` counts them.";
            return Err(Error::new(Code::PreconditionRequired, detail).with_hint(hint));
        }
        Ok(guards)
    }

    /// Checks the guards of a write of one document.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] if the document isn't to be written, or a guard makes no sense.
    pub(crate) fn check_one(context: &Context) -> Result<(), Error> {
        let guards = Guards::of(context)?;
        if guards.most == Some(0) {
            return Err(Error::bad_request("`Prefer: max-affected=0` allows no write."));
        }
        guards.unshown()
    }

    /// Checks that a write has neither guards nor conditions.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] if it has.
    pub(crate) fn check_none(context: &Context) -> Result<(), Error> {
        unconditional(context)?;
        let guards = Guards::of(context)?;
        if guards.most.is_some() {
            return Err(only_by_a_filter("max-affected"));
        }
        guards.unshown()
    }

    fn of(context: &Context) -> Result<Self, Error> {
        let rollback = match context.preferred("tx") {
            None | Some("commit") => false,
            Some("rollback") => true,
            Some(_) => return Err(Error::bad_request("`Prefer: tx` takes `commit` or `rollback`.")),
        };
        let explain = match context.preferred("explain") {
            None => false,
            Some("") => true,
            Some(_) => return Err(Error::bad_request("`Prefer: explain` takes no value.")),
        };
        let most = context.preferred("max-affected").map(|most| {
            most.parse().map_err(|_| Error::bad_request("`Prefer: max-affected` takes a whole number."))
        });
        Ok(Guards { most: most.transpose()?, rollback, explain })
    }

    /// Checks that the write is to be done, and not shown.
    fn unshown(&self) -> Result<(), Error> {
        match (self.rollback, self.explain) {
            (true, _) => Err(only_by_a_filter("tx=rollback")),
            (_, true) => Err(only_by_a_filter("explain")),
            (false, false) => Ok(()),
        }
    }
}

fn only_by_a_filter(preference: &str) -> Error {
    let detail = format!("`Prefer: {preference}` is only for changes by a filter. Nothing was done.");
    Error::bad_request(detail)
}

/// Checks that a request has no conditions.
fn unconditional(context: &Context) -> Result<(), Error> {
    match Conditions::are_in(context.headers()) {
        true => {
            let detail =
                "`If-Match` and `If-None-Match` are only for requests for one document. Nothing was done.";
            Err(Error::bad_request(detail))
        }
        false => Ok(()),
    }
}

/// Checks that a request has no key, since it would be done again by each repetition.
///
/// # Errors
///
/// [`Code::BadRequest`] if it has one.
pub(crate) fn unkeyed(context: &Context) -> Result<(), Error> {
    match context.headers().contains_key(IDEMPOTENCY_KEY) {
        true => {
            let detail = "`Idempotency-Key` is only for `POST` of documents. Nothing was done.";
            Err(Error::bad_request(detail))
        }
        false => Ok(()),
    }
}

/// Checks that documents which exist already may be written without a condition.
///
/// # Errors
///
/// [`Code::PreconditionRequired`] if `require_match` is set.
pub(crate) fn unrequired(context: &Context) -> Result<(), Error> {
    match context.app().settings().require_match {
        true => {
            let detail = "Existing documents are only changed with a condition here, so one at a time.";
            let hint = "Send each with `PUT`, and its ETag in If-Match; or leave out `resolution`.";
            Err(Error::new(Code::PreconditionRequired, detail).with_hint(hint))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use warp::http::Request;

    use super::*;
    use crate::app::App;
    use crate::database::Database;
    use crate::http::headers::PREFER;
    use crate::settings::{Rdb, Settings};

    fn context(headers: &[(&str, &str)], require_match: bool) -> Context {
        let settings = Settings { require_match, ..Settings::default() };
        let app = App::new(settings, Database::new(Rdb::default()).unwrap());
        let request = headers.iter().fold(Request::builder(), |it, (name, value)| it.header(*name, *value));
        Context::new(&app, &request.body(()).unwrap(), |_| None)
    }

    fn preferring(prefer: &str) -> Context {
        context(&[(PREFER.as_str(), prefer)], false)
    }

    #[test]
    fn guards_are_taken_or_refused() {
        // Whether a change by a filter takes it, a write of one document, and any other write.
        for (prefer, taken) in [
            ("", [true, true, true]),
            ("tx=commit, return=minimal", [true, true, true]),
            ("max-affected=1", [true, true, false]),
            ("max-affected=0", [true, false, false]),
            ("tx=rollback", [true, false, false]),
            ("explain", [true, false, false]),
            ("Explain=\"\"", [true, false, false]),
            ("max-affected=1, tx=rollback", [true, false, false]),
            ("tx=abort", [false; 3]),
            ("tx", [false; 3]),
            ("explain=yes", [false; 3]),
            ("max-affected", [false; 3]),
            ("max-affected=few", [false; 3]),
            ("max-affected=-1", [false; 3]),
        ] {
            let context = preferring(prefer);
            let all = [
                Guards::of_many(&context).map(drop),
                Guards::check_one(&context),
                Guards::check_none(&context),
            ];
            assert_eq!(all.each_ref().map(Result::is_ok), taken, "{prefer}");
            let mut refusals = all.iter().filter_map(|told| told.as_ref().err());
            assert!(refusals.all(|error| error.code() == Code::BadRequest), "{prefer}");
        }
        let guards = Guards::of_many(&preferring("max-affected=7, tx=rollback")).unwrap();
        assert_eq!(guards, Guards { most: Some(7), rollback: true, explain: false });
    }

    #[test]
    fn conditions_are_for_one_document() {
        for condition in [("if-match", "*"), ("if-none-match", "*"), ("if-match", "")] {
            let context = context(&[condition], false);
            assert!(Guards::of_many(&context).is_err() && Guards::check_none(&context).is_err());
            assert!(Guards::check_one(&context).is_ok());
        }
        assert!(unkeyed(&context(&[("idempotency-key", "k")], false)).is_err());
        assert!(unkeyed(&preferring("tx=commit")).is_ok());
    }

    #[test]
    fn a_required_condition_is_a_bound_for_many() {
        for (prefer, is_enough) in [
            ("return=representation", false),
            ("tx=commit", false),
            ("max-affected=0", true),
            ("max-affected=50", true),
            ("tx=rollback", true),
            ("explain", true),
        ] {
            let context = context(&[(PREFER.as_str(), prefer)], true);
            let told = Guards::of_many(&context).map_err(|error| error.code());
            assert_eq!(told.err(), (!is_enough).then_some(Code::PreconditionRequired), "{prefer}");
            assert!(unrequired(&context).is_err() && unrequired(&preferring(prefer)).is_ok());
        }
    }
}
