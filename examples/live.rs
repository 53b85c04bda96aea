//! A table that changes before your eyes: the ready-made API, and beside it a page that follows a list with
//! `EventSource`.
//!
//! `cargo run --example live`, open <http://127.0.0.1:8000>, and change the table there, in a second window
//! or with curl. The settings are those of the service; without any, an embedded database keeps everything in
//! memory.

use std::time::Duration;

use reql_embedded::Server;
use tokio::net::TcpListener;
use warp::Filter;
use warp_reql::settings::{Hosts, LoadOptions, Place, Settings, TableSpec};
use warp_reql::{App, server, service_with};
use warp_reql::{Database, bootstrap};

/// The time that running requests have at the end.
const GRACE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::load(&LoadOptions::default())?.settings;
    let embedded = match settings.rdb.host {
        Hosts::Embedded => Some(Server::builder().in_memory().start().await?),
        _ => None,
    };
    if let Some(server) = &embedded {
        settings.rdb.host = server.local_addr().into();
    }
    let database = Database::new(settings.rdb.clone())?;
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
