//! Who may do what: tokens, the roles and claims that they give, and rules for documents.
//!
//! A request that brings a token is checked by [`Verifier`](token::Verifier) and has a [`Caller`] from then
//! on. [`Rules`] give each caller a [`Grant`] for the table that it asks about, and whatever is asked of the
//! database for that request is made through the grant: its conditions are part of the very query that reads
//! or writes.

mod keys;
mod signatures;
mod token;

use crate::error::{Code, Error};
pub(crate) use crate::rules::{Caller, Grant, Rules};
use crate::settings::{Auth, Settings};
use token::Verifier;

/// Who may do what, as the settings have it.
pub(crate) struct Access {
    /// What tokens are checked by; or what is wrong with the settings. `None` if tokens don't count.
    verifier: Option<Result<Verifier, String>>,
    rules: Rules,
    admin_roles: Vec<String>,
}

impl Access {
    /// Prepares what requests are checked by.
    pub(crate) fn new(settings: &Settings) -> Self {
        let counts = settings.auth == Auth::Token;
        let rules = Rules::read(&settings.rules);
        let verifier = counts.then(|| match &rules {
            Ok(_) => Verifier::new(&settings.token),
            Err((key, expected)) => Err(format!("`{key}`: expected {expected}")),
        });
        let admin_roles = settings.admin_roles.clone();
        Access { verifier, rules: rules.unwrap_or_default(), admin_roles }
    }

    /// Prepares the same by other settings. Keys that are still the ones to be used are kept.
    pub(crate) fn followed_by(&self, before: &Settings, settings: &Settings) -> Self {
        let next = Access::new(settings);
        let are_same = before.token == settings.token && before.auth == settings.auth;
        match &self.verifier {
            Some(Ok(verifier)) if are_same => Access { verifier: Some(Ok(verifier.clone())), ..next },
            _ => next,
        }
    }

    /// Checks that files with keys can be read, if settings name some.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and why.
    pub(crate) fn check(settings: &Settings) -> Result<(), String> {
        Access::new(settings).verifier.transpose().map(drop)
    }

    /// Fetches the keys ahead of the first request that needs them, and warns of what may not be meant.
    pub(crate) fn start(&self, settings: &Settings) {
        let Some(Ok(verifier)) = &self.verifier else { return };
        verifier.fetch_ahead();
        if self.rules.are_none() {
            log::warn!("There are no `rules`: every valid token allows everything.");
        }
        if settings.token.are_remote() && settings.token.audience.is_empty() {
            log::warn!(
                "`token.audience` isn't set: tokens that the issuer made for other services are valid here, too."
            );
        }
    }

    /// Returns who has this token, or nobody without one.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if the token doesn't count,
    /// [`Code::NoKeys`](crate::error::Code::NoKeys) if there is nothing to check it with.
    pub(crate) async fn caller(&self, token: Option<&str>) -> Result<Caller, Error> {
        let Some(token) = token else { return Ok(Caller::anonymous()) };
        match &self.verifier {
            Some(Ok(verifier)) => verifier.verify(token).await,
            Some(Err(reason)) => Err(Error::from(Code::Misconfigured).caused_by(reason.clone())),
            None => Ok(Caller::anonymous()),
        }
    }

    /// Returns whether requests bring tokens.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.verifier.is_some()
    }

    /// Returns what a caller may do with a table. `None` is somebody of whom nothing is known.
    pub(crate) fn grant(&self, caller: Option<&Caller>, table: &str) -> Grant {
        match caller {
            _ if !self.counts_tokens() => Grant::everything(),
            None => Rules::default().grant(&Caller::anonymous(), table),
            Some(caller) if self.administrates(caller) => Grant::everything(),
            Some(caller) => self.rules.grant(caller, table),
        }
    }

    /// Checks that a caller may do everything.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`](crate::error::Code::Forbidden);
    /// [`Code::Unauthorized`](crate::error::Code::Unauthorized) if somebody with a token might be allowed to.
    pub(crate) fn to_administrate(&self, caller: Option<&Caller>) -> Result<(), Error> {
        match caller {
            _ if !self.counts_tokens() => Ok(()),
            Some(caller) if self.administrates(caller) => Ok(()),
            Some(caller) if !caller.is_anonymous() => Err(Error::forbidden()),
            _ => Err(Error::no_token()),
        }
    }

    /// Checks that a caller may run queries of any kind. They reach further than documents and tables, so a
    /// token needs one of the `admin_roles` for them, rules or not.
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

    /// Without rules, that is everybody who has a token.
    fn administrates(&self, caller: &Caller) -> bool {
        !caller.is_anonymous() && (self.rules.are_none() || self.is_admin(caller))
    }

    fn is_admin(&self, caller: &Caller) -> bool {
        self.admin_roles.iter().any(|role| caller.roles().contains(role))
    }
}
