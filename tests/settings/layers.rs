//! The layer that a value comes from, how values are written, and how they are shown.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use serde_json::Value;
use warp_reql::settings::{Hosts, IndexSpec, LoadOptions, Origin, Settings, TableSpec};

use super::{careful, file, jailed, load, profile, settings};

#[test]
fn development_is_the_profile_when_nothing_names_one() {
    careful(|_| {
        let settings = settings();
        assert_eq!(settings, Settings::built_in("development"));
        assert_eq!(settings.address, Ipv4Addr::LOCALHOST.into());
        assert_eq!((settings.port, settings.debug, settings.log_level), (8000, true, LevelFilter::Debug));
        assert_eq!(settings.rdb.host, Hosts::Embedded);
    });
}

#[test]
fn production_listens_everywhere_hides_details_and_dials_localhost() {
    jailed(|_| {
        let settings = profile("production").unwrap().settings;
        assert_eq!(settings.address, Ipv4Addr::UNSPECIFIED.into());
        assert_eq!((settings.debug, settings.log_level), (false, LevelFilter::Info));
        assert_eq!(settings.rdb.servers(), [("localhost".to_owned(), 28015)]);
    });
}

#[test]
fn defaults_of_limits_and_of_the_database() {
    jailed(|_| {
        let Settings { rdb, limits, shutdown_timeout, .. } = settings();
        assert_eq!((rdb.db.as_str(), rdb.user.as_str(), rdb.password.expose()), ("test", "admin", ""));
        assert_eq!((rdb.standby, rdb.max_age, rdb.max_connections), (4, Duration::ZERO, 256));
        let timeouts = [rdb.connect_timeout, rdb.query_timeout, rdb.acquire_timeout, shutdown_timeout];
        assert_eq!(timeouts.map(|timeout| timeout.as_secs()), [5, 30, 5, 10]);
        assert_eq!((limits.body, limits.bulk_body), (1_048_576, 67_108_864));
        assert_eq!((limits.page, limits.page_max, limits.offset_max), (100, 1000, 10_000));
        assert_eq!((limits.feeds, limits.feed_queue), (5000, 10_000));
    });
}

#[test]
fn the_default_table_goes_before_built_in_values() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1\n[default.rdb]\ndb = \"heroes\"");
        assert_eq!((settings().port, settings().rdb.db.as_str()), (1, "heroes"));
        assert_eq!(profile("production").unwrap().settings.port, 1);
    });
}

#[test]
fn a_profiles_table_goes_before_the_default_table() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1\n[development]\nport = 2\n[production]\nport = 3");
        assert_eq!(settings().port, 2);
        assert_eq!(profile("production").unwrap().settings.port, 3);
    });
}

#[test]
fn the_global_table_goes_before_every_profiles_table() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1\n[development]\nport = 2\n[global]\nport = 4");
        assert_eq!(settings().port, 4);
    });
}

#[test]
fn the_environment_goes_before_the_global_table() {
    jailed(|jail| {
        file(jail, "[global]\nport = 4");
        jail.set_env("APP_PORT", 5);
        assert_eq!(settings().port, 5);
    });
}

#[test]
fn layers_merge_key_by_key() {
    jailed(|jail| {
        file(jail, "[default.rdb]\nhost = \"a\"\nport = 1\n[development.rdb]\nport = 2");
        jail.set_env("RDB_USER", "bob");
        let rdb = settings().rdb;
        assert_eq!((rdb.host.to_string().as_str(), rdb.port, rdb.user.as_str()), ("a", 2, "bob"));
    });
}

#[test]
fn app_profile_chooses_the_profile() {
    jailed(|jail| {
        jail.set_env("APP_PROFILE", "production");
        assert_eq!(settings().profile, "production");
    });
}

#[test]
fn the_command_line_goes_before_app_profile() {
    jailed(|jail| {
        jail.set_env("APP_PROFILE", "production");
        let loaded = profile("development").unwrap();
        assert_eq!(loaded.settings.profile, "development");
        assert_eq!(loaded.origin("profile"), Origin::CommandLine("--profile"));
    });
}

#[test]
fn names_of_profiles_ignore_case() {
    jailed(|jail| {
        file(jail, "[Production]\nport = 3");
        jail.set_env("APP_PROFILE", "PRODUCTION");
        assert_eq!((settings().profile.as_str(), settings().port), ("production", 3));
    });
}

#[test]
fn a_profile_of_ones_own_starts_from_productions_values() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1\n[staging.rdb]\ndb = \"staging\"");
        let settings = profile("staging").unwrap().settings;
        assert_eq!((settings.profile.as_str(), settings.port, settings.debug), ("staging", 1, false));
        assert_eq!((settings.rdb.db.as_str(), settings.rdb.host), ("staging", Hosts::default()));
    });
}

#[test]
fn the_file_is_found_in_a_parent_directory() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1");
        jail.create_dir("a/b").unwrap();
        jail.change_dir("a/b").unwrap();
        assert_eq!(settings().port, 1);
    });
}

#[test]
fn the_nearest_file_is_the_only_one_that_counts() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1\ndebug = false");
        jail.create_dir("a").unwrap();
        jail.change_dir("a").unwrap();
        file(jail, "[default]\nport = 2");
        assert_eq!((settings().port, settings().debug), (2, true));
    });
}

#[test]
fn a_file_that_was_asked_for_is_read_instead_of_the_usual_one() {
    jailed(|jail| {
        file(jail, "[default]\nport = 1");
        jail.create_file("other.toml", "[default]\nport = 2").unwrap();
        let options = LoadOptions { profile: None, file: Some(PathBuf::from("other.toml")) };
        assert_eq!(Settings::load(&options).unwrap().settings.port, 2);
    });
}

#[test]
fn every_setting_has_a_variable() {
    careful(|jail| {
        let settings = leaves("", &serde_json::to_value(Settings::built_in("development")).unwrap());
        assert!(settings.len() > 60, "{settings:?}");
        for (key, value) in &settings {
            jail.set_env(variable(key), value);
        }
        let loaded = load().unwrap();
        for (key, _) in settings {
            assert_eq!(loaded.origin(&key), Origin::Environment(variable(&key)), "{key}");
        }
    });
}

#[test]
fn every_setting_is_in_the_readme_and_none_else() {
    let table = include_str!("../../README.md").split("| setting | Development |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap_or_default());
    let named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let all = serde_json::to_value(Settings::built_in("development")).unwrap();
    let lists = all.as_object().unwrap().iter().filter(|(_, value)| value.is_array());
    let single = leaves("", &all).into_iter().map(|(key, _)| key);
    let settings: Vec<String> = single.chain(lists.map(|(key, _)| key.clone())).collect();
    let is_in =
        |key: &str, name: &str| key == name || key.strip_prefix(name).is_some_and(|k| k.starts_with('.'));
    for key in &settings {
        assert!(named.iter().any(|name| is_in(key, name)), "`{key}` is not in {named:?}");
    }
    for name in &named {
        assert!(settings.iter().any(|key| is_in(key, name)), "there is no setting `{name}`");
    }
}

/// Returns the settings that aren't lists or tables, with their values as an environment variable has them.
fn leaves(prefix: &str, settings: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in settings.as_object().unwrap() {
        let key = format!("{prefix}{key}");
        match value {
            Value::Object(_) => found.extend(leaves(&format!("{key}."), value)),
            Value::Array(_) => {}
            Value::String(text) => found.push((key, text.clone())),
            _ => found.push((key, value.to_string())),
        }
    }
    found.retain(|(key, _)| key != "profile");
    found
}

/// Returns the variable of a setting, as the README documents it.
fn variable(key: &str) -> String {
    let name = key.strip_suffix(".on").unwrap_or(key).replace('.', "_").to_uppercase();
    if key.starts_with("rdb.") { name } else { format!("APP_{name}") }
}

#[test]
fn variables_are_read_as_the_types_of_their_settings() {
    jailed(|jail| {
        let variables = [
            ("APP_ADDRESS", "::1"),
            ("APP_PORT", "1"),
            ("APP_DEBUG", "false"),
            ("APP_LOG_LEVEL", "warn"),
            ("APP_SHUTDOWN_TIMEOUT", "1m"),
            ("APP_LIMITS_BODY", "2KiB"),
            ("APP_LIMITS_BULK_BODY", "4096"),
            ("APP_LIMITS_PAGE", "2"),
            ("APP_LIMITS_PAGE_MAX", "3"),
            ("APP_LIMITS_OFFSET_MAX", "4"),
            ("RDB_HOST", "a:1, [::1]:2, b"),
            ("RDB_PORT", "5"),
            ("RDB_DB", "42"),
            ("RDB_USER", "true"),
            ("RDB_PASSWORD", "007"),
            ("RDB_DATA_DIR", ":memory:"),
            ("RDB_TLS", "true"),
            ("RDB_TLS_CA", "ca.pem"),
            ("RDB_TLS_CERT", "cert.pem"),
            ("RDB_TLS_KEY", "key.pem"),
            ("RDB_TLS_SERVER_NAME", "db"),
            ("RDB_STANDBY", "6"),
            ("RDB_MAX_AGE", "1h"),
            ("RDB_MAX_CONNECTIONS", "7"),
            ("APP_LIMITS_FEEDS", "5"),
            ("APP_LIMITS_FEED_QUEUE", "6"),
            ("APP_LIMITS_LIVE_QUERIES", "7"),
            ("APP_LIMITS_REPLAY_EVENTS", "8"),
            ("APP_LIMITS_TICKETS", "11"),
            ("APP_LIMITS_REPLAY_BYTES", "9KiB"),
            ("APP_LIMITS_REPLAY_TIME", "10s"),
            ("RDB_CONNECT_TIMEOUT", "1s"),
            ("RDB_QUERY_TIMEOUT", "250ms"),
            ("RDB_ACQUIRE_TIMEOUT", "2s"),
        ];
        for (name, value) in variables {
            jail.set_env(name, value);
        }
        let Settings { address, port, debug, log_level, shutdown_timeout, limits, rdb, .. } = settings();
        assert_eq!((address.to_string().as_str(), port, debug), ("::1", 1, false));
        assert_eq!((log_level, shutdown_timeout.as_secs()), (LevelFilter::Warn, 60));
        let numbers = (limits.body, limits.bulk_body, limits.page, limits.page_max, limits.offset_max);
        assert_eq!(numbers, (2048, 4096, 2, 3, 4));
        assert_eq!((limits.feeds, limits.feed_queue, limits.live_queries), (5, 6, 7));
        let replay = (limits.replay_events, limits.replay_bytes, limits.replay_time.as_secs());
        assert_eq!((replay, limits.tickets), ((8, 9 << 10, 10), 11));
        let servers = [("a", 1), ("::1", 2), ("b", 5)].map(|(host, port)| (host.to_owned(), port));
        assert_eq!(rdb.servers(), servers);
        assert_eq!((rdb.db.as_str(), rdb.user.as_str(), rdb.password.expose()), ("42", "true", "007"));
        assert!(rdb.in_memory());
        let (tls, file) = (&rdb.tls, |name: &str| PathBuf::from(format!("{name}.pem")));
        assert_eq!((tls.on, tls.server_name.as_str()), (true, "db"));
        assert_eq!([&tls.ca, &tls.cert, &tls.key], [&file("ca"), &file("cert"), &file("key")]);
        assert_eq!((rdb.standby, rdb.max_age.as_secs(), rdb.max_connections), (6, 3600, 7));
        let timeouts = [rdb.connect_timeout, rdb.query_timeout, rdb.acquire_timeout];
        assert_eq!(timeouts.map(|timeout| timeout.as_millis()), [1000, 250, 2000]);

        let text = load().unwrap().to_string();
        for (name, _) in variables {
            assert!(text.contains(&format!("# environment variable {name}\n")), "{name} in {text}");
        }
    });
}

#[test]
fn the_password_can_come_from_a_mounted_secret() {
    jailed(|jail| {
        jail.create_file("secret", "hunter2\n").unwrap();
        jail.set_env("RDB_PASSWORD_FILE", "secret");
        let loaded = load().unwrap();
        assert_eq!(loaded.settings.rdb.password.expose(), "hunter2");
        assert_eq!(loaded.origin("rdb.password"), Origin::Environment("RDB_PASSWORD_FILE".to_owned()));
    });
}

#[test]
fn the_log_level_follows_debug_until_it_is_set() {
    jailed(|jail| {
        jail.set_env("APP_DEBUG", false);
        assert_eq!(settings().log_level, LevelFilter::Info);
        jail.set_env("APP_LOG_LEVEL", "trace");
        assert_eq!(settings().log_level, LevelFilter::Trace);
    });
}

#[test]
fn built_in_values_give_way_to_a_smaller_bound() {
    jailed(|jail| {
        file(jail, "[default]\nlimits.page_max = 10\nrdb.max_connections = 2");
        assert_eq!((settings().limits.page, settings().rdb.standby), (10, 2));
    });
}

#[test]
fn those_who_follow_leave_half_of_the_clients_to_others_unless_it_is_set() {
    jailed(|jail| {
        jail.set_env("APP_LIMITS_CONNECTIONS", 3000);
        assert_eq!(settings().limits.feeds, 1500);
        jail.set_env("APP_LIMITS_FEEDS", 4999);
        assert_eq!(settings().limits.feeds, 4999);
    });
}

#[test]
fn tables_are_read_in_both_forms_of_their_indexes() {
    jailed(|jail| {
        file(
            jail,
            r#"
            [[default.tables]]
            name = "heroes"
            primary_key = "name"
            indexes = ["age", { name = "place", fields = ["address.city", "age"], multi = false }]

            [[default.tables]]
            name = "places"
            indexes = [{ name = "at", geo = true }]
            "#,
        );
        let place = IndexSpec {
            name: "place".to_owned(),
            fields: vec!["address.city".to_owned(), "age".to_owned()],
            multi: false,
            geo: false,
        };
        let heroes = TableSpec {
            primary_key: "name".to_owned(),
            indexes: vec![IndexSpec::on("age"), place],
            ..TableSpec::new("heroes")
        };
        let places = TableSpec {
            indexes: vec![IndexSpec { geo: true, ..IndexSpec::on("at") }],
            ..TableSpec::new("places")
        };
        assert_eq!(settings().tables, [heroes, places]);
    });
}

#[test]
fn secrets_are_masked_wherever_settings_are_shown() {
    jailed(|jail| {
        file(jail, "[default.rdb]\npassword = \"hunter2\"");
        let loaded = load().unwrap();
        let json = serde_json::to_string(&loaded.settings).unwrap();
        for shown in [loaded.to_string(), format!("{loaded:?}"), format!("{:#?}", loaded.settings), json] {
            assert!(shown.contains("********") && !shown.contains("hunter2"), "{shown}");
        }
    });
}

#[test]
fn tls_to_the_database_is_a_switch_or_a_table() {
    for (set, on) in [
        ("tls = true", true),
        ("tls = false", false),
        ("tls = {}", false),
        ("tls.ca = \"ca.pem\"", true),
        ("tls = { server_name = \"db\" }", true),
        ("", false),
    ] {
        jailed(|jail| {
            file(jail, &format!("[default.rdb]\n{set}\n"));
            assert_eq!(profile("production").unwrap().settings.rdb.tls.is_on(), on, "{set}");
        });
    }
}

#[test]
fn the_embedded_database_listens_where_the_settings_say() {
    for (set, shown) in [
        ("28015", "127.0.0.1:28015"),
        ("\"[::1]:28015\"", "[::1]:28015"),
        ("\"0.0.0.0:1\"\npassword = \"x\"", "0.0.0.0:1"),
    ] {
        jailed(|jail| {
            file(jail, &format!("[development.rdb]\nlisten = {set}\n"));
            assert_eq!(settings().rdb.listen.to_string(), shown);
        });
    }
    jailed(|jail| {
        jail.set_env("RDB_LISTEN", "28016");
        assert_eq!(settings().rdb.listen.to_string(), "127.0.0.1:28016");
    });
}

#[test]
fn the_embedded_database_has_limits_of_memory() {
    let memory = || (settings().rdb.memory_limit, settings().rdb.page_cache);
    jailed(|_| assert_eq!(memory(), (0, 0)));
    jailed(|jail| {
        file(jail, "[development.rdb]\nmemory_limit = \"1GiB\"\npage_cache = \"1MiB\"\n");
        assert_eq!(memory(), (1 << 30, 1 << 20));
        jail.set_env("RDB_MEMORY_LIMIT", "64MiB");
        jail.set_env("RDB_PAGE_CACHE", "128MiB");
        assert_eq!(memory(), (64 << 20, 128 << 20));
    });
}

#[test]
fn what_is_shown_can_be_used_as_a_settings_file() {
    jailed(|jail| {
        file(
            jail,
            "[[development.tables]]\nname = \"a\"\nindexes = [\"b\"]\n[default]\nrdb.host = \"a:1,[::1]:2\"",
        );
        let shown = load().unwrap().to_string();
        let body: String = shown.lines().skip(1).map(|line| format!("{line}\n")).collect();
        let before = settings();
        jail.create_file("again.toml", &format!("[default]\n{body}")).unwrap();
        let options = LoadOptions { profile: None, file: Some(PathBuf::from("again.toml")) };
        assert_eq!(Settings::load(&options).unwrap().settings, before);
    });
}
