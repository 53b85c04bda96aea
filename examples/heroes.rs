//! A service of one's own: typed documents, one connection for each request.
//!
//! `RDB_HOST=localhost cargo run --example heroes`, then `curl localhost:3030/heroes/batman`. With `RDB_HOST`
//! unset it takes a database that lives in this process, and ends with it.

use reql::r;
use serde::{Deserialize, Serialize};
use warp::{Filter, Reply};
use warp_reql::error::Code;
use warp_reql::{Conn, Database, Error, embedded, recover, with_conn};

#[derive(Serialize, Deserialize)]
struct Hero {
    id: String,
    powers: Vec<String>,
}

async fn read(id: String, mut conn: Conn) -> Result<impl Reply, Error> {
    let hero: Option<Hero> = conn.first(r.table("heroes").get(id)).await?;
    Ok(warp::reply::json(&hero.ok_or(Code::NoSuchDocument)?))
}

async fn write(hero: Hero, mut conn: Conn) -> Result<impl Reply, Error> {
    conn.write(r.table("heroes").get(&hero.id).replace(&hero)).await?;
    Ok(warp::reply::json(&hero))
}

async fn serve(db: &Database) {
    let get = warp::path!("heroes" / String).and(warp::get()).and(with_conn(db)).then(read);
    // Without it, a client decides how much memory its body takes.
    let body = warp::body::content_length_limit(64 << 10).and(warp::body::json());
    let put = warp::path!("heroes").and(warp::put()).and(body).and(with_conn(db)).then(write);
    println!("Put and get heroes at http://127.0.0.1:3030/heroes.");
    warp::serve(get.or(put).recover(recover)).run(([127, 0, 0, 1], 3030)).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os("RDB_HOST").is_some() {
        serve(&Database::from_env()?).await;
    } else {
        serve(embedded().await?.with_table("heroes").await?.database()).await;
    }
    Ok(())
}
