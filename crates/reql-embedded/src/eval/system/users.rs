//! `users`: a row for each user; writing it sets passwords, which are never shown.

use super::{View, Write};
use crate::accounts::{ADMIN, Password, User};
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
    if name.is_empty() {
        return Err(Error::op_failed("Empty username"));
    }
    let password = if write.new.is_null() { None } else { Some(Password::of_row(&write.new)?) };
    view.instance.accounts.change(name, |user| {
        if let Some(password) = &password {
            let mut user = user.cloned().unwrap_or_else(|| User::with_password(""));
            user.take(password)?;
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
