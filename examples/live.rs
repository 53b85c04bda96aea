//! A table that changes before your eyes: the ready-made API, and beside it a page that follows a list with
//! `EventSource`.
//!
//! `cargo run --example live`, open <http://127.0.0.1:8000>, and change the table there, in a second window
//! or with curl. The settings are those of the service; without any, an embedded database keeps everything in
//! memory.

use std::time::Duration;

use tokio::net::TcpListener;
use warp::Filter;
use warp_reql::embedded::Embedded;
use warp_reql::settings::{Hosts, LoadOptions, Place, Rdb, Settings, TableSpec};
use warp_reql::{App, Database, bootstrap, server, service_with};

/// The time that running requests have at the end.
const GRACE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::load(&LoadOptions::default())?.settings;
    let rdb = settings.rdb.clone();
    let embedded = match rdb.host {
        Hosts::Embedded => Some(Embedded::start(Rdb { data_dir: ":memory:".into(), ..rdb.clone() }).await?),
        _ => None,
    };
    let database = match &embedded {
        Some(embedded) => embedded.database().clone(),
        None => Database::new(rdb)?,
    };
    let heroes = TableSpec::new("heroes");
    bootstrap::until_done(&database, &[heroes]).await;

    let Place::Tcp(addr) = settings.place() else {
        return Err("a page needs an address of the network".into());
    };
    let page = warp::path::end().and(warp::get()).map(|| warp::reply::html(include_str!("live.html")));
    println!("Open http://{addr}.");
    let service = service_with(App::new(settings, database), page);
    server::run(TcpListener::bind(addr).await?, service, server::stop_signal()?, GRACE).await;
    Ok(())
}
