"""The service that `soak` and `floods` attack, and the way to it."""

import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("WARP_REQL", str(ROOT / "target/release/warp-reql"))
# The most memory that it may take, and the system for what clients don't read, in bytes. The seconds a socket waits.
MEMORY, UNREAD, PATIENCE = 400_000_000, 100_000_000, 30
ATTACKER = "127.0.0.66"


def connect(port, address, window=None):
    client = socket.socket()
    if window:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    client.bind((address, 0))
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    return client


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def unread(port):
    """The bytes that the system holds for what clients haven't read, or None where there is no `ss`."""
    try:
        command = ["ss", "-Htnm", "sport", "=", f":{port}"]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    except FileNotFoundError:
        return None
    return sum(int(queued) for queued in re.findall(r"skmem:\([^)]*,w(\d+)", told))


class Service:
    """The service, with its own database on disk."""

    def __init__(self, home):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "RDB_"))}
        settings = {"RDB_HOST": "embedded", "APP_PORT": "0", "APP_PROFILE": "production"}
        settings |= {"APP_ADDRESS": "127.0.0.1"}
        self.log = pathlib.Path(home, "log")
        with self.log.open("w") as log:
            self.child = subprocess.Popen([PROGRAM], cwd=home, env=clean | settings, stderr=log)
        end = time.monotonic() + PATIENCE
        while not (served := re.search(r"Serving http://[^:]*:(\d+)", self.log.read_text(errors="replace"))):
            if self.child.poll() is not None or time.monotonic() > end:
                sys.exit("the service did not start")
            time.sleep(0.02)
        self.port = int(served[1])

    def memory(self, what):
        status = pathlib.Path("/proc", str(self.child.pid), "status").read_text()
        return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024

    def stop(self):
        """Ends it, and returns its code."""
        self.child.terminate()
        return self.child.wait(PATIENCE)

    def panics(self):
        """The lines of its log that no attack may cause."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if "panicked" in line or "overflowed" in line]
