use super::*;

fn parse(arguments: &[&str]) -> Flags {
    let arguments = [&["reql-embedded"], arguments].concat();
    Flags::try_parse_from(arguments).expect("flags")
}

#[test]
fn defaults_are_rethinkdbs() {
    let flags = parse(&[]);
    assert_eq!(flags.directory, Path::new("rethinkdb_data"));
    let addrs = flags.addrs().expect("addresses");
    assert_eq!(addrs.first(), Some(&SocketAddr::from(([127, 0, 0, 1], 28015))));
    assert!(addrs.iter().all(|addr| addr.ip().is_loopback()));
}

#[test]
fn sizes_are_in_mebibytes_or_have_a_unit() {
    let limit = |size| {
        Flags::try_parse_from(["reql-embedded", "--memory-limit", size])
            .ok()
            .and_then(|flags| flags.memory_limit)
    };
    assert_eq!(limit("512"), Some(512 << 20));
    assert_eq!(limit("2GiB"), Some(2 << 30));
    assert_eq!(limit("64 KiB"), Some(64 << 10));
    for wrong in ["0", "", "GiB", "1TiB", "-1", "99999999999999999999"] {
        assert_eq!(limit(wrong), None, "{wrong}");
    }
    assert_eq!(parse(&[]).memory_limit, None);
    let cache = |size| Flags::try_parse_from(["reql-embedded", "--cache-size", size]).ok()?.cache_size.0;
    assert_eq!((cache("100"), cache("1GiB"), cache("auto")), (Some(100 << 20), Some(1 << 30), None));
    assert!(Flags::try_parse_from(["reql-embedded", "--cache-size", "much"]).is_err());
}

#[test]
fn ports_are_offset_but_a_free_port_is_not() {
    let port = |arguments: &[&str]| parse(arguments).port();
    assert_eq!(port(&["-o", "5"]).ok(), Some(28020));
    assert_eq!(port(&["--driver-port", "0", "--port-offset", "5"]).ok(), Some(0));
    assert!(port(&["-o", "65535"]).is_err());
}

#[test]
fn addresses_come_from_bind() {
    let ips = |arguments: &[&str]| {
        let addrs = parse(arguments).addrs();
        addrs.map(|addrs| addrs.iter().map(|addr| addr.ip().to_string()).collect::<Vec<_>>()).ok()
    };
    assert_eq!(
        ips(&["--no-default-bind", "--bind", "10.0.0.1", "--bind", "10.0.0.2"]),
        Some(vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()])
    );
    assert_eq!(
        ips(&["--no-default-bind", "--bind", "10.0.0.1", "--bind-driver", "10.0.0.3"]),
        Some(vec!["10.0.0.3".to_owned()])
    );
    assert_eq!(ips(&["--bind", "all"]).map(|ips| ips.len()), Some(1));
    assert_eq!(ips(&["--no-default-bind"]), None);
    assert!(Flags::try_parse_from(["reql-embedded", "--bind", "everywhere"]).is_err());
}

#[test]
fn an_automatic_password_is_not_the_word_auto() {
    let password = parse(&["--initial-password", "auto"]).password();
    assert_eq!(password.generated(), Some(password.text()));
    assert!(password.text().len() >= 20);
    assert_eq!(parse(&["--initial-password", "x"]).password().generated(), None);
}

#[test]
fn the_command_line_goes_before_the_config_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rethinkdb.conf");
    std::fs::write(&path, "# ports\ndriver-port = 1000 # low\n\nno-update-check\nserver-name=file\n")
        .expect("a file");
    let given = ["reql-embedded", "--config-file", path.to_str().expect("a path"), "-n", "line"];
    let flags = Flags::parse_from(arguments(given.map(OsString::from)).expect("a readable file"));
    assert_eq!((flags.driver_port, flags.server_name.as_deref()), (1000, Some("line")));
    assert!(flags.no_update_check);
}

#[test]
fn a_missing_config_file_is_an_error() {
    let given = ["reql-embedded", "--config-file", "/nonexistent/rethinkdb.conf"].map(OsString::from);
    assert!(arguments(given).expect_err("an error").to_string().contains("/nonexistent/rethinkdb.conf"));
}

#[test]
fn tls_needs_a_key_and_its_certificate() {
    let accepted = |arguments: &[&str]| {
        Flags::try_parse_from([&["reql-embedded"], arguments].concat())
            .is_ok_and(|flags| flags.tls().is_some())
    };
    let pair = ["--driver-tls-key", "k", "--driver-tls-cert", "c"];
    assert!(accepted(&pair));
    assert!(accepted(&[&pair[..], &["--driver-tls-ca", "a", "--tls-min-protocol", "TLSv1"]].concat()));
    assert!(!accepted(&[&pair[..], &["--tls-min-protocol", "SSLv3"]].concat()));
    for part in [&pair[..2], &pair[2..], &["--driver-tls-ca", "a"]] {
        assert!(!accepted(part), "{part:?}");
    }
    assert!(parse(&[]).tls().is_none());
}

#[test]
fn what_a_cluster_needs_is_unknown_here() {
    assert!(Flags::try_parse_from(["reql-embedded", "--join", "other:29015"]).is_err());
}

#[test]
fn servers_have_names_that_rows_can_have() {
    let name = |name| Flags::try_parse_from(["reql-embedded", "--server-name", name]).ok()?.server_name;
    assert_eq!(name("a_b-9").as_deref(), Some("a_b-9"));
    for wrong in ["", "a b", "a.b", "\u{e9}"] {
        assert_eq!(name(wrong), None, "{wrong}");
    }
}
