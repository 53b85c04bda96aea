//! Handlers that are written for the driver `reql` 0.11.

use futures_util::TryStreamExt;
use reql_0_11::r;
use warp_reql::error::Code;
use warp_reql::settings::{Rdb, RdbTls};
use warp_reql::{Conn, Database};

use crate::support::secure::Authority;
use crate::support::{Home, eventually};

#[tokio::test]
async fn a_session_of_the_former_driver_is_the_requests_own() {
    let home = Home::start().await;
    let database = home.database();
    let mut conn = Conn::new(database.clone());
    for _ in 0..2 {
        let session = conn.session_0_11().await.unwrap();
        let mut rows = std::pin::pin!(r.expr(1).run::<_, u8>(&*session));
        assert_eq!(rows.try_next().await.unwrap(), Some(1));
    }
    let stats = database.stats();
    assert_eq!((stats.opened, stats.in_use), (1, 1), "one for the whole request: {stats:?}");
    drop(conn);
    let stats = database.stats();
    assert_eq!((stats.closed, stats.in_use), (1, 0), "{stats:?}");
    eventually("the server sees it", || home.open_connections() == 0).await;
}

#[tokio::test]
async fn it_counts_against_the_limit_and_can_not_hide() {
    let home = Home::start().await;
    let database = Database::new(Rdb {
        max_connections: 1,
        acquire_timeout: std::time::Duration::from_millis(20),
        ..home.rdb()
    });
    let database = database.unwrap();
    let mut conn = Conn::new(database.clone());
    conn.session_0_11().await.unwrap();
    let refused = Conn::new(database).session_0_11().await.err().unwrap();
    assert_eq!(refused.code(), Code::ConnectionsExhausted);
    // The machine may have no authorities of its own.
    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("ca.pem");
    std::fs::write(&ca, Authority::new().pem()).unwrap();
    let tls = RdbTls { ca, server_name: "db".to_owned(), ..RdbTls::default() };
    let database = Database::new(Rdb { tls, ..home.rdb() }).unwrap();
    let refused = Conn::new(database).session_0_11().await.err().unwrap();
    assert_eq!(refused.code(), Code::Misconfigured);
}
