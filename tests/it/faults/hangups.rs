//! Clients that hang up at any moment leave nothing behind: no connection, and no task.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use warp_reql::settings::Rdb;

use crate::support::client::{Client, request};
use crate::support::{Api, Home, PATIENCE, balanced, eventually, number, seed};

const CLIENTS: usize = 16;
const PATHS: [&str; 5] = [
    "/tables/rows/docs/1",
    "/tables/rows/docs?order=name.desc&limit=1000",
    "/tables/rows/docs?name=match.7&limit=1000",
    "/tables/rows",
    "/health/ready",
];

/// Makes `HANG_UPS` requests for each way to get connections.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_leave_nothing_behind() {
    let seed = seed();
    let home = Home::start().await;
    let fresh = home.rdb();
    let api = Api::over(fresh.clone(), true);
    let documents: Vec<_> = (0..1000).map(|id| json!({"id": id, "name": format!("row {id}")})).collect();
    assert_eq!(api.send("POST", "/tables", &json!({"name": "rows"})).await.status(), 201);
    assert_eq!(api.send("POST", "/tables/rows/docs", &json!(documents)).await.status(), 201);

    let standby = Rdb { standby: 4, ..fresh.clone() };
    let reused = Rdb { max_age: 60 * PATIENCE, ..fresh.clone() };
    let crowded = Rdb { max_connections: 4, ..fresh.clone() };
    for (mode, settings) in [("fresh", fresh), ("standby", standby), ("reused", reused), ("crowded", crowded)]
    {
        let api = Api::over(settings, true);
        let service = api.serve().await;
        assert_eq!(Client::connect(service.addr).await.unwrap().get(PATHS[0]).await.unwrap().0, 200);
        balanced(&api.database, || home.open_connections()).await;
        // Reused sessions stay, and the server has a task for each: they don't count.
        let tasks = || Handle::current().metrics().num_alive_tasks() - home.open_connections();
        let before = tasks();
        let requests = number("HANG_UPS", 150);
        let hang_ups = stream::iter(0..requests).for_each_concurrent(CLIENTS, |n| {
            hang_up(service.addr, fastrand::Rng::with_seed(seed.wrapping_add(n)))
        });
        timeout(Duration::from_millis(requests) * 100 + PATIENCE, hang_ups)
            .await
            .expect("clients don't wait");
        balanced(&api.database, || home.open_connections()).await;
        eventually("no task is left", || tasks() <= before).await;
        let stats = api.database.stats();
        println!("{mode}: {requests} requests, {stats:?}, {before} tasks before, {} after", tasks());
        assert!(stats.opened > 1, "{mode}: some requests got to the database");
    }
}

/// Sends a random request, and hangs up before, during or after its answer.
async fn hang_up(service: SocketAddr, mut random: fastrand::Rng) {
    let request = request(PATHS[random.usize(..PATHS.len())]);
    let attempt = async {
        let mut stream = TcpStream::connect(service).await?;
        // Mostly the whole request; a part of one isn't answered.
        let sent = if random.u8(..8) == 0 { random.usize(..request.len()) } else { request.len() };
        stream.write_all(&request.as_bytes()[..sent]).await?;
        // As likely within ten microseconds as between ten and a hundred milliseconds.
        let patience = Duration::from_secs_f64(10_f64.powf(-6.0 + 5.3 * random.f64()));
        if random.bool() {
            sleep(patience).await;
        } else {
            let some = random.usize(1..2000);
            let _ = timeout(patience, stream.read_exact(&mut vec![0; some])).await;
        }
        if random.bool() {
            stream.set_zero_linger()?;
        }
        io::Result::Ok(())
    };
    attempt.await.expect("the service accepts connections");
}
