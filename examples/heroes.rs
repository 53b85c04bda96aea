//! A service of one's own: typed documents, one connection for each request.
//!
//! `RDB_HOST=localhost cargo run --example heroes`, then `curl localhost:3030/heroes/batman`.

use reql::r;
use serde::{Deserialize, Serialize};
use warp::{Filter, Reply};
use warp_reql::error::Code;
use warp_reql::settings::{LoadOptions, Settings};
use warp_reql::{Conn, Database, Error, recover, with_conn};

#[derive(Serialize, Deserialize)]
struct Hero {
    id: String,
    powers: Vec<String>,
}

async fn read(id: String, mut conn: Conn) -> Result<impl Reply, Error> {
    let hero: Option<Hero> = conn.first(r.table("heroes").get(id)).await?;
    Ok(warp::reply::json(&hero.ok_or(Error::from(Code::NoSuchDocument))?))
}

async fn write(hero: Hero, mut conn: Conn) -> Result<impl Reply, Error> {
    conn.run(r.table("heroes").get(&hero.id).replace(&hero)).await?;
    Ok(warp::reply::json(&hero))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = LoadOptions { profile: Some("production".to_owned()), ..LoadOptions::default() };
    let db = Database::new(Settings::load(&options)?.settings.rdb)?;
    let get = warp::path!("heroes" / String).and(warp::get()).and(with_conn(&db)).then(read);
    let put = warp::path!("heroes").and(warp::put()).and(warp::body::json()).and(with_conn(&db)).then(write);
    warp::serve(get.or(put).recover(recover)).run(([127, 0, 0, 1], 3030)).await;
    Ok(())
}
