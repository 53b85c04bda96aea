//! A database in a process of its own, which can be killed and stopped for real.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

/// The database.
pub struct Process {
    child: Child,
    pub addr: SocketAddr,
}

impl Process {
    /// Starts it, and waits until it accepts connections.
    pub async fn start(data: &Path, addr: SocketAddr) -> Process {
        let beside = PathBuf::from(env!("CARGO_BIN_EXE_warp-reql")).with_file_name("reql-embedded");
        let mut command = Command::new(beside);
        command.arg("--directory").arg(data).arg("--driver-port").arg(addr.port().to_string());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = Process { child: child.expect("`cargo build -p reql-embedded` comes first"), addr };
        while TcpStream::connect(addr).await.is_err() {
            sleep(Duration::from_millis(1)).await;
        }
        process
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
