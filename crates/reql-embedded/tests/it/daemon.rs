//! The daemon as a process: its signals.
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::client::Client;
use tokio::io::AsyncReadExt;

/// A running daemon that keeps nothing, on a free port.
struct Daemon {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    addr: SocketAddr,
}

impl Daemon {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reql-embedded"))
            .args(["--memory", "--driver-port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = line_with(&mut out, "Listening for client driver connections on port ");
        line_with(&mut out, "Server ready");
        let addr = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        Self { child, out, addr }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    fn line_with(&mut self, start: &str) -> String {
        line_with(&mut self.out, start)
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the rest of the next line that begins with `start`.
fn line_with(out: &mut Lines<BufReader<ChildStdout>>, start: &str) -> String {
    out.find_map(|line| line.unwrap().strip_prefix(start).map(str::to_owned)).unwrap()
}

#[tokio::test]
async fn the_first_signal_ends_it_in_order() {
    for (signal, name) in [("TERM", "SIGTERM"), ("INT", "SIGINT")] {
        let mut daemon = Daemon::start(&["--busy-poll-us", "60"]);
        let mut client = Client::connect(daemon.addr).await;
        assert_eq!(client.ask(1, "[1,7]").await["r"], serde_json::json!([7]));
        daemon.signal(signal);
        assert_eq!(daemon.line_with("Server got "), format!("{name}; shutting down..."));
        daemon.line_with("All client connections closed.");
        assert_eq!(daemon.exit_code(), Some(0));
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut daemon = Daemon::start(&[]);
        // A client that is being answered and doesn't read delays the shutdown.
        let mut client = Client::connect(daemon.addr).await;
        client.query(1, &format!(r#"[1,"{}"]"#, "x".repeat(16 << 20))).await;
        client.stream.read_u8().await.unwrap();
        daemon.signal("TERM");
        daemon.line_with("Shutting down client connections...");
        daemon.signal(signal);
        assert_eq!(daemon.exit_code(), Some(code));
    }
}
