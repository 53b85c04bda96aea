//! Settings for tokens and rules: what is read, what is shown, and what is said of those that are wrong.

use warp_reql::settings::{Allowed, Auth};

use super::{file, jailed, load, settings};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn rules_are_read_and_shown() {
    jailed(|jail| {
        file(
            jail,
            "[default]\nauth = \"token\"\n[[default.rules]]\ntable = \"posts\"\nroles = [\"anonymous\", \
             \"user\"]\nread = \"public=eq.true\"\ndelete = false\n[[default.rules]]\ntable = [\"a\", \
             \"b\"]\nroles = \"*\"\nread = true\nhide = [\"x.y\"]\nset = { owner = \"{sub}\" }",
        );
        jail.set_env("APP_TOKEN_SECRET", SECRET);
        let loaded = load().unwrap();
        assert_eq!(loaded.settings.auth, Auth::Token);
        assert_eq!(loaded.settings.rules[0].read, Allowed::If("public=eq.true".to_owned()));
        assert_eq!(loaded.settings.rules[1].read, Allowed::Always);
        let shown = loaded.to_string();
        assert!(shown.contains("public=eq.true") && shown.contains("owner = \"{sub}\""), "{shown}");
        assert!(!shown.contains(SECRET) && shown.contains("token.secret = \"********\""), "{shown}");
    });
}

#[test]
fn what_is_wrong_with_rules_is_said_with_its_place() {
    for (rule, expected) in [
        ("read = \"owner=eq.{sub\"", Some("at byte 10")),
        ("read = \"owner=match.^a{2,3}$\"", None),
        ("read = \"or=(owner=eq.{sub},b)\"", Some("at character 18")),
        ("read = \"owner\"", Some("`rules.0.read`")),
        ("read = \"owner=is.{sub}\"", Some("`rules.0.read`")),
        ("read = \"{sub}=eq.1\"", Some("`rules.0.read`")),
        ("read = 7", Some("`rules.0.read` = 7")),
        ("hide = [\"a..b\"]", Some("`rules.0.hide`")),
        ("set = { owner = \"x{sub}\" }", Some("`rules.0.set`")),
        ("set = { \"a..b\" = 1 }", Some("`rules.0.set`")),
        ("reed = true", Some("reed")),
    ] {
        jailed(|jail| {
            file(
                jail,
                &format!(
                    "[default]\nauth = \"token\"\n[[default.rules]]\ntable = \"t\"\nroles = \"user\"\n{rule}"
                ),
            );
            jail.set_env("APP_TOKEN_SECRET", SECRET);
            match (load(), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => {
                    assert!(error.to_string().contains(expected), "{rule}: {error}")
                }
                (Ok(_), Some(expected)) => panic!("{rule}: no {expected}"),
                (Err(error), None) => panic!("{rule}: {error}"),
            }
        });
    }
}

#[test]
fn tokens_need_one_key_and_a_sound_one() {
    for (variables, expected) in [
        (&[][..], "exactly one of"),
        (&[("APP_TOKEN_SECRET", SECRET), ("APP_TOKEN_KEYS", "keys.json")], "exactly one of"),
        (&[("APP_TOKEN_SECRET", "short")], "at least 32 bytes"),
        (&[("APP_TOKEN_KEYS", "http://example.net/keys")], "https://"),
        (&[("APP_TOKEN_KEYS", "http://localhost.evil.example/keys")], "https://"),
        (&[("APP_TOKEN_SECRET", SECRET), ("APP_TOKEN_ROLES", "role")], "JSON pointer"),
        (&[("APP_TOKEN_SECRET", SECRET), ("APP_TOKEN_LEEWAY", "10m")], "at most 5 min"),
        (&[("APP_TOKEN_SECRET", SECRET), ("APP_TOKEN_KEYS_CA", "ca.pem")], "at a URL"),
        (&[("APP_TOKEN_SECRET", SECRET), ("APP_ANONYMOUS_USER", "guest")], "auth = \"database\""),
    ] {
        jailed(|jail| {
            jail.set_env("APP_AUTH", "token");
            variables.iter().for_each(|(name, value)| jail.set_env(name, value));
            let error = load().unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains(SECRET), "{variables:?}: {error}");
        });
    }
    jailed(|jail| {
        jail.set_env("APP_AUTH", "token");
        jail.set_env("APP_TOKEN_KEYS", "http://localhost:8080/keys");
        assert_eq!(settings().token.keys, "http://localhost:8080/keys");
    });
}

#[test]
fn rules_without_tokens_keep_the_service_from_starting() {
    jailed(|jail| {
        file(jail, "[[default.rules]]\ntable = \"t\"\nroles = \"*\"\nread = true");
        let error = load().unwrap_err().to_string();
        assert!(error.contains("expected \"token\", which `rules` are for"), "{error}");
    });
}
