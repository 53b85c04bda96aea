//! The wire protocol over sockets: handshakes, frames, tokens, limits, endings.

use std::sync::Arc;
use std::time::Duration;

use crate::support::client::{
    Client, JSON, V0_3, V0_4, V1_0, client_final, first_message, frame, key_handshake, message,
};
use crate::support::engine::{Control, ODD_PASSWORD, ODD_USER, TestEngine};
use reql_embedded::{Builder, Server};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

async fn server() -> (Server, Arc<Control>) {
    server_with(Server::builder(), "").await
}

async fn server_with(builder: Builder, password: &str) -> (Server, Arc<Control>) {
    let (engine, control) = TestEngine::new(password);
    (builder.start_with(engine).await.expect("a free port"), control)
}

async fn connected() -> (Server, Arc<Control>, Client) {
    let (server, control) = server().await;
    let client = Client::connect(server.local_addr()).await;
    (server, control, client)
}

/// Returns the answer to a sequence of messages that gets refused.
async fn refusal(messages: &[&[u8]]) -> Value {
    let (server, _control) = server().await;
    let mut client = Client::dial(server.local_addr()).await;
    client.send(&V1_0.to_le_bytes()).await;
    assert_eq!(client.message().await["success"], json!(true));
    for message in messages {
        client.send(message).await;
    }
    let answer = client.message().await;
    assert_eq!(client.rest().await, b"", "the connection ends");
    answer
}

fn refused(code: i32, error: &str) -> Value {
    json!({ "success": false, "error_code": code, "error": error })
}

fn client_error(message: &str) -> Value {
    json!({ "t": 16, "r": [message], "b": [] })
}

#[tokio::test]
async fn the_driver_connects() {
    let (server, _control) = server_with(Server::builder(), "hunter2").await;
    let options = reql::cmd::connect::Options::new().port(server.local_addr().port());
    let options = options.host("127.0.0.1").password("hunter2");
    reql::r.connect(options.clone()).await.expect("a session");
    let error = reql::r.connect(options.password("hunter3")).await.expect_err("a wrong password");
    assert!(error.to_string().contains("Wrong password"), "{error}");
}

#[tokio::test]
async fn greets_with_its_version() {
    let (server, _control) = server().await;
    let mut client = Client::dial(server.local_addr()).await;
    client.send(&V1_0.to_le_bytes()).await;
    assert_eq!(
        client.text().await,
        r#"{"max_protocol_version":0,"min_protocol_version":0,"server_version":"2.4.4","success":true}"#
    );
}

#[tokio::test]
async fn authenticates_escaped_names_and_knows_them_later() {
    let (server, _control) = server().await;
    let mut client = Client::dial(server.local_addr()).await;
    assert_eq!(client.authenticate(ODD_USER, ODD_PASSWORD).await["success"], json!(true));
    assert_eq!(client.ask(1, r#"[1,["user"]]"#).await["r"], json!([ODD_USER]));
}

#[tokio::test]
async fn refuses_wrong_passwords_and_unknown_users() {
    let (server, _control) = server_with(Server::builder(), "hunter2").await;
    for (user, password, answer) in [
        ("admin", "hunter3", refused(12, "Wrong password")),
        ("admin", "", refused(12, "Wrong password")),
        ("nobody", "hunter2", refused(17, "Unknown user")),
    ] {
        let mut client = Client::dial(server.local_addr()).await;
        assert_eq!(client.authenticate(user, password).await, answer);
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn refuses_first_messages_as_rethinkdb_does() {
    let with = |field: &str, value: Value| {
        let mut first = json!({
            "protocol_version": 0,
            "authentication_method": "SCRAM-SHA-256",
            "authentication": "n,,n=admin,r=x",
        });
        first[field] = value;
        message(&first)
    };
    for (first, answer) in [
        (with("protocol_version", json!("0")), refused(1, "Expected a number for `protocol_version`.")),
        (message(&json!({})), refused(1, "Expected a number for `protocol_version`.")),
        (with("protocol_version", json!(1)), refused(2, "Unsupported `protocol_version`.")),
        (
            with("authentication_method", json!(null)),
            refused(3, "Expected a string for `authentication_method`."),
        ),
        (with("authentication_method", json!("PLAIN")), refused(4, "Unsupported `authentication_method`.")),
        (with("authentication", json!(7)), refused(5, "Expected a string for `authentication`.")),
        (b"{\"protocol_version\":\0".to_vec(), refused(8, "Invalid JSON object.")),
        (b"[]\0".to_vec(), refused(9, "Failed to convert JSON to datum.")),
        (vec![b' '; 2048], refused(7, "Limited read buffer size.")),
        (first_message("y,,n=admin,r=x"), refused(15, "Channel binding is not supported")),
        (first_message("n,,n=,r=x"), refused(18, "Empty username")),
        (first_message("n,,hello"), refused(10, "Invalid encoding")),
    ] {
        assert_eq!(refusal(&[&first]).await, answer);
    }
}

#[tokio::test]
async fn clients_may_send_ahead() {
    let (server, _control) = server().await;
    for (first, success) in [("n,,n=admin,r=x", true), ("n,,hello", false)] {
        let mut client = Client::dial(server.local_addr()).await;
        client.send(&[&V1_0.to_le_bytes()[..], &first_message(first)].concat()).await;
        assert_eq!(client.message().await["server_version"], json!("2.4.4"));
        assert_eq!(client.message().await["success"], json!(success));
    }
}

#[tokio::test]
async fn refuses_last_messages_without_authentication() {
    let (server, _control) = server().await;
    let mut client = Client::dial(server.local_addr()).await;
    client.send(&V1_0.to_le_bytes()).await;
    client.message().await;
    client.send(&first_message("n,,n=admin,r=x")).await;
    client.message().await;
    client.send(&message(&json!({ "authentication": null }))).await;
    assert_eq!(client.message().await, refused(5, "Expected a string for `authentication`."));
}

#[tokio::test]
async fn refuses_what_speaks_no_known_dialect() {
    let (server, _control) = server().await;
    let unknown = "ERROR: Received an unsupported protocol version. This port is for RethinkDB queries. Does \
        your client driver version not match the server?\n";
    let protobuf = "ERROR: The PROTOBUF client protocol is no longer supported\n";
    for (bytes, answer) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), unknown),
        (0x3f61_ba36_u32.to_le_bytes().to_vec(), protobuf),
        (0x7230_81e1_u32.to_le_bytes().to_vec(), protobuf),
        (key_handshake(V0_4, "", 0x271f_fc41), protobuf),
        (key_handshake(V0_3, "", 0xffff_fffe), "ERROR: Unrecognized protocol specified: '-2'\n"),
        (key_handshake(V0_4, "wrong", JSON), "ERROR: Incorrect authorization key.\n"),
        (
            [V0_4.to_le_bytes(), 2049_u32.to_le_bytes()].concat(),
            "ERROR: Client provided an authorization key that is too long.\n",
        ),
    ] {
        let mut client = Client::dial(server.local_addr()).await;
        client.send(&bytes).await;
        assert_eq!(client.text().await, answer);
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn old_dialects_send_the_password_as_a_key() {
    let (server, _control) = server_with(Server::builder(), "hunter2").await;
    for magic in [V0_3, V0_4] {
        let mut client = Client::connect_with_key(server.local_addr(), magic, "hunter2").await;
        assert_eq!(client.ask(1, r#"[1,["user"]]"#).await["r"], json!(["admin"]));
    }
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let (server, _control) = server().await;
    let mut client = Client::dial(server.local_addr()).await;
    let mut hello = V1_0.to_le_bytes().to_vec();
    hello.extend(first_message("n,,n=admin,r=x"));
    for byte in hello {
        client.send(&[byte]).await;
    }
    client.message().await;
    let challenge = client.message().await;
    let (last, _) =
        client_final("n=admin,r=x", challenge["authentication"].as_str().expect("a challenge"), "");
    let mut bytes = message(&json!({ "authentication": last }));
    bytes.extend(frame(7, br#"[1,["echo","slowly"],{}]"#));
    for byte in bytes {
        client.send(&[byte]).await;
    }
    assert_eq!(client.message().await["success"], json!(true));
    assert_eq!(client.answer().await, (7, json!({ "t": 1, "r": ["slowly"] })));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_dropped() {
    let builder = Server::builder().handshake_timeout(Duration::from_millis(20));
    let (server, _control) = server_with(builder, "").await;
    let mut client = Client::dial(server.local_addr()).await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn answers_start_and_server_info() {
    let (_server, _control, mut client) = connected().await;
    assert_eq!(client.ask(1, r#"[1,["echo",{"a":[1]}],{}]"#).await, json!({ "t": 1, "r": [{ "a": [1] }] }));
    assert_eq!(
        client.ask(i64::MIN, "[5]").await,
        json!({ "t": 5, "r": [{ "id": "the-id", "name": "the-name", "proxy": false }] })
    );
    assert_eq!(
        client.ask(3, r#"[1,["fail"]]"#).await,
        json!({ "t": 18, "e": 3_100_000, "r": ["No such order."], "b": [0, "x"] })
    );
}

#[tokio::test]
async fn garbage_does_not_end_the_connection() {
    let (_server, _control, mut client) = connected().await;
    let buggy = client_error("Client is buggy (failed to deserialize query).");
    assert_eq!(client.ask(1, "").await, buggy);
    assert_eq!(client.ask(2, "[1,").await, buggy);
    assert_eq!(
        client.ask(3, "{}").await,
        client_error("Server could not parse query: Expected a query to be an array, but found OBJECT.")
    );
    assert_eq!(
        client.ask(4, "[9]").await,
        client_error("Server could not parse query: Unrecognized QueryType: 9.")
    );
    assert_eq!(client.ask(5, r#"[1,["echo",5]]"#).await["r"], json!([5]));
}

#[tokio::test]
async fn a_panic_is_one_querys_problem() {
    let (_server, _control, mut client) = connected().await;
    let answer = client.ask(1, r#"[1,["panic"]]"#).await;
    assert_eq!(
        answer,
        json!({ "t": 18, "e": 1_000_000, "r": ["Unexpected exception: as ordered"], "b": [] })
    );
    assert_eq!(client.ask(2, r#"[1,["echo",2]]"#).await["r"], json!([2]));
}

#[tokio::test]
async fn pipelined_queries_are_all_answered() {
    let (_server, _control, client) = connected().await;
    let mut bytes = Vec::new();
    for token in 0..5_000 {
        bytes.extend(frame(token, format!(r#"[1,["echo",{token}]]"#).as_bytes()));
    }
    let (mut reader, mut writer) = client.stream.into_split();
    let sender = tokio::spawn(async move {
        writer.write_all(&bytes).await.expect("an open connection");
        writer
    });
    for token in 0..5_000 {
        use tokio::io::AsyncReadExt;
        assert_eq!(reader.read_i64_le().await.expect("a token"), token);
        let len = reader.read_u32_le().await.expect("a length");
        let mut payload = vec![0; len as usize];
        reader.read_exact(&mut payload).await.expect("a payload");
    }
    sender.await.expect("a sender");
}

#[tokio::test]
async fn a_client_may_send_much_before_it_reads() {
    let (_server, _control, mut client) = connected().await;
    // More in both directions than the sockets and the session keep.
    let text = "x".repeat(60_000);
    let count = 300;
    let (mut reader, mut writer) = client.stream.split();
    let send = async {
        for token in 0..count {
            let query = format!(r#"[1,["echo","{text}"]]"#);
            writer.write_all(&frame(token, query.as_bytes())).await.expect("an open connection");
        }
    };
    let read = async {
        use tokio::io::AsyncReadExt;
        let mut total = 0;
        let mut buffer = vec![0; 1 << 16];
        while total < count as usize * (12 + text.len() + r#"{"t":1,"r":[""]}"#.len()) {
            total += reader.read(&mut buffer).await.expect("an answer");
        }
    };
    tokio::join!(send, read);
    assert_eq!(client.ask(1, "[5]").await["t"], json!(5));
}

#[tokio::test]
async fn a_long_query_is_evaluated_elsewhere() {
    let (_server, _control, mut client) = connected().await;
    let text = "x".repeat(3 << 20);
    let answer = client.ask(1, &format!(r#"[1,["echo","{text}"]]"#)).await;
    assert_eq!(answer["r"][0].as_str().map(str::len), Some(text.len()));
    assert_eq!(
        client.ask(2, &format!(r#"[1,["echo","{text}"]"#)).await,
        client_error("Client is buggy (failed to deserialize query).")
    );
}

#[tokio::test]
async fn queries_run_side_by_side() {
    let (_server, control, mut client) = connected().await;
    client.query(1, r#"[1,["hold","first"]]"#).await;
    client.query(2, r#"[1,["hold","second"]]"#).await;
    assert_eq!(client.ask(3, r#"[1,["heavy",3]]"#).await["r"], json!([3]));
    control.release("second");
    assert_eq!(client.answer().await, (2, json!({ "t": 1, "r": ["second"] })));
    control.release("first");
    assert_eq!(client.answer().await, (1, json!({ "t": 1, "r": ["first"] })));
}

#[tokio::test]
async fn the_first_dialect_takes_one_query_at_a_time() {
    let (server, control) = server().await;
    let mut client = Client::connect_with_key(server.local_addr(), V0_3, "").await;
    client.query(1, r#"[1,["hold","x"]]"#).await;
    client.query(2, r#"[1,["echo",2]]"#).await;
    control.holding.reaches(1).await;
    control.release("x");
    assert_eq!(client.answer().await.0, 1);
    assert_eq!(client.answer().await.0, 2);
}

#[tokio::test]
async fn a_token_belongs_to_one_query() {
    let (_server, control, mut client) = connected().await;
    client.query(1, r#"[1,["hold","x"]]"#).await;
    let duplicate = client_error("ERROR: duplicate token 1");
    assert_eq!(client.ask(1, r#"[1,["echo",1]]"#).await, duplicate);
    assert_eq!(client.ask(1, "[4]").await, duplicate);
    control.release("x");
    assert_eq!(client.answer().await, (1, json!({ "t": 1, "r": ["x"] })));
    assert_eq!(client.ask(1, r#"[1,["echo",1]]"#).await["r"], json!([1]));
}

#[tokio::test]
async fn streams_come_in_batches() {
    let (_server, control, mut client) = connected().await;
    for name in ["rows", "heavy-rows"] {
        let query = format!(r#"[1,["{name}",5,2]]"#);
        assert_eq!(client.ask(1, &query).await, json!({ "t": 3, "r": [0, 1], "n": [] }));
        assert_eq!(client.ask(1, "[2]").await, json!({ "t": 3, "r": [2, 3], "n": [] }));
        assert_eq!(client.ask(1, "[2]").await, json!({ "t": 2, "r": [4], "n": [] }));
        assert_eq!(client.ask(1, "[2]").await, client_error("Token 1 not in stream cache."));
        control.cursors.reaches(0).await;
    }
}

#[tokio::test]
async fn continues_may_be_pipelined() {
    let (_server, _control, mut client) = connected().await;
    client.query(1, r#"[1,["heavy-rows",3,1]]"#).await;
    for _ in 0..4 {
        client.query(1, "[2]").await;
    }
    for (kind, row) in [(3, 0), (3, 1), (2, 2)] {
        assert_eq!(client.answer().await, (1, json!({ "t": kind, "r": [row], "n": [] })));
    }
    for _ in 0..2 {
        // The query is just over or gone, depending on the time at which the CONTINUE was read.
        let (_, answer) = client.answer().await;
        assert_eq!(answer["t"], json!(16), "{answer}");
    }
}

#[tokio::test]
async fn stop_ends_an_open_stream() {
    let (_server, control, mut client) = connected().await;
    client.ask(1, r#"[1,["rows",5,2]]"#).await;
    assert_eq!(client.ask(1, "[3]").await, json!({ "t": 2, "r": [], "n": [] }));
    control.cursors.reaches(0).await;
    assert_eq!(client.ask(1, "[3]").await, client_error("Token 1 not in stream cache."));
}

#[tokio::test]
async fn stop_interrupts_a_running_query() {
    let (_server, control, mut client) = connected().await;
    client.query(1, r#"[1,["hold","never"]]"#).await;
    control.holding.reaches(1).await;
    client.query(1, "[3]").await;
    let empty = json!({ "t": 2, "r": [], "n": [] });
    assert_eq!(client.answer().await, (1, empty.clone()), "the query's own answer");
    assert_eq!(client.answer().await, (1, empty), "the answer to STOP");
    control.interrupted.reaches(1).await;
}

#[tokio::test]
async fn a_feed_answers_when_there_is_news() {
    let (_server, control, mut client) = connected().await;
    assert_eq!(client.ask(1, r#"[1,["feed"]]"#).await, json!({ "t": 3, "r": [], "n": [1] }));
    client.query(1, "[2]").await;
    // A row that is filtered out is no news; and the connection does other work meanwhile.
    control.publish(json!(null));
    assert_eq!(client.ask(2, r#"[1,["echo",2]]"#).await["r"], json!([2]));
    control.publish(json!("news"));
    assert_eq!(client.answer().await, (1, json!({ "t": 3, "r": ["news"], "n": [1] })));
    client.query(1, "[2]").await;
    client.query(1, "[3]").await;
    let empty = json!({ "t": 2, "r": [], "n": [] });
    assert_eq!(client.answer().await, (1, empty.clone()));
    assert_eq!(client.answer().await, (1, empty));
    control.cursors.reaches(0).await;
}

#[tokio::test]
async fn the_first_dialect_gets_empty_batches_of_a_feed() {
    let (server, _control) = server().await;
    let mut client = Client::connect_with_key(server.local_addr(), V0_3, "").await;
    client.ask(1, r#"[1,["feed"]]"#).await;
    assert_eq!(client.ask(1, "[2]").await, json!({ "t": 3, "r": [], "n": [1] }));
}

#[tokio::test]
async fn noreply_is_not_answered() {
    let (_server, control, mut client) = connected().await;
    for query in [
        r#"[1,["echo",1],{"noreply":true}]"#,
        r#"[1,["heavy",1],{"noreply":true}]"#,
        r#"[1,["fail"],{"noreply":true}]"#,
        r#"[1,["rows",5,2],{"noreply":true}]"#,
        r#"[5,null,{"noreply":true}]"#,
    ] {
        client.query(1, query).await;
        assert_eq!(client.ask(2, "[4]").await, json!({ "t": 4, "r": [] }), "{query}");
    }
    control.cursors.reaches(0).await;
    // Nor is a long one that is refused before it is read.
    client.query(1, r#"[1,["hold","long"]]"#).await;
    let long = format!(r#"[1,["echo","{}"],{{"noreply":true}}]"#, "x".repeat(100 << 10));
    client.query(1, &long).await;
    assert_eq!(client.ask(2, "[4]").await, json!({ "t": 4, "r": [] }));
    control.release("long");
    assert_eq!(client.answer().await, (1, json!({ "t": 1, "r": ["long"] })));
}

#[tokio::test]
async fn noreply_wait_waits_for_what_came_before() {
    let (_server, control, mut client) = connected().await;
    client.query(1, r#"[1,["hold","before"],{"noreply":true}]"#).await;
    client.query(2, "[4]").await;
    client.query(3, r#"[1,["hold","after"],{"noreply":true}]"#).await;
    control.holding.reaches(2).await;
    assert_eq!(client.ask(4, r#"[1,["echo",4]]"#).await["r"], json!([4]));
    control.release("before");
    assert_eq!(client.answer().await, (2, json!({ "t": 4, "r": [] })));
    control.release("after");
    assert_eq!(client.ask(5, "[4]").await["t"], json!(4));
}

#[tokio::test]
async fn an_oversized_query_is_refused_and_ends_the_connection() {
    let (_server, _control, mut client) = connected().await;
    let mut header = 6_i64.to_le_bytes().to_vec();
    header.extend_from_slice(&u32::MAX.to_le_bytes());
    client.send(&header).await;
    let expected = "Query size (4294967295) greater than maximum (134217727).";
    assert_eq!(client.answer().await, (6, client_error(expected)));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn an_oversized_query_is_read_to_its_end_first() {
    let (_server, _control, mut client) = connected().await;
    let size: u32 = 128 << 20;
    let mut header = 6_i64.to_le_bytes().to_vec();
    header.extend_from_slice(&size.to_le_bytes());
    client.send(&header).await;
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..128 {
        client.send(&chunk).await;
    }
    let expected = "Query size (134217728) greater than maximum (134217727).";
    assert_eq!(client.answer().await, (6, client_error(expected)));
}

/// A long answer that wasn't taken yet is in pieces of its own.
#[tokio::test]
async fn an_oversized_query_is_refused_after_the_answers_before_it() {
    let (_server, _control, mut client) = connected().await;
    let text = "x".repeat(8 << 20);
    client.query(5, &format!(r#"[1,["echo","{text}"]]"#)).await;
    let mut first = [0; 1];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut first).await.unwrap();
    let mut header = 6_i64.to_le_bytes().to_vec();
    header.extend_from_slice(&u32::MAX.to_le_bytes());
    client.send(&header).await;
    let rest = client.rest().await;
    let error = b"Query size (4294967295) greater than maximum";
    assert!(rest.len() > text.len() && rest.windows(error.len()).any(|part| part == error));
}

#[tokio::test]
async fn a_closed_socket_interrupts_everything() {
    let (server, control, mut client) = connected().await;
    client.ask(1, r#"[1,["rows",5,2]]"#).await;
    client.ask(2, r#"[1,["feed"]]"#).await;
    client.query(2, "[2]").await;
    client.query(3, r#"[1,["hold","never"]]"#).await;
    client.query(4, r#"[1,["hold","never"],{"noreply":true}]"#).await;
    control.holding.reaches(2).await;
    drop(client);
    control.interrupted.reaches(2).await;
    control.holding.reaches(0).await;
    control.cursors.reaches(0).await;
    until(|| server.open_connections() == 0).await;
}

/// A session that has no room doesn't read, so what was sent before hides the end of the connection.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_socket_that_is_closed_behind_unread_queries_is_noticed() {
    let (server, control) = server().await;
    let mut client = Client::connect_with_key(server.local_addr(), V0_3, "").await;
    client.query(1, r#"[1,["hold","never"]]"#).await;
    control.holding.reaches(1).await;
    let ahead = frame(2, format!(r#"[1,["echo","{}"]]"#, "x".repeat(1 << 10)).as_bytes());
    // More than is read ahead, and little enough that the end of the connection isn't held back behind it.
    client.send(&ahead.repeat(80)).await;
    drop(client);
    control.interrupted.reaches(1).await;
    until(|| server.open_connections() == 0).await;
}

/// All tasks of this test share one thread.
#[tokio::test]
async fn queries_that_were_sent_ahead_leave_others_their_turn() {
    const QUERIES: usize = 20;
    let (_server, control, mut client) = connected().await;
    let ahead: Vec<u8> = (0..QUERIES).flat_map(|n| frame(n as i64, br#"[1,["work",2]]"#)).collect();
    client.send(&ahead).await;
    let mut evaluated = 0;
    while evaluated < QUERIES {
        tokio::task::yield_now().await;
        let now = control.evaluated.load(std::sync::atomic::Ordering::SeqCst);
        assert!(now <= evaluated + 1, "{} in a row", now - evaluated);
        evaluated = now;
    }
    for n in 0..QUERIES {
        assert_eq!(client.answer().await, (n as i64, json!({ "t": 1, "r": [2] })));
    }
}

#[tokio::test]
async fn work_in_flight_is_bounded() {
    let (_server, control, mut client) = connected().await;
    for token in 0..1024 {
        client.query(token, r#"[1,["feed"]]"#).await;
        client.answer().await;
    }
    // A thousand waiting feeds are not in the way, a thousand pipelined CONTINUEs of one of them are.
    for _ in 0..1025 {
        client.query(0, "[2]").await;
    }
    client.query(5000, r#"[1,["echo",1]]"#).await;
    assert_eq!(control.evaluated.load(std::sync::atomic::Ordering::SeqCst), 1024);
    control.publish(json!(1));
    let (token, answer) = client.answer().await;
    assert_eq!((token, &answer["r"]), (0, &json!([1])));
    assert_eq!(client.answer().await, (5000, json!({ "t": 1, "r": [1] })));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so() {
    let (server, _control) = server_with(Server::builder().max_connections(1), "").await;
    let client = Client::connect(server.local_addr()).await;
    assert_eq!(server.open_connections(), 1);
    let mut second = Client::dial(server.local_addr()).await;
    second.send(&V1_0.to_le_bytes()).await;
    assert_eq!(second.text().await, "ERROR: The server has reached its limit of 1 connections.\n");
    drop(client);
    until(|| server.open_connections() == 0).await;
    Client::connect(server.local_addr()).await;
}

#[tokio::test]
async fn one_server_listens_on_several_addresses() {
    let builder = Server::builder().bind_also(([127, 0, 0, 2], 0).into());
    let (server, _control) = server_with(builder, "").await;
    let [first, second] = server.local_addrs() else { panic!("two addresses") };
    assert_eq!(first.port(), second.port());
    Client::connect(*first).await;
    Client::connect(*second).await;
}

/// Waits for a condition that the server fulfils in its own time.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
