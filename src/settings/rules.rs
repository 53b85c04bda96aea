//! The rules of settings: one table with the valid range of each, and the text for error messages.

use std::collections::BTreeSet;
use std::slice;

use figment::value::{Dict, Value};

use super::listen;
use super::relations;
use super::secret::MASK;
use super::tables::{REPLICAS, SHARDS};
use super::{ALL, Auth, Expire, Hosts, Origin, Settings, SettingsError, TableSpec};
use crate::names::{is_name, is_new_name};
use crate::query::Path;
use crate::reserved;
use crate::rules::{ANONYMOUS, Rules};

/// The rule of one setting.
struct Rule {
    key: &'static str,
    expected: &'static str,
    holds: fn(&Settings) -> bool,
}

const fn rule(key: &'static str, expected: &'static str, holds: fn(&Settings) -> bool) -> Rule {
    Rule { key, expected, holds }
}

const TIMEOUT: &str = "a duration such as \"5s\", more than 0 and at most a day";
const SIZE: &str = "a size from 1 byte to 1 GiB, as a number of bytes or such as \"1MiB\"";
const HEAD: &str = "a size from 128 bytes to 60 KiB, as a number of bytes or such as \"8KiB\"";
pub(super) const NAME: &str = "a name of letters, digits, `_` and `-`";
const UNIQUE: &str = "a list of up to 8 fields such as \"email\", none of them the primary key";
const EMBEDDED: &str = "nothing: only an embedded database has it";
const ALLOWED: &str = "true, false, or a filter such as \"owner=eq.{sub}\"";
/// The most unique fields of a table. A write makes queries for each.
const UNIQUE_MAX: usize = 8;
/// The seconds of 1000 years.
const CENTURIES: u64 = 1000 * 366 * 24 * 60 * 60;
const DAY: u128 = 24 * 60 * 60 * 1000;

/// Rules beyond the type of a setting, which serde checks.
const RULES: &[Rule] = &[
    rule("address", "an IP address such as \"127.0.0.1\" or \"::1\", or \"unix:/path\"", |_| true),
    rule("port", "a port from 0 to 65535", |_| true),
    rule("debug", "true or false", |_| true),
    rule("log_level", "one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\"", |_| true),
    rule("log_format", "\"pretty\", \"json\" or \"logfmt\"", |_| true),
    rule("shutdown_timeout", "a duration such as \"10s\", at most a day", |s| {
        s.shutdown_timeout.as_millis() <= DAY
    }),
    rule("auth", "\"none\", \"database\" or \"token\"", |_| true),
    rule(
        "auth",
        "\"database\" or \"token\", or `allow_anonymous = true` beside it, \
         because others can reach `address`",
        |s| !s.is_exposed(),
    ),
    rule("auth", "\"token\", which `rules` are for", |s| s.rules.is_empty() || s.auth == Auth::Token),
    rule("token", "a table", |_| true),
    rule("token.keys", "a file, or a URL that begins with https://", |s| s.token.has_sound_keys()),
    rule("token.keys", "exactly one of `keys`, `secret` and `secret_file`, for auth = \"token\"", |s| {
        s.auth != Auth::Token || s.token.sources() == 1
    }),
    rule("token.keys_ca", "a PEM file, for `keys` that are at a URL", |s| {
        s.token.keys_ca.is_empty() || s.token.are_remote()
    }),
    rule("token.secret", "at least 32 bytes", |s| s.token.has_sound_secret()),
    rule("token.secret_file", "a file", |_| true),
    rule("token.issuer", "the `iss` of tokens", |_| true),
    rule("token.audience", "the `aud` of tokens, or several such as \"a, b\"", |_| true),
    rule("token.roles", "a JSON pointer such as \"/role\"", |s| s.token.has_sound_pointer()),
    rule("token.leeway", "a duration such as \"10s\", at most 5 min", |s| s.token.has_sound_leeway()),
    rule("admin_roles", "a list of roles other than \"anonymous\" and \"*\"", |s| {
        !s.admin_roles.iter().any(|role| role.is_empty() || role == ALL || role == ANONYMOUS)
    }),
    rule("anonymous_user", "the name of a database user, for auth = \"database\"", |s| {
        s.anonymous_user.is_empty() || s.auth == Auth::Database
    }),
    rule("anonymous_password", "a string", |_| true),
    rule("allow_anonymous", "true or false", |_| true),
    rule("cors", "\"off\", \"any\", or origins such as \"https://a.example, http://localhost:3000\"", |_| {
        true
    }),
    rule("hosts", "\"any\", \"local\", or names such as \"a.example, b.example\"", |_| true),
    rule("explorer", "true or false", |_| true),
    rule("reql", "true or false", |_| true),
    rule("require_match", "true or false", |_| true),
    rule("tls", "a table", |_| true),
    rule("tls.cert", "a PEM file, and `tls.key` beside it", |s| s.tls.is_on() || s.tls.files().count() == 0),
    rule("tls.cert", "nothing: a Unix socket needs no TLS", |s| !(s.tls.is_on() && s.address.is_unix())),
    rule("tls.key", "a PEM file with the key of `tls.cert`", |s| s.tls.is_on() == s.tls.has_key()),
    rule("tls.client_ca", "a PEM file", |_| true),
    rule("trusted_proxies", "addresses and networks such as \"10.0.0.0/8, ::1\", or \"unix\"", |_| true),
    rule("admin", "a table", |_| true),
    rule("admin.address", "an address and port such as \"127.0.0.1:8001\", or \"unix:/path\"", |_| true),
    rule("admin.address", "another address than that of the clients", |s| {
        s.admin.address.as_ref().is_none_or(|address| s.port == 0 || *address != s.place())
    }),
    rule("limits", "a table", |_| true),
    rule("limits.body", SIZE, |s| is_size(s.limits.body)),
    rule("limits.bulk_body", SIZE, |s| is_size(s.limits.bulk_body)),
    rule("limits.page_max", "a whole number from 1 to 1000000", |s| {
        (1..=1_000_000).contains(&s.limits.page_max)
    }),
    rule("limits.page", "a whole number from 1 to `limits.page_max`", |s| {
        (1..=s.limits.page_max).contains(&s.limits.page)
    }),
    rule("limits.expand", "a whole number from 0 to 10000", |s| s.limits.expand <= 10_000),
    rule("limits.offset_max", "a whole number", |_| true),
    rule("limits.url", HEAD, |s| is_head_size(s.limits.url)),
    rule("limits.headers", HEAD, |s| is_head_size(s.limits.headers)),
    rule("limits.requests", "a whole number from 1 to 1000000", |s| {
        (1..=1_000_000).contains(&s.limits.requests)
    }),
    rule("limits.request_time", TIMEOUT, |s| is_timeout(s.limits.request_time)),
    rule("limits.feeds", "a whole number from 0 to 1000000", |s| s.limits.feeds <= 1_000_000),
    rule("limits.live_queries", "a whole number from 1 to 100000", |s| {
        (1..=100_000).contains(&s.limits.live_queries)
    }),
    rule("limits.tickets", "a whole number from 0 to 1000000", |s| s.limits.tickets <= 1_000_000),
    rule("limits.replay_events", "a whole number from 1 to 1000000", |s| {
        (1..=1_000_000).contains(&s.limits.replay_events)
    }),
    rule("limits.replay_bytes", SIZE, |s| is_size(s.limits.replay_bytes)),
    rule("limits.replay_time", TIMEOUT, |s| is_timeout(s.limits.replay_time)),
    rule("limits.streams", "a whole number from 0 to `rdb.max_connections`", |s| {
        s.limits.streams <= s.rdb.max_connections
    }),
    rule("limits.connections", "a whole number from 1 to 1000000", |s| {
        (1..=1_000_000).contains(&s.limits.connections)
    }),
    rule("limits.client_share", "a percentage from 1 to 100", |s| (1..=100).contains(&s.limits.client_share)),
    rule("limits.user_share", "a percentage from 1 to 100", |s| (1..=100).contains(&s.limits.user_share)),
    rule("limits.rate", "a rate such as \"100/s\", \"6000/min\" or \"1000/h\"", |_| true),
    rule("limits.burst", "a whole number from 0 to 1000000", |s| s.limits.burst <= 1_000_000),
    rule("limits.guesses", "a whole number from 1 to 1000000", |s| {
        (1..=1_000_000).contains(&s.limits.guesses)
    }),
    rule("limits.body_pause", TIMEOUT, |s| is_timeout(s.limits.body_pause)),
    rule("limits.send_time", TIMEOUT, |s| is_timeout(s.limits.send_time)),
    rule("limits.answer", SIZE, |s| is_size(s.limits.answer)),
    rule("limits.answers", "a size from `limits.answer` to 1 TiB, such as \"256MiB\"", |s| {
        (s.limits.answer..=1 << 40).contains(&s.limits.answers)
    }),
    rule("limits.bodies", "a size from `limits.body` to 1 TiB, such as \"64MiB\"", |s| {
        (s.limits.body..=1 << 40).contains(&s.limits.bodies)
    }),
    rule("limits.feed_queue", "a whole number from 1 to 1000000", |s| {
        (1..=1_000_000).contains(&s.limits.feed_queue)
    }),
    rule("rdb", "a table", |_| true),
    rule("rdb.host", "\"embedded\", or hosts such as \"a, b:28016, [::1]:28015\"", |_| true),
    rule("rdb.port", "a port from 1 to 65535", |s| s.rdb.port != 0),
    rule("rdb.db", NAME, |s| is_name(&s.rdb.db)),
    rule("databases", "a list of names of databases, and of patterns such as \"tenant_*\"", |s| {
        s.databases.are_sound()
    }),
    rule("rdb.db", "another name: that database holds what the server or services remember", |s| {
        !reserved::is_database(&s.rdb.db)
    }),
    rule("rdb.user", "the name of a database user", |s| !s.rdb.user.is_empty()),
    rule("rdb.password", "a string", |_| true),
    rule("rdb.data_dir", "a directory, or \":memory:\"", |s| !s.rdb.data_dir.as_os_str().is_empty()),
    rule("rdb.listen", listen::EXPECTED, |_| true),
    rule("rdb.listen", EMBEDDED, |s| s.rdb.listen.0.is_none() || s.rdb.host == Hosts::Embedded),
    rule("rdb.listen", "an address of this machine, or an `rdb.password` with it", |s| {
        s.rdb.listen.is_local() || !s.rdb.password.expose().is_empty()
    }),
    rule("rdb.memory_limit", "a size from 16 MiB to 1 TiB such as \"512MiB\", or 0", |s| {
        s.rdb.memory_limit == 0 || (16 << 20..=1 << 40).contains(&s.rdb.memory_limit)
    }),
    rule("rdb.memory_limit", EMBEDDED, |s| s.rdb.memory_limit == 0 || s.rdb.host == Hosts::Embedded),
    rule("rdb.page_cache", "a size from 1 MiB to 1 TiB such as \"512MiB\", or 0", |s| {
        s.rdb.page_cache == 0 || (1 << 20..=1 << 40).contains(&s.rdb.page_cache)
    }),
    rule("rdb.page_cache", EMBEDDED, |s| s.rdb.page_cache == 0 || s.rdb.host == Hosts::Embedded),
    rule("rdb.tls", "true, false, or a table with `ca`, `cert`, `key`, `server_name`", |_| true),
    rule("rdb.tls", "nothing: an embedded database needs no TLS", |s| {
        !s.rdb.tls.is_on() || s.rdb.host != Hosts::Embedded
    }),
    rule("rdb.tls.on", "true or false", |_| true),
    rule("rdb.tls.ca", "a PEM file", |_| true),
    rule("rdb.tls.cert", "a PEM file, and `rdb.tls.key` beside it", |s| s.rdb.tls.is_whole()),
    rule("rdb.tls.key", "a PEM file with the key of `rdb.tls.cert`", |s| s.rdb.tls.is_whole()),
    rule("rdb.tls.server_name", "the name that the server's certificate is for", |_| true),
    rule("rdb.read_mode", "\"single\", \"majority\" or \"outdated\"", |_| true),
    rule("rdb.max_connections", "a whole number from 1 to 65535", |s| {
        (1..=65535).contains(&s.rdb.max_connections)
    }),
    rule("rdb.standby", "a whole number from 0 to `rdb.max_connections`", |s| {
        s.rdb.standby <= s.rdb.max_connections
    }),
    rule("rdb.max_age", "a duration such as \"60s\", or \"0s\"", |_| true),
    rule("rdb.connect_timeout", TIMEOUT, |s| is_timeout(s.rdb.connect_timeout)),
    rule("rdb.query_timeout", TIMEOUT, |s| is_timeout(s.rdb.query_timeout)),
    rule("rdb.acquire_timeout", TIMEOUT, |s| is_timeout(s.rdb.acquire_timeout)),
    rule("tables", "a list of tables, each headed [[default.tables]]", |_| true),
    rule("tables.name", NAME, |_| true),
    rule("tables.primary_key", "the name of a field", |_| true),
    rule("tables.shards", "a whole number from 1 to 64", |_| true),
    rule("tables.replicas", "a whole number from 1 to 1000", |_| true),
    rule("tables.durability", "\"hard\" or \"soft\"", |_| true),
    rule("tables.schema", "a file that holds a JSON Schema", |_| true),
    rule("tables.expire", "a table such as { field = \"created\", after = \"30d\" }", |_| true),
    rule("tables.expire.field", "a field with a time, such as \"expires_at\"", |_| true),
    rule("tables.expire.after", "a duration such as \"30d\", at most 1000 years", |_| true),
    rule("tables.unique", UNIQUE, |_| true),
    rule("tables.indexes", "a list of names, or of tables with `name`, `fields`, `multi`, `geo`", |_| true),
    rule("tables.indexes.name", NAME, |_| true),
    rule("tables.indexes.fields", "a list of fields, nested ones as \"a.b\"", |_| true),
    rule("tables.indexes.multi", "true or false", |_| true),
    rule("tables.indexes.geo", "true or false", |_| true),
    rule("relations", "a list of relations, each headed [[default.relations]]", |_| true),
    rule("relations.table", NAME, |_| true),
    rule("relations.name", NAME, |_| true),
    rule("relations.field", "a field such as \"author_id\"", |_| true),
    rule("relations.to", NAME, |_| true),
    rule("relations.key", "the name of an index of `to`", |_| true),
    rule("relations.many", "true or false", |_| true),
    rule("relations.index", "the name of an index of `to`, with `many = true`", |_| true),
    rule("rules", "a list of rules, each headed [[default.rules]]", |_| true),
    rule("rules.table", "a table, a list of tables, or \"*\"", |_| true),
    rule("rules.roles", "a role, a list of roles, or \"*\"", |_| true),
    rule("rules.read", ALLOWED, |_| true),
    rule("rules.create", ALLOWED, |_| true),
    rule("rules.change", ALLOWED, |_| true),
    rule("rules.delete", ALLOWED, |_| true),
    rule("rules.hide", "a list of fields, nested ones as \"a.b\"", |_| true),
    rule("rules.set", "a table of fields and their values", |_| true),
];

/// Describes the valid values of a key. Positions in lists don't matter: `tables.0.name` has the rule of
/// `tables.1.name`.
pub(super) fn expected(key: &str) -> Option<&'static str> {
    let parts: Vec<_> = key.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let key = parts.join(".");
    RULES.iter().find(|rule| rule.key == key).map(|rule| rule.expected)
}

/// Returns the first setting that is out of range, and a description of valid values.
pub(super) fn broken(settings: &Settings, prefix: &str) -> Option<(String, String)> {
    let rule = RULES.iter().find(|rule| rule.key.starts_with(prefix) && !(rule.holds)(settings));
    rule.map(|rule| (rule.key.to_owned(), rule.expected.to_owned()))
        .or_else(|| broken_table(&settings.tables))
        .or_else(|| relations::broken(&settings.relations))
        .or_else(|| Rules::read(&settings.rules).err())
}

fn broken_table(tables: &[TableSpec]) -> Option<(String, String)> {
    let named = |key: String| Some((key, NAME.to_owned()));
    for (i, table) in tables.iter().enumerate() {
        if !is_new_name(&table.name) {
            return named(format!("tables.{i}.name"));
        }
        if reserved::is_table(&table.name) {
            return Some((
                format!("tables.{i}.name"),
                "a name that the service doesn't keep for itself".to_owned(),
            ));
        }
        if tables.iter().take(i).any(|other| other.name == table.name) {
            return Some((format!("tables.{i}.name"), "a name that no other table has".to_owned()));
        }
        if table.primary_key.is_empty() {
            return Some((format!("tables.{i}.primary_key"), "the name of a field".to_owned()));
        }
        if !table.shards.is_none_or(|shards| SHARDS.contains(&shards)) {
            return Some((format!("tables.{i}.shards"), "a whole number from 1 to 64".to_owned()));
        }
        if !table.replicas.is_none_or(|replicas| REPLICAS.contains(&replicas)) {
            return Some((format!("tables.{i}.replicas"), "a whole number from 1 to 1000".to_owned()));
        }
        if let Some((key, expected)) = broken_expiry(table) {
            return Some((format!("tables.{i}.expire.{key}"), expected.to_owned()));
        }
        if !is_unique_sound(table) {
            return Some((format!("tables.{i}.unique"), UNIQUE.to_owned()));
        }
        for (j, index) in table.indexes.iter().enumerate() {
            let key = format!("tables.{i}.indexes.{j}");
            if !is_new_name(&index.name) {
                return named(key);
            }
            if index.name == table.primary_key
                || table.indexes.iter().take(j).any(|other| other.name == index.name)
            {
                return Some((key, "a name that neither another index nor the primary key has".to_owned()));
            }
            if index.fields.is_empty() || Path::parse_indexed(&index.fields, "fields").is_err() {
                return Some((
                    format!("{key}.fields"),
                    "a list of fields, nested ones as \"a.b\"".to_owned(),
                ));
            }
        }
    }
    None
}

fn is_unique_sound(table: &TableSpec) -> bool {
    let names: BTreeSet<_> = table.unique.iter().map(|field| table.unique_index(field).name).collect();
    let is_field = |field: &String| {
        Path::parse_indexed(slice::from_ref(field), "unique").is_ok() && *field != table.primary_key
    };
    table.unique.len() <= UNIQUE_MAX && names.len() == table.unique.len() && table.unique.iter().all(is_field)
}

/// Returns the key of `expire` that is wrong, and what it should be.
fn broken_expiry(table: &TableSpec) -> Option<(&'static str, &'static str)> {
    let Expire { field, after } = table.expire.as_ref()?;
    if Path::parse_indexed(slice::from_ref(field), "field").is_err() || *field == table.primary_key {
        return Some(("field", "a field with a time, such as \"expires_at\""));
    }
    (after.as_secs() > CENTURIES).then_some(("after", "a duration such as \"30d\", at most 1000 years"))
}

/// Returns the first key in a table of the settings file that is no setting. The tables of all profiles are
/// checked, whichever is in use: a typo in `[production]` should be found before production.
pub(super) fn unknown_key(table: &Dict, known: &Dict, origin: Origin) -> Option<SettingsError> {
    unknown_in("", table, known, &origin)
}

fn unknown_in(prefix: &str, table: &Dict, known: &Dict, origin: &Origin) -> Option<SettingsError> {
    table.iter().find_map(|(name, value)| match (known.get(name), value) {
        (None, _) => {
            let meant =
                closest(name, known.keys().map(String::as_str)).map(|meant| format!("{prefix}{meant}"));
            Some(SettingsError::Unknown {
                key: format!("{prefix}{name}"),
                value: shown_for_unknown(meant.as_deref(), value),
                origin: origin.clone(),
                suggestion: meant,
            })
        }
        (Some(Value::Dict(_, known)), Value::Dict(_, table)) => {
            unknown_in(&format!("{prefix}{name}."), table, known, origin)
        }
        _ => None,
    })
}

/// Returns the known name that was probably meant.
pub(super) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = if name.len() <= 4 { 1 } else { 2 };
    known
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns true if a setting's value must never be shown.
pub(super) fn is_secret(key: &str) -> bool {
    ["rdb.password", "token.secret", "anonymous_password"].contains(&key)
}

/// Formats a value for an error message.
pub(super) fn shown(key: &str, value: &Value) -> String {
    match value {
        _ if is_secret(key) => MASK.to_owned(),
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, c) => format!("{:?}", c.to_string()),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, number) => {
            let whole =
                number.to_i128().map(|n| n.to_string()).or_else(|| number.to_u128().map(|n| n.to_string()));
            whole.or_else(|| number.to_f64().map(|n| n.to_string())).unwrap_or_default()
        }
        Value::Dict(..) => "{ ... }".to_owned(),
        Value::Array(..) => "[ ... ]".to_owned(),
        Value::Empty(..) => "nothing".to_owned(),
    }
}

/// Formats the value of an unknown key. It could be a secret under a wrong name, so it is shown only if it
/// was most likely meant for a setting that isn't secret.
pub(super) fn shown_for_unknown(meant: Option<&str>, value: &Value) -> String {
    match meant {
        Some(key) => shown(key, value),
        None => MASK.to_owned(),
    }
}

fn is_size(bytes: u64) -> bool {
    (1..=1 << 30).contains(&bytes)
}

/// Returns whether hyper accepts a head of this length. It refuses longer ones before this service sees them.
fn is_head_size(bytes: u64) -> bool {
    (128..=60 << 10).contains(&bytes)
}

fn is_timeout(duration: std::time::Duration) -> bool {
    (1..=DAY).contains(&duration.as_millis())
}
