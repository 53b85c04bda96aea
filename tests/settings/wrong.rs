//! The error message of each way in which a setting can be wrong.

use std::fmt::Display;
use std::path::PathBuf;

use warp_reql::settings::{Auth, Cors, LoadOptions, Settings};

use super::{careful, file, jailed, load, profile, settings};

/// The one line that stops the start.
#[track_caller]
fn error() -> String {
    let text = load().unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// Checks the error message of the current environment and file.
#[track_caller]
fn assert_error(expected: impl Display) {
    assert_eq!(error(), expected.to_string());
}

#[test]
fn two_passwords_are_one_too_many() {
    jailed(|jail| {
        jail.set_env("RDB_PASSWORD", "hunter2");
        jail.set_env("RDB_PASSWORD_FILE", "secret");
        assert_error(
            "invalid setting `rdb.password` = \"secret\" (environment variable RDB_PASSWORD_FILE): expected \
             either RDB_PASSWORD or RDB_PASSWORD_FILE, but both are set",
        );
    });
}

#[test]
fn a_secret_that_cannot_be_read_stops_the_start() {
    jailed(|jail| {
        jail.set_env("RDB_PASSWORD_FILE", "none");
        assert_error(
            "invalid setting `rdb.password` = \"none\" (environment variable RDB_PASSWORD_FILE): expected a \
             readable file with the password, but: No such file or directory (os error 2)",
        );
    });
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    jailed(|_| {
        let options = LoadOptions { profile: None, file: Some(PathBuf::from("none.toml")) };
        let error = Settings::load(&options).unwrap_err().to_string();
        assert!(error.starts_with("settings file none.toml: No such file"), "{error}");
    });
}

#[test]
fn an_unknown_profile_lists_the_known_ones() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1\n[staging]\nport = 2");
        jail.set_env("APP_PROFILE", "prod");
        assert_error(
            "unknown profile \"prod\" (environment variable APP_PROFILE): expected one of \
             development, production, staging",
        );
        let error = profile("default").unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown profile \"default\" (--profile): expected one of development, production, staging"
        );
    });
}

#[test]
fn an_unknown_key_names_the_file_the_profile_and_the_likely_one() {
    jailed(|jail| {
        file(jail, "[development]\nprot = 9000");
        assert_error(
            "unknown setting `prot` = 9000 (Settings.toml, profile development): did you mean `port`?",
        );
    });
}

#[test]
fn an_unknown_key_of_another_profile_is_found_too() {
    jailed(|jail| {
        file(jail, "[production.rdb]\nhosts = \"db\"");
        assert_error(
            "unknown setting `rdb.hosts` = \"db\" (Settings.toml, profile production): did you mean \
             `rdb.host`?",
        );
    });
}

#[test]
fn an_unknown_variable_names_the_likely_one() {
    jailed(|jail| {
        jail.set_env("APP_PROT", 9000);
        assert_error(
            "unknown setting `APP_PROT` = \"9000\" (environment variable APP_PROT): did you mean `APP_PORT`?",
        );
    });
}

#[test]
fn the_value_of_an_unknown_key_could_be_a_secret() {
    jailed(|jail| {
        jail.set_env("RDB_PASWORD", "hunter2");
        assert!(!error().contains("hunter2"), "{}", error());
        assert!(error().ends_with("did you mean `RDB_PASSWORD`?"), "{}", error());
    });
    jailed(|jail| {
        file(jail, "[default.rdb]\nsecret = \"hunter2\"");
        assert_error(
            "unknown setting `rdb.secret` = ******** (Settings.toml, profile default): expected a key that \
             `config` lists",
        );
    });
}

#[test]
fn the_profile_cannot_be_set_in_the_file() {
    jailed(|jail| {
        file(jail, "[default]\nprofile = \"production\"");
        assert!(error().starts_with("unknown setting `profile`"), "{}", error());
    });
}

#[test]
fn a_wrong_type_in_the_file_names_all_four() {
    jailed(|jail| {
        file(jail, "[default]\nport = \"http\"");
        assert_error(
            "invalid setting `port` = \"http\" (Settings.toml, profile default): expected a port from 0 to \
             65535",
        );
    });
}

#[test]
fn a_wrong_type_in_the_environment_names_all_four() {
    jailed(|jail| {
        jail.set_env("APP_DEBUG", "maybe");
        assert_error(
            "invalid setting `debug` = \"maybe\" (environment variable APP_DEBUG): expected true or false",
        );
    });
}

#[test]
fn values_that_cannot_be_are_refused() {
    let rows = [
        (
            "APP_ADDRESS",
            "localhost",
            "`address` = \"localhost\"",
            "an IP address such as \"127.0.0.1\" or \"::1\"",
        ),
        ("APP_PORT", "70000", "`port` = 70000", "a port from 0 to 65535"),
        ("APP_PORT", "", "`port` = \"\"", "a port from 0 to 65535"),
        ("APP_LIMITS_BODY", "1 Mb", "`limits.body` = \"1 Mb\"", "a size from 1 byte to 1 GiB"),
        ("APP_LIMITS_BODY", "0", "`limits.body` = \"0\"", "a size from 1 byte to 1 GiB"),
        ("APP_LIMITS_PAGE", "5000", "`limits.page` = 5000", "a whole number from 1 to `limits.page_max`"),
        ("APP_LIMITS_FEEDS", "1000001", "`limits.feeds` = 1000001", "a whole number from 0 to 1000000"),
        ("APP_LIMITS_TICKETS", "-1", "`limits.tickets` = -1", "a whole number from 0 to 1000000"),
        ("APP_LIMITS_FEED_QUEUE", "0", "`limits.feed_queue` = 0", "a whole number from 1 to 1000000"),
        ("RDB_PORT", "0", "`rdb.port` = 0", "a port from 1 to 65535"),
        ("RDB_PORT", "-1", "`rdb.port` = -1", "a port from 1 to 65535"),
        ("RDB_HOST", "a,,b", "`rdb.host` = \"a,,b\"", "\"embedded\", or hosts such as"),
        ("RDB_HOST", "a:99999", "`rdb.host` = \"a:99999\"", "\"embedded\", or hosts such as"),
        ("RDB_DB", "my db", "`rdb.db` = \"my db\"", "a name of letters, digits, `_` and `-`"),
        ("RDB_STANDBY", "257", "`rdb.standby` = 257", "a whole number from 0 to `rdb.max_connections`"),
        ("RDB_MAX_CONNECTIONS", "0", "`rdb.max_connections` = 0", "a whole number from 1 to 65535"),
        ("RDB_QUERY_TIMEOUT", "30", "`rdb.query_timeout` = \"30\"", "a duration such as \"5s\""),
        (
            "RDB_CONNECT_TIMEOUT",
            "0s",
            "`rdb.connect_timeout` = \"0s\"",
            "a duration such as \"5s\", more than 0",
        ),
        ("APP_LOG_LEVEL", "loud", "`log_level` = \"loud\"", "one of \"off\", \"error\", \"warn\""),
    ];
    for (variable, value, shown, expected) in rows {
        jailed(|jail| {
            jail.set_env(variable, value);
            let start =
                format!("invalid setting {shown} (environment variable {variable}): expected {expected}");
            assert!(error().starts_with(&start), "{} is not {start}", error());
        });
    }
}

#[test]
fn wrong_tables_are_told_by_their_place_in_the_list() {
    let rows = [
        ("name = \"a b\"", "invalid setting `tables.0.name` = \"a b\""),
        ("nmae = \"a\"", "unknown setting `tables.0.nmae` = \"a\""),
        (
            "primary_key = \"k\"",
            "missing setting `tables.0.name` (Settings.toml, profile default): expected a name",
        ),
        ("name = 1", "invalid setting `tables.0.name` = 1 (Settings.toml, profile default): expected a name"),
        ("name = \"a\"\nindexes = [1]", "invalid setting `tables.0.indexes.0` = 1"),
        ("name = \"a\"\nindexes = [\"b\", \"b\"]", "invalid setting `tables.0.indexes.1` = \"b\""),
        (
            "name = \"a\"\nindexes = [{ name = \"b\", fields = [] }]",
            "invalid setting `tables.0.indexes.0.fields` = [ ... ]",
        ),
        (
            "name = \"a\"\nindexes = [{ name = \"b\", mulit = true }]",
            "unknown setting `tables.0.indexes.0.mulit` = true",
        ),
        ("name = \"a\"\n[[default.tables]]\nname = \"a\"", "invalid setting `tables.1.name` = \"a\""),
    ];
    for (text, start) in rows {
        jailed(|jail| {
            file(jail, &format!("[[default.tables]]\n{text}"));
            assert!(error().starts_with(start), "{} is not {start}", error());
        });
    }
}

#[test]
fn a_table_where_a_value_belongs_is_refused_and_the_other_way_round() {
    jailed(|jail| {
        file(jail, "[default.port]\nnumber = 1");
        assert!(
            error().starts_with("invalid setting `port` = { ... } (Settings.toml, profile default)"),
            "{}",
            error()
        );
    });
    jailed(|jail| {
        file(jail, "[default]\nrdb = \"localhost\"");
        assert!(error().starts_with("invalid setting `rdb` = \"localhost\" (Settings.toml"), "{}", error());
    });
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    jailed(|jail| {
        file(jail, "[default]\nrdb.password = \"hunter2\nport = 1");
        assert!(error().starts_with("settings file Settings.toml: line 2, column "), "{}", error());
        assert!(!error().contains("hunter2"), "{}", error());
    });
}

#[test]
fn a_key_outside_of_a_profile_is_refused() {
    jailed(|jail| {
        file(jail, "port = 1");
        assert_error(
            "settings file Settings.toml: `port` stands outside of a profile: expected a table such as \
             [default]",
        );
    });
}

#[test]
fn a_profile_is_there_only_once() {
    jailed(|jail| {
        file(jail, "[production]\nport = 1\n[Production]\nport = 2");
        assert!(error().ends_with("is there twice: the names of profiles ignore case"), "{}", error());
    });
}

#[test]
fn a_password_of_a_wrong_type_is_masked() {
    jailed(|jail| {
        file(jail, "[default.rdb]\npassword = 12345");
        assert_error(
            "invalid setting `rdb.password` = ******** (Settings.toml, profile default): expected a string",
        );
    });
}

#[test]
fn nobody_opens_production_to_everybody_by_accident() {
    careful(|jail| {
        let expected = "invalid setting `auth` = \"none\" (built-in): expected \"database\" or \"token\", or \
            `allow_anonymous = true` beside it, because others can reach `address`";
        file(jail, "[staging]");
        for name in ["production", "staging"] {
            assert_eq!(profile(name).unwrap_err().to_string(), expected);
        }
        jail.set_env("APP_ADDRESS", "::");
        assert!(profile("production").is_err());
        assert!(profile("development").is_ok(), "whoever sets the address in development means it");
        jail.set_env("APP_ADDRESS", "::1");
        assert!(profile("production").is_ok());
        jail.set_env("APP_ADDRESS", "0.0.0.0");
        jail.set_env("APP_AUTH", "database");
        let settings = profile("production").unwrap().settings;
        assert_eq!((settings.auth, settings.rdb.standby), (Auth::Database, 0));
        jail.set_env("APP_AUTH", "none");
        jail.set_env("APP_ALLOW_ANONYMOUS", "true");
        assert_eq!(profile("production").unwrap().settings.auth, Auth::None);
    });
}

#[test]
fn access_is_one_of_a_few_words() {
    jailed(|jail| {
        jail.set_env("APP_AUTH", "basic");
        let wrong = "invalid setting `auth` = \"basic\" (environment variable APP_AUTH): expected \"none\", \
            \"database\" or \"token\"";
        assert_eq!(load().unwrap_err().to_string(), wrong);
        jail.set_env("APP_AUTH", "none");
        for cors in ["a.example", "https://a.example/", "https://", "ftp://a.example", "any, off"] {
            jail.set_env("APP_CORS", cors);
            assert!(load().unwrap_err().to_string().contains("invalid setting `cors`"), "{cors}");
        }
        jail.set_env("APP_CORS", "https://A.example,http://localhost:3000");
        let list = ["https://a.example", "http://localhost:3000"].map(str::to_owned).to_vec();
        assert_eq!(settings().cors, Cors::List(list));
    });
}

#[test]
fn where_the_embedded_database_listens_is_no_open_door() {
    jailed(|jail| {
        for (set, expected) in [
            ("listen = \"0.0.0.0:1\"", "an address of this machine, or an `rdb.password` with it"),
            ("listen = 1\nhost = \"a\"", "nothing: only an embedded database has it"),
            ("listen = 70000", "an address such as \"127.0.0.1:28015\", or a port"),
            ("listen = true", "an address such as \"127.0.0.1:28015\", or a port"),
        ] {
            file(jail, &format!("[development.rdb]\n{set}\n"));
            assert!(error().starts_with("invalid setting `rdb.listen`"), "{set}: {}", error());
            assert!(error().ends_with(&format!("expected {expected}")), "{set}: {}", error());
        }
    });
}

#[test]
fn the_memory_limit_is_a_size_for_the_embedded_database() {
    jailed(|jail| {
        for (set, expected) in [
            ("memory_limit = \"1MiB\"", "a size from 16 MiB to 1 TiB such as \"512MiB\", or 0"),
            ("memory_limit = \"much\"", "a size from 16 MiB to 1 TiB such as \"512MiB\", or 0"),
            ("memory_limit = \"1GiB\"\nhost = \"a\"", "nothing: only an embedded database has it"),
        ] {
            file(jail, &format!("[development.rdb]\n{set}\n"));
            assert!(error().starts_with("invalid setting `rdb.memory_limit`"), "{set}: {}", error());
            assert!(error().ends_with(&format!("expected {expected}")), "{set}: {}", error());
        }
    });
}

#[test]
fn the_page_cache_is_a_size_for_the_embedded_database() {
    jailed(|jail| {
        for (set, expected) in [
            ("page_cache = \"4KiB\"", "a size from 1 MiB to 1 TiB such as \"512MiB\", or 0"),
            ("page_cache = \"1MiB\"\nhost = \"a\"", "nothing: only an embedded database has it"),
        ] {
            file(jail, &format!("[development.rdb]\n{set}\n"));
            assert!(error().starts_with("invalid setting `rdb.page_cache`"), "{set}: {}", error());
            assert!(error().ends_with(&format!("expected {expected}")), "{set}: {}", error());
        }
    });
}

#[test]
fn tls_to_the_database_needs_both_files_and_a_network() {
    jailed(|jail| {
        for (set, start) in [
            ("host = \"a\"\ntls.cert = \"a.pem\"", "invalid setting `rdb.tls.cert`"),
            ("host = \"a\"\ntls.key = \"a.pem\"", "invalid setting `rdb.tls.cert`"),
            ("host = \"a\"\ntls = \"yes\"", "invalid setting `rdb.tls`"),
            ("host = \"a\"\ntls.cq = \"a.pem\"", "unknown setting `rdb.tls.cq`"),
            ("tls = true", "invalid setting `rdb.tls`"),
        ] {
            file(jail, &format!("[development.rdb]\n{set}\n"));
            assert!(error().starts_with(start), "{set}: {}", error());
        }
    });
}

#[test]
fn tls_needs_a_certificate_and_its_key() {
    jailed(|jail| {
        for (set, key) in [
            ("cert = \"a.pem\"", "tls.key"),
            ("key = \"a.pem\"", "tls.cert"),
            ("client_ca = \"a.pem\"", "tls.cert"),
        ] {
            file(jail, &format!("[default.tls]\n{set}"));
            assert!(error().starts_with(&format!("invalid setting `{key}`")), "{set}: {}", error());
        }
        file(jail, "[default]\naddress = \"unix:/run/x.sock\"\ntls = { cert = \"a.pem\", key = \"b.pem\" }");
        assert!(error().ends_with("expected nothing: a Unix socket needs no TLS"), "{}", error());
        file(jail, "[default]\naddress = \"unix:x.sock\"");
        assert!(error().starts_with("invalid setting `address` = \"unix:x.sock\""), "{}", error());
    });
}

#[test]
fn variables_of_others_are_no_mistake() {
    jailed(|jail| {
        for (name, value) in [
            ("APP_NAME", "shop"),
            ("APP_ENV", "prod"),
            ("RDB_SERVICE_HOST", "10.0.0.1"),
            ("APP_PORT", "tcp://10.0.0.1:8000"),
        ] {
            jail.set_env(name, value);
        }
        let loaded = load().unwrap();
        assert_eq!(loaded.settings.port, 8000);
        let mut foreign = loaded.foreign.clone();
        foreign.sort();
        assert_eq!(foreign, ["APP_ENV", "APP_NAME", "APP_PORT", "RDB_SERVICE_HOST"]);
        let warning = loaded.warning().unwrap();
        assert!(warning.contains("APP_NAME") && !warning.contains("shop"), "{warning}");
        jail.set_env("APP_PROT", "9000");
        assert!(load().is_err(), "one that is nearly a setting's is a mistake");
    });
}
