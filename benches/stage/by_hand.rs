//! The handler of the benchmark, written by hand on the bare driver: the least code that does the job.

use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use reql_0_11::cmd::connect::Options;
use reql_0_11::{Session, r};
use serde_json::Value;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};
use warp_reql::settings::Rdb;

use super::{ID, TABLE};

/// Dials, asks, and drops.
pub(super) fn dialled(rdb: Rdb) -> BoxedFilter<(Response,)> {
    let handler = move || {
        let options = options(&rdb);
        async move {
            let session = r.connect(options).await.expect("the database is there");
            ask(&session).await
        }
    };
    warp::any().then(handler).boxed()
}

/// Takes a session from a stack or dials, asks, and puts it there.
pub(super) fn bare_vec(rdb: Rdb) -> BoxedFilter<(Response,)> {
    let sessions: Arc<Mutex<Vec<Session>>> = Arc::default();
    let handler = move || {
        let (sessions, options) = (sessions.clone(), options(&rdb));
        async move {
            let taken = sessions.lock().expect("no handler panics").pop();
            let session = match taken {
                Some(session) => session,
                None => r.connect(options).await.expect("the database is there"),
            };
            let response = ask(&session).await;
            sessions.lock().expect("no handler panics").push(session);
            response
        }
    };
    warp::any().then(handler).boxed()
}

fn options(rdb: &Rdb) -> Options {
    let (host, port) = rdb.servers().swap_remove(0);
    Options::new().host(host).port(port).password(rdb.password.expose().to_owned())
}

async fn ask(session: &Session) -> Response {
    let mut rows = std::pin::pin!(r.table(TABLE).get(ID).run::<_, Value>(session));
    let row = rows.try_next().await.expect("the database answers");
    warp::reply::json(&row).into_response()
}
