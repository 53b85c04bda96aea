//! `users`: a row for each user; writing it sets passwords, which are never shown.

use super::{View, Write};
use crate::accounts::{ADMIN, User};
use crate::datum::Datum;
use crate::error::{Error, Result};

pub(super) fn rows(view: &View<'_>) -> Result<Vec<Datum>> {
    Ok(view.instance.accounts.all().iter().map(|(name, user)| user.row(name)).collect())
}

pub(super) fn write(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    let name = match write.key {
        Datum::Str(name) if !write.is_key_generated => name,
        key => {
            return Err(Error::op_failed(format!(
                "Expected a username as the primary key, got {}.",
                key.print()
            )));
        }
    };
    let new = &write.new;
    view.instance.accounts.change(name, |user| {
        if !new.is_null() {
            let mut user = user.cloned().unwrap_or_else(|| User::with_password(""));
            user.merge(new)?;
            return Ok(Some(user));
        }
        if **name == *ADMIN {
            return Err(Error::op_failed(format!("The user `{name}` can't be deleted.")));
        }
        match user {
            Some(_) => Ok(None),
            None => Err(Error::op_failed(format!("User `{name}` not found."))),
        }
    })?;
    Ok(write.new)
}
