//! Access control: tokens, their roles and claims, and rules for documents.
//!
//! [`Verifier`](token::Verifier) checks the token of a request, and makes a [`Caller`] of it. [`Rules`] give
//! each caller a [`Grant`] for a table. All queries for the request are built with the grant: its conditions
//! are part of the query that reads or writes, so nothing can change in between.

mod keys;
mod signatures;
mod token;

use crate::error::{Code, Error};
pub(crate) use crate::rules::{Caller, Grant, Rules};
use crate::settings::{Auth, Secret, Settings};
use token::Verifier;

/// The access control of the settings.
pub(crate) struct Access {
    /// The verifier of tokens, or the reason why the settings for it are invalid. `None` if the service
    /// doesn't use tokens.
    verifier: Option<Result<Verifier, String>>,
    rules: Rules,
    admin_roles: Vec<String>,
    /// The database user of requests without credentials, if there is one, and the password.
    anonymous: (String, Secret),
}

impl Access {
    /// Prepares the verifier and the rules.
    pub(crate) fn new(settings: &Settings) -> Self {
        let counts = settings.auth == Auth::Token;
        let rules = Rules::read(&settings.rules);
        let verifier = counts.then(|| match &rules {
            Ok(_) => Verifier::new(&settings.token),
            Err((key, expected)) => Err(format!("`{key}`: expected {expected}")),
        });
        let admin_roles = settings.admin_roles.clone();
        let anonymous = (settings.anonymous_user.clone(), settings.anonymous_password.clone());
        Access { verifier, rules: rules.unwrap_or_default(), admin_roles, anonymous }
    }

    /// Returns the access control of new settings. Keys at a URL are kept if their settings haven't changed;
    /// keys and secrets in files are those that are there now. `None` if nothing else has changed.
    pub(crate) fn followed_by(&self, before: &Settings, settings: &Settings) -> Option<Self> {
        let next = Access::new(settings);
        let are_same = before.token == settings.token && before.auth == settings.auth;
        let verifier = match (&self.verifier, &next.verifier) {
            (Some(Ok(verifier)), Some(Ok(read))) if are_same => {
                verifier.adopt(read);
                Some(Ok(verifier.clone()))
            }
            _ => next.verifier,
        };
        let is_changed = !are_same
            || (&before.rules, &before.admin_roles) != (&settings.rules, &settings.admin_roles)
            || self.anonymous != next.anonymous;
        is_changed.then_some(Access { verifier, ..next })
    }

    /// Checks that the files with keys can be read, if settings name some.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and why.
    pub(crate) fn check(settings: &Settings) -> Result<(), String> {
        Access::new(settings).verifier.transpose().map(drop)
    }

    /// Starts to fetch the keys before the first request, and warns of settings that may be unintended.
    pub(crate) fn start(&self, settings: &Settings) {
        let Some(Ok(verifier)) = &self.verifier else { return };
        verifier.fetch_ahead();
        if self.rules.are_none() {
            log::warn!("There are no `rules`: every valid token allows everything.");
        }
        if settings.token.are_remote() && settings.token.audience.is_empty() {
            log::warn!("`token.audience` isn't set: tokens for other services of the issuer are valid, too.");
        }
    }

    /// Returns the caller with this token, or an anonymous one without a token.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if the token isn't valid,
    /// [`Code::NoKeys`](crate::error::Code::NoKeys) if there are no keys to check it with.
    pub(crate) async fn caller(&self, token: Option<&str>) -> Result<Caller, Error> {
        let Some(token) = token else { return Ok(Caller::anonymous()) };
        match &self.verifier {
            Some(Ok(verifier)) => verifier.verify(token).await,
            Some(Err(reason)) => Err(Error::from(Code::Misconfigured).caused_by(reason.clone())),
            None => Ok(Caller::anonymous()),
        }
    }

    /// Returns whether requests without credentials are admitted as by another access control.
    pub(crate) fn admits_anonymous_as(&self, other: &Access) -> bool {
        self.anonymous == other.anonymous
    }

    /// Returns whether the service uses tokens.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.verifier.is_some()
    }

    /// Returns the grant of a caller for a table. `None` is a caller that isn't known yet.
    pub(crate) fn grant(&self, caller: Option<&Caller>, table: &str) -> Grant {
        match caller {
            _ if !self.counts_tokens() => Grant::everything(),
            None => Rules::default().grant(&Caller::anonymous(), table),
            Some(caller) if self.administrates(caller) => Grant::everything(),
            Some(caller) => self.rules.grant(caller, table),
        }
    }

    /// Returns whether something may be hidden from a caller. `None` is a caller that isn't known.
    pub(crate) fn restricts(&self, caller: Option<&Caller>) -> bool {
        self.counts_tokens() && caller.is_none_or(|caller| !self.administrates(caller))
    }

    /// Checks that a caller may do everything.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden);
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if there is no token and one could allow it.
    pub(crate) fn to_administrate(&self, caller: Option<&Caller>) -> Result<(), Error> {
        match caller {
            _ if !self.counts_tokens() => Ok(()),
            Some(caller) if self.administrates(caller) => Ok(()),
            Some(caller) if !caller.is_anonymous() => Err(Error::forbidden()),
            _ => Err(Error::no_token()),
        }
    }

    /// Checks that a caller may run any query. Such queries can do more than access documents, so a token
    /// needs one of the `admin_roles`, with or without rules.
    ///
    /// # Errors
    ///
    /// As for [`Access::to_administrate`].
    pub(crate) fn to_query(&self, caller: Option<&Caller>) -> Result<(), Error> {
        self.to_administrate(caller)?;
        match caller {
            Some(caller) if self.counts_tokens() && !self.is_admin(caller) => Err(Error::forbidden()),
            _ => Ok(()),
        }
    }

    /// Returns whether a caller may do everything. Without rules, everybody with a token may.
    fn administrates(&self, caller: &Caller) -> bool {
        !caller.is_anonymous() && (self.rules.are_none() || self.is_admin(caller))
    }

    fn is_admin(&self, caller: &Caller) -> bool {
        self.admin_roles.iter().any(|role| caller.roles().contains(role))
    }
}
