//! A text that is never shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// The text that stands in place of a secret wherever it would be shown.
pub(super) const MASK: &str = "********";

/// A text that `Debug` and serialization mask; only [`Secret::expose`] gives it away.
///
/// ```
/// use warp_reql::settings::Secret;
///
/// let secret = Secret::from("sesame");
/// assert_eq!(secret.expose(), "sesame");
/// assert!(!format!("{secret:?}").contains("sesame"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Masks the text unless it is empty, since the absence of a password is no secret.
    fn masked(&self) -> &'static str {
        if self.0.is_empty() { "" } else { MASK }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.masked())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.masked())
    }
}
