"""What the scripts here share: a database, a service, a browser, and a little patience."""

import base64
import contextlib
import hmac
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = pathlib.Path(os.environ.get("BUILT", ROOT / "target" / "debug"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 30


def wait(what, holds, patience=PATIENCE):
    """Waits until something holds, and returns what it gave."""
    end = time.monotonic() + patience
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < end, f"in vain for {what}"
        time.sleep(0.05)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A process that is ended with the test."""

    def __init__(self, command, says, settings=None, **environment):
        self.home = tempfile.TemporaryDirectory()
        if settings:
            pathlib.Path(self.home.name, "Settings.toml").write_text(settings)
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("APP_", "RDB_"))}
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=self.log, stderr=self.log, cwd=self.home.name,
            env={**clean, **environment},
        )
        self.line = wait(says, lambda: self.said(says))

    def said(self, pattern):
        assert self.process.poll() is None, f"it ended: {self.text()[-3000:]}"
        return re.search(pattern, self.text())

    def text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def kill(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(PATIENCE)


class Database(Process):
    """The daemon, on data that stays when it is killed."""

    def __init__(self, directory, port, password=None):
        flags = ["--initial-password", password] if password else []
        super().__init__(
            [BUILT / "reql-embedded", "--directory", directory, "--driver-port", port, *flags], r"(?i)listening|ready|serv"
        )


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Service(Process):
    """The service, with a database of its own unless the environment says otherwise."""

    def __init__(self, *arguments, **environment):
        environment = {"APP_PORT": "0", "RDB_DATA_DIR": ":memory:", "APP_LOG_LEVEL": "info", **environment}
        super().__init__([BUILT / "warp-reql", *arguments], r"Serving http://([\d.]+:\d+)", **environment)
        self.url = f"http://{self.line.group(1)}"
        self.authorization = None

    def ask(self, method, path, body=None, accept="application/json", kind="application/json", **headers):
        """Sends a request; returns the status and what was answered."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Accept": accept, **({"Content-Type": kind} if data is not None else {}), **headers}
        if self.authorization:
            headers["Authorization"] = self.authorization
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                text = response.read()
                is_json = (response.headers["Content-Type"] or "").endswith("/json")
                return response.status, json.loads(text) if is_json else text.decode()
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text else None

    def must(self, *request, **more):
        status, answer = self.ask(*request, **more)
        assert status < 300, (request, status, answer)
        return answer

    def reql(self, query):
        return self.must("POST", "/reql", query.encode(), kind="application/vnd.rethinkdb.reql")

    def fill(self, table, documents):
        """Makes a table of documents."""
        self.must("POST", "/tables", {"name": table, "durability": "soft"})
        for start in range(0, len(documents), 5000):
            outcomes = self.must("POST", f"/tables/{table}/docs", documents[start:start + 5000])
            assert all(one["status"] == 201 for one in outcomes)


def token(secret, **claims):
    """A JSON Web Token (RFC 7519), signed with HS256."""
    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    claims = {"exp": int(time.time()) + 600, **claims}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.digest(secret.encode(), signed, "sha256"))).decode()


class Watch:
    """What a browser's context asks for and complains about."""

    def __init__(self, context, url):
        self.foreign, self.complaints, self.bytes = [], [], 0
        host = urllib.parse.urlparse(url).netloc

        def requested(request):
            address = urllib.parse.urlparse(request.url)
            if address.scheme not in ("blob", "data") and address.netloc != host:
                self.foreign.append(request.url)

        context.on("request", requested)
        context.on("console", lambda message: self.said(message))
        context.on("weberror", lambda error: self.complaints.append(f"{error.error}"))

    def said(self, message):
        # The browser notes each answer that is a problem; those are meant.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


@contextlib.contextmanager
def browser():
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--js-flags=--expose-gc", "--enable-precise-memory-info"])
        try:
            yield chromium
        finally:
            chromium.close()
