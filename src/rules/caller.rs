//! Callers: the roles and the claims of a token, or those of an anonymous request.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// The first whole number that the database, in which numbers are doubles, can't tell from its neighbour.
const INEXACT: f64 = 9_007_199_254_740_992.0;

/// The role of requests without credentials.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// The caller of a request, from its token. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Arc<Who>);

#[derive(Debug)]
struct Who {
    roles: Vec<String>,
    claims: Map<String, Value>,
    expires: Option<SystemTime>,
}

impl Caller {
    /// Returns the caller without a token.
    pub(crate) fn anonymous() -> Self {
        Caller(Arc::new(Who { roles: vec![ANONYMOUS.to_owned()], claims: Map::new(), expires: None }))
    }

    /// Returns the caller with these claims. `roles` is the JSON pointer of the roles; `leeway` is added to
    /// `exp`.
    pub(crate) fn of_claims(claims: Map<String, Value>, roles: &str, leeway: Duration) -> Self {
        let claims = Value::Object(claims);
        let roles = match claims.pointer(roles) {
            Some(Value::String(role)) => vec![role.clone()],
            Some(Value::Array(roles)) => roles.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let seconds = claims.get("exp").and_then(Value::as_f64).map(f64::round);
        let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        // Tokens are valid for the whole of their last second.
        let last = leeway.saturating_add(Duration::from_secs(1));
        let expires = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(seconds)?.checked_add(last));
        let Value::Object(claims) = claims else { return Caller::anonymous() };
        Caller(Arc::new(Who { roles, claims, expires }))
    }

    /// Returns whether there is no token.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.0.expires.is_none() && self.0.claims.is_empty()
    }

    /// Returns the subject of the token.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.0.claims.get("sub").and_then(Value::as_str)
    }

    pub(crate) fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Returns the time at which the token expires.
    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.0.expires
    }

    /// Returns a claim by its path. A claim that is neither a string, a number, a boolean nor a list of those
    /// counts as missing. So does a number that the database would take for others as well.
    pub(crate) fn claim(&self, names: &[String]) -> Option<&Value> {
        let (first, rest) = names.split_first()?;
        let found = rest.iter().try_fold(self.0.claims.get(first)?, |value, name| value.get(name))?;
        let is_exact = |value: &Value| value.as_f64().is_some_and(|number| number.abs() < INEXACT);
        let is_plain = |value: &Value| value.is_string() || value.is_boolean() || is_exact(value);
        let is_list = found.as_array().is_some_and(|members| members.iter().all(is_plain));
        (is_plain(found) || is_list).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caller(claims: Value, roles: &str) -> Caller {
        Caller::of_claims(serde_json::from_value(claims).unwrap(), roles, Duration::from_secs(5))
    }

    #[test]
    fn roles_are_where_the_settings_say() {
        let claims = json!({"role": "user", "realm": {"roles": ["a", 1, "b"]}, "a/b": "x", "n": 1});
        for (pointer, roles) in [
            ("/role", &["user"][..]),
            ("/realm/roles", &["a", "b"]),
            ("/a~1b", &["x"]),
            ("/n", &[]),
            ("/missing", &[]),
        ] {
            assert_eq!(caller(claims.clone(), pointer).roles(), roles, "{pointer}");
        }
    }

    #[test]
    fn claims_are_plain_values() {
        let claims = json!({"sub": "u", "a": {"b": 1, "t": {"$reql_type$": "TIME"}}, "l": ["x", 2],
            "m": [[1]], "n": null, "exp": 100});
        let caller = caller(claims, "/role");
        let claim =
            |names: &str| caller.claim(&names.split('.').map(str::to_owned).collect::<Vec<_>>()).cloned();
        assert_eq!(claim("sub"), Some(json!("u")));
        assert_eq!(claim("a.b"), Some(json!(1)));
        assert_eq!(claim("l"), Some(json!(["x", 2])));
        for none in ["a", "a.t", "m", "n", "x", "sub.x", "a.b.c", "l.0"] {
            assert_eq!(claim(none), None, "{none}");
        }
        assert_eq!(caller.expires(), Some(UNIX_EPOCH + Duration::from_secs(106)));
        assert!(!caller.is_anonymous() && Caller::anonymous().is_anonymous());
    }

    #[test]
    fn numbers_that_the_database_confuses_are_nobodys() {
        let last: i64 = 9_007_199_254_740_991;
        let claims = json!({"last": last, "least": -last, "half": 0.5, "one": last + 1, "other": last + 2,
            "below": -last - 2, "huge": 1e300, "all": [1, last], "some": [1, last + 2]});
        let caller = caller(claims.clone(), "/role");
        let claim = |name: &str| caller.claim(&[name.to_owned()]);
        for name in ["last", "least", "half", "all"] {
            assert_eq!(claim(name), Some(&claims[name]), "{name}");
        }
        for name in ["one", "other", "below", "huge", "some"] {
            assert_eq!(claim(name), None, "{name}");
        }
    }
}
