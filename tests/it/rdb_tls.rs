//! TLS to the database: who is let in, and what is said about who isn't.

use std::net::SocketAddr;
use std::path::PathBuf;

use reql::r;
use reql_embedded::{Server, Tls};
use tempfile::TempDir;
use warp_reql::error::Code;
use warp_reql::settings::{Rdb, RdbTls};
use warp_reql::{Conn, Database, Error};

use crate::support::secure::{Authority, Certificate, OVER, VALID};
use crate::support::{nobody, server};

/// Files of TLS.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap())
    }

    fn put(&self, name: &str, pem: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    }

    /// A server with this certificate, which wants one of its clients if there is an authority for them.
    async fn server(&self, own: &Certificate, clients: Option<&Authority>) -> Server {
        // The server looks at its files again and again.
        let name = fastrand::u64(..);
        let chain = self.put(&format!("{name}.pem"), &own.chain);
        let key = self.put(&format!("{name}.key"), &own.key);
        let tls = Tls::files(chain, key);
        let tls = match clients {
            Some(clients) => tls.client_ca(self.put("clients.pem", &clients.pem())),
            None => tls,
        };
        Server::builder().in_memory().tls(tls).start().await.unwrap()
    }

    fn trusting(&self, authority: &Authority) -> RdbTls {
        RdbTls { ca: self.put("ca.pem", &authority.pem()), ..RdbTls::default() }
    }

    fn showing(&self, own: &Certificate, tls: RdbTls) -> RdbTls {
        RdbTls { cert: self.put("own.pem", &own.chain), key: self.put("own.key", &own.key), ..tls }
    }
}

fn database(addr: SocketAddr, tls: RdbTls) -> Result<Database, Error> {
    let host = format!("localhost:{}", addr.port()).parse().unwrap();
    Database::new(Rdb { host, tls, standby: 0, ..Rdb::default() })
}

async fn ask(addr: SocketAddr, tls: RdbTls) -> Result<Option<u8>, Error> {
    Conn::new(database(addr, tls)?).first(r.expr(1)).await
}

/// Checks that nobody is let in, and that this is said about why.
async fn is_refused(addr: SocketAddr, tls: RdbTls, why: &str) {
    match ask(addr, tls).await {
        Err(error) if error.code() == Code::DatabaseUnreachable => {
            assert!(error.to_string().contains(why), "{why}: {error}");
        }
        other => panic!("{why}: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_can_be_trusted_is_asked() {
    let (files, authority) = (Files::new(), Authority::new());
    let server = files.server(&authority.signs("localhost", VALID), None).await;
    assert_eq!(ask(server.local_addr(), files.trusting(&authority)).await.unwrap(), Some(1));

    let named = files.server(&authority.signs("db.internal", VALID), None).await;
    let tls = RdbTls { server_name: "db.internal".to_owned(), ..files.trusting(&authority) };
    assert_eq!(ask(named.local_addr(), tls).await.unwrap(), Some(1));

    let strict = files.server(&authority.signs("localhost", VALID), Some(&authority)).await;
    let tls = files.showing(&authority.signs("service", VALID), files.trusting(&authority));
    assert_eq!(ask(strict.local_addr(), tls).await.unwrap(), Some(1));
}

#[tokio::test]
async fn an_error_says_what_does_not_fit() {
    let (files, authority, other) = (Files::new(), Authority::new(), Authority::new());
    let trusting = || files.trusting(&authority);

    let named = files.server(&authority.signs("db.internal", VALID), None).await;
    is_refused(named.local_addr(), trusting(), "it isn't for `localhost`").await;
    let old = files.server(&authority.signs("localhost", OVER), None).await;
    is_refused(old.local_addr(), trusting(), "it has expired").await;
    let foreign = files.server(&other.signs("localhost", VALID), None).await;
    is_refused(foreign.local_addr(), trusting(), "isn't among those to be trusted").await;
    let strict = files.server(&authority.signs("localhost", VALID), Some(&authority)).await;
    is_refused(strict.local_addr(), trusting(), "wants a certificate of the client, and there is none").await;
    let tls = files.showing(&other.signs("service", VALID), trusting());
    is_refused(strict.local_addr(), tls, "doesn't take the client's certificate").await;

    is_refused(foreign.local_addr(), RdbTls::default(), "This port speaks TLS").await;
    let plain = server().await;
    is_refused(plain.local_addr(), trusting(), "doesn't speak TLS on this port").await;
}

#[tokio::test]
async fn files_that_are_replaced_count_from_the_next_connection_on() {
    let (files, authority, other) = (Files::new(), Authority::new(), Authority::new());
    let server = files.server(&authority.signs("localhost", VALID), None).await;
    let database = database(server.local_addr(), files.trusting(&other)).unwrap();
    let refused = Conn::new(database.clone()).run(r.expr(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::DatabaseUnreachable);
    files.put("ca.pem", &(authority.pem() + "\n"));
    Conn::new(database.clone()).run(r.expr(1)).await.unwrap();
    files.put("ca.pem", "half of it");
    Conn::new(database).run(r.expr(1)).await.expect("those of before go on");
}

#[tokio::test]
async fn files_that_make_no_sense_are_named() {
    let (files, authority) = (Files::new(), Authority::new());
    let (one, other) = (authority.signs("a", VALID), authority.signs("b", VALID));
    let mixed = Certificate { chain: one.chain, key: other.key };
    for (tls, named) in [
        (RdbTls { ca: files.0.path().join("none.pem"), ..RdbTls::default() }, "none.pem"),
        (RdbTls { ca: files.put("empty.pem", ""), ..RdbTls::default() }, "empty.pem"),
        (files.showing(&mixed, files.trusting(&authority)), "certificate"),
    ] {
        match database(nobody().await, tls) {
            Err(error) if error.code() == Code::Misconfigured => {
                let reason = error.to_string();
                assert!(reason.contains("`rdb.tls`") && reason.contains(named), "{reason}");
            }
            other => panic!("{named}: {other:?}"),
        }
    }
}
