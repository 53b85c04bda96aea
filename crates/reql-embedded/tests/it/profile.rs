//! Profiles of queries: their work, in the shape that RethinkDB gives it.
use crate::support::client::Client;
use reql_embedded::Server;
use serde_json::{Value, json};

/// Starts a server with a client, and a table with three rows.
async fn started() -> (Server, Client) {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::connect(server.local_addr()).await;
    for query in [
        r#"[1,[60,["t"]]]"#,
        r#"[1,[75,[[15,["t"]],"a"]]]"#,
        r#"[1,[56,[[15,["t"]],[2,[{"id":1,"a":5},{"id":2,"a":6},{"id":3,"a":7}]]]]]"#,
        r#"[1,[140,[[15,["t"]]]]]"#,
    ] {
        assert_eq!(client.ask(0, query).await["t"], 1);
    }
    (server, client)
}

/// Returns a profile without the times, which must be there: `[term, inner...]`, `{work: samples}`.
fn outline(tasks: &Value) -> Value {
    tasks.as_array().unwrap().iter().map(task).collect()
}

fn task(task: &Value) -> Value {
    if let Some(shards) = task["parallel_tasks"].as_array() {
        return json!({"parallel": shards.iter().map(outline).collect::<Value>()});
    }
    let description = task["description"].as_str().unwrap();
    let name = description.strip_prefix("Evaluating ").unwrap_or(description).trim_end_matches('.');
    if let Some(samples) = task["n_samples"].as_u64() {
        assert!(task["mean_duration(ms)"].as_f64().unwrap() >= 0.0);
        return json!({name: samples});
    }
    assert!(task["duration(ms)"].as_f64().unwrap() >= 0.0, "{task}");
    let mut outlined = vec![json!(name)];
    outlined.extend(outline(&task["sub_tasks"]).as_array().unwrap().iter().cloned());
    Value::Array(outlined)
}

fn read(inner: Value) -> Value {
    json!(["Perform read", {"parallel": [[inner]]}])
}

fn scan(description: &str, rows: usize) -> Value {
    read(json!(["Perform read on shard", [description, {"Range traversal doc evaluation": rows}]]))
}

fn table() -> Value {
    json!(["table", ["datum"], ["db", ["datum"]]])
}

#[tokio::test]
async fn a_profile_tells_terms_reads_and_writes() {
    let (_server, mut client) = started().await;
    let primary = "Do range scan on primary index";
    let secondary = "Do range scan on secondary index";
    let write = json!(["Perform write", {"parallel": [[{"Perform write on shard": 1}]]}]);
    for (term, profile) in [
        ("1", json!([["datum"]])),
        ("[24,[1,2]]", json!([["ADD", ["datum"], ["datum"]]])),
        ("[2,[1,[24,[1,2]]]]", json!([["make_array", {"elements in make_array": 2}]])),
        ("[2,[]]", json!([["make_array"]])),
        (r#"{"a":1}"#, json!([["make_obj", {"elements in make_obj": 1}]])),
        (
            r#"[16,[[15,["t"]],1]]"#,
            json!([["get", table(), ["datum"]], read(json!(["Perform read on shard"]))]),
        ),
        (r#"[15,["t"]]"#, json!([table(), scan(primary, 3)])),
        // The work of a function for each row is not recorded.
        (
            r#"[39,[[15,["t"]],[69,[[2,[1]],[21,[[170,[[10,[1]],"a"]],5]]]]]]"#,
            json!([["filter", table(), ["func"]], scan(primary, 3)]),
        ),
        (
            r#"[145,[[38,[[15,["t"]],[69,[[2,[1]],[170,[[10,[1]],"a"]]]]]]]]"#,
            json!([["sum", ["map", table(), ["func"]], scan(primary, 3)]]),
        ),
        (
            r#"[78,[[15,["t"]],6],{"index":"a"}]"#,
            json!([["get_all", table(), ["datum"], ["datum"]], scan(secondary, 1)]),
        ),
        (
            r#"[53,[[16,[[15,["t"]],1]],{"b":1}]]"#,
            json!([["update", ["replace", ["get", table(), ["datum"]], ["func"], write]]]),
        ),
        // Rows that are read and written by turns.
        (
            r#"[53,[[15,["t"]],{"b":2}]]"#,
            json!([["update", ["replace", table(), ["func"], scan(primary, 3), write]]]),
        ),
        (
            r#"[37,[[2,[1,2,3]],[69,[[2,[1,2]],[24,[[10,[1]],[10,[2]]]]]]]]"#,
            json!([["reduce", ["make_array", {"elements in make_array": 3}], ["func"]]]),
        ),
    ] {
        let answer = client.ask(1, &format!("[1,{term},{{\"profile\":true}}]")).await;
        assert!(matches!(answer["t"].as_u64(), Some(1 | 2)), "{term}: {answer}");
        assert_eq!(outline(&answer["p"]), profile, "{term}");
        let answer = client.ask(1, &format!("[1,{term}]")).await;
        assert_eq!(answer.get("p"), None, "{term}");
    }
    // The option may be a literal term; a value that is no plain `true` asks for no profile.
    assert!(client.ask(1, r#"[1,1,{"profile":[1,true]}]"#).await["p"].is_array());
    for other in ["false", "1", "[17,[1,1]]"] {
        let answer = client.ask(1, &format!("[1,1,{{\"profile\":{other}}}]")).await;
        assert_eq!(answer, json!({"t": 1, "r": [1]}), "{other}");
    }
}

#[tokio::test]
async fn every_batch_tells_of_itself() {
    let (_server, mut client) = started().await;
    let first = client.ask(1, r#"[1,[15,["t"]],{"profile":true,"max_batch_rows":2}]"#).await;
    assert_eq!(first["t"], 3, "{first}");
    assert_eq!(first["p"][0]["description"], "Evaluating table.");
    let second = client.ask(1, "[2]").await;
    assert_eq!(second["t"], 2, "{second}");
    assert_eq!(outline(&second["p"]), json!([scan("Do range scan on primary index", 1)]));
}

#[tokio::test]
async fn errors_have_no_profile() {
    let (_server, mut client) = started().await;
    for term in [r#"[24,[1,"a"]]"#, r#"[12,["x"]]"#, r#"[38,[[15,["t"]],[69,[[2,[1]],[12,["x"]]]]]]"#] {
        let answer = client.ask(1, &format!("[1,{term},{{\"profile\":true}}]")).await;
        assert_eq!((answer["t"].as_u64(), answer.get("p")), (Some(18), None), "{term}");
    }
}

/// Checks that a profile ends, however much there is to record.
#[tokio::test]
async fn a_profile_is_bounded() {
    let (_server, mut client) = started().await;
    let many = format!("[1,[24,[{}]],{{\"profile\":true}}]", vec!["1"; 20_000].join(","));
    let answer = client.ask(1, &many).await;
    assert_eq!(answer["r"], json!([20_000]));
    let told = answer["p"][0]["sub_tasks"].as_array().unwrap().len();
    assert!((1_000..10_000).contains(&told), "{told}");
    // An insert of each of many numbers.
    let each = r#"[1,[68,[[173,[300]],[69,[[2,[1]],[56,[[15,["t"]],{"n":[10,[1]]}]]]]]],{"profile":true}]"#;
    let answer = client.ask(1, each).await;
    assert_eq!(answer["r"][0]["inserted"], 300, "{answer}");
    assert!(answer["p"].to_string().len() < 1_000, "{}", answer["p"]);
}
