//! Documents as CSV, both ways.

use serde_json::json;

use crate::support::{Api, body, header, problem};

const DOCS: &str = "/tables/heroes/docs";
const CSV: &[(&str, &str)] = &[("content-type", "text/csv")];
const AS_CSV: &[(&str, &str)] = &[("accept", "text/csv")];

#[tokio::test]
async fn what_spreadsheets_write_loads() {
    let api = Api::start().await;
    let excel = "\u{feff}id;name;born;zip;ok\r\n1;\"Bruce; \"\"B\"\"\";1970-01-01;0150;true\r\n2;;;42;\r\n";
    let loaded =
        api.with("POST", &format!("{DOCS}?separator=;&text=zip&time=born"), CSV, excel.as_bytes()).await;
    assert_eq!(loaded.status(), 201, "{:?}", loaded.body());
    let born = json!({"$reql_type$": "TIME", "epoch_time": 0, "timezone": "+00:00"});
    assert_eq!(
        body(&api.call("GET", DOCS).await),
        json!([{"id": 1, "name": "Bruce; \
            \"B\"", "born": born, "zip": "0150", "ok": true}, {"id": 2, "zip": "42"}])
    );
    let csv = api.with("GET", &format!("{DOCS}?order=id.desc"), AS_CSV, b"").await;
    assert_eq!(header(&csv, "content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(
        std::str::from_utf8(csv.body()).unwrap(),
        "id,born,name,ok,zip\r\n2,,,,42\r\n1,1970-01-01T00:00:00+00:00,\"Bruce; \"\"B\"\"\",true,0150\r\n"
    );
    let chosen = api.with("GET", &format!("{DOCS}?select=zip,id&separator=tab&id=eq.1"), AS_CSV, b"").await;
    assert_eq!(&chosen.body()[..], b"zip\tid\r\n0150\t1\r\n");
    let none = api.with("GET", &format!("{DOCS}?id=eq.9"), AS_CSV, b"").await;
    assert_eq!((none.status().as_u16(), &none.body()[..]), (200, &b""[..]));
}

#[tokio::test]
async fn csv_that_is_none_writes_nothing() {
    let api = Api::start().await;
    let deep = format!("{}\n{}{}\n", vec!["a"; 32].join("."), "[".repeat(69), "]".repeat(69));
    for text in [
        "id,id\n1,2\n",
        "id\n1,2\n",
        "id,name\n1\n",
        "id,\n1,2\n",
        "$reql_type$\nTIME\n",
        "id,$serde_json::private::RawValue\n1,[]\n",
        "id,a\n1,{\"$serde_json::private::RawValue\":0}\n",
        "id,a\n1,\"6 inch\n2,y\n3,z\n",
        &deep,
    ] {
        problem(&api.with("POST", DOCS, CSV, text.as_bytes()).await, 400, "bad-request");
    }
    problem(&api.with("POST", DOCS, CSV, b"id\n\xff\n").await, 400, "bad-request");
    problem(&api.with("POST", &format!("{DOCS}?separator=x"), CSV, b"id\n1\n").await, 400, "bad-parameter");
    problem(&api.with("POST", &format!("{DOCS}?separator=;"), &[], b"{}").await, 400, "bad-parameter");
    for kind in ["text/csv; header=absent", "text/csv; charset=windows-1252"] {
        let refused = api.with("POST", DOCS, &[("content-type", kind)], b"id\n1\n").await;
        problem(&refused, 415, "unsupported-media-type");
    }
    let late = api.with("POST", DOCS, CSV, b"id,n\n7,1\n7,2\n").await;
    assert_eq!((late.status().as_u16(), body(&late)[1]["code"].clone()), (207, json!("conflict")));
}

#[tokio::test]
async fn what_is_told_as_csv_loads_again() {
    let api = Api::start().await;
    let documents: Vec<_> = (0..500)
        .map(|id| json!({"id": id, "n": f64::from(id) / 3.0 + 0.1, "list": [id, null], "o": {"x": "a,\n\""}}))
        .collect();
    assert_eq!(api.send("POST", DOCS, &json!(documents)).await.status(), 201);
    let csv = api.with("GET", DOCS, AS_CSV, b"").await;
    assert_eq!(body(&api.call("DELETE", &format!("{DOCS}?all=true")).await)["deleted"], 500);
    let loaded = api.with("POST", DOCS, CSV, csv.body()).await;
    assert_eq!(loaded.status(), 201, "{:?}", loaded.body());
    assert_eq!(body(&api.call("GET", &format!("{DOCS}?limit=1000")).await), json!(documents));
}

#[tokio::test]
async fn how_cells_are_read_is_part_of_what_a_key_repeats() {
    let api = Api::start().await;
    let load = async |parameters: &str| {
        let keyed = [CSV, &[("idempotency-key", "\"one load\"")]].concat();
        api.with("POST", &format!("{DOCS}{parameters}"), &keyed, b"id;zip\n1;0150\n").await
    };
    let first = load("?separator=;&text=zip").await;
    assert_eq!((first.status().as_u16(), header(&first, "idempotency-replayed")), (201, ""));
    for other in ["", "?separator=|&text=zip", "?separator=;", "?separator=;&text=id", "?separator=;&text=*"]
    {
        problem(&load(other).await, 422, "idempotency-key-reused");
    }
    let again = load("?separator=;&text=zip").await;
    assert_eq!((again.status().as_u16(), header(&again, "idempotency-replayed")), (201, "true"));
    assert_eq!(again.body(), first.body());
    assert_eq!(body(&api.call("GET", DOCS).await), json!([{"id": 1, "zip": "0150"}]));
}
