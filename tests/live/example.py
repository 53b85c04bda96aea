#!/usr/bin/env python3
"""Watches the page of examples/live.rs in a headless Chromium while the table changes and the database dies.

    cargo build -p warp-reql --example live && cargo build -p reql-embedded
    tests/live/example.py

Needs Debian's `chromium`, or another one named by CHROMIUM, and nothing else but Python.
"""

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILT = os.environ.get("BUILT", os.path.join(ROOT, "target", "debug"))
CHROMIUM = os.environ.get("CHROMIUM", "chromium")
PATIENCE = 60


class Browser:
    """A page in a Chromium, by the DevTools protocol over a WebSocket."""

    def __init__(self, url, profile):
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
        self.process = subprocess.Popen(
            [CHROMIUM, *flags, f"--user-data-dir={profile}", url], stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if "DevTools listening on" in line:
                break
        address = line.split("ws://")[1].split("/")[0]
        page = wait("a page", lambda: first_page(address))
        self.socket = connect(address, page["webSocketDebuggerUrl"].split(address)[1])
        self.number = 0

    def value(self, expression):
        """What a JavaScript expression gives in the page."""
        self.number += 1
        parameters = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        send(self.socket, json.dumps({"id": self.number, "method": "Runtime.evaluate", "params": parameters}))
        while True:
            answer = json.loads(receive(self.socket))
            if answer.get("id") == self.number:
                return answer["result"]["result"].get("value")

    def close(self):
        self.process.terminate()
        self.process.wait()


def first_page(address):
    with urllib.request.urlopen(f"http://{address}/json") as answer:
        return next((page for page in json.load(answer) if page["type"] == "page"), None)


def connect(address, path):
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)))
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    assert b" 101 " in answer, answer
    return connection


def send(connection, text):
    data, mask = text.encode(), os.urandom(4)
    length = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    connection.sendall(b"\x81" + length + mask + masked)


def receive(connection):
    def exactly(count):
        data = b""
        while len(data) < count:
            part = connection.recv(count - len(data))
            assert part, "the browser is gone"
            data += part
        return data

    length = exactly(2)[1] & 0x7F
    if length == 126:
        length = struct.unpack("!H", exactly(2))[0]
    elif length == 127:
        length = struct.unpack("!Q", exactly(8))[0]
    return exactly(length).decode()


def wait(what, check):
    """Waits until a check gives something true, and gives that."""
    deadline = time.monotonic() + PATIENCE
    failure = None
    while time.monotonic() < deadline:
        try:
            found = check()
            if found:
                return found
        except OSError as error:
            failure = error
        time.sleep(0.05)
    sys.exit(f"never happened: {what} ({failure})")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    with tempfile.TemporaryDirectory() as home:
        database_port, port = free_port(), free_port()
        site = f"http://127.0.0.1:{port}"
        started = []

        def start(*command, **environment):
            process = subprocess.Popen(command, cwd=home, env={**os.environ, **environment}, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            started.append(process)
            return process

        def database():
            return start(os.path.join(BUILT, "reql-embedded"), "--directory", os.path.join(home, "rdb"),
                         "--driver-port", str(database_port), "--no-update-check")

        def request(method, path, body=None):
            data = None if body is None else json.dumps(body).encode()
            sent = urllib.request.Request(site + path, data, {"Content-Type": "application/json"}, method=method)
            with urllib.request.urlopen(sent) as answer:
                return answer.status

        def step(what, check):
            wait(what, check)
            print(f"ok: {what}")

        try:
            killed = database()
            start(os.path.join(BUILT, "examples", "live"), APP_PORT=str(port), APP_ADDRESS="127.0.0.1",
                  RDB_HOST=f"127.0.0.1:{database_port}")
            docs = "/tables/heroes/docs"
            wait("the table", lambda: request("GET", docs) == 200)
            request("PUT", f"{docs}/batman", {"id": "batman", "name": "Bruce", "age": 38})
            browser = Browser(site + "/", os.path.join(home, "browser"))
            try:
                state = lambda: browser.value("document.getElementById('state').textContent")
                rows = lambda: sorted(browser.value(
                    "[...document.querySelectorAll('#rows tr')].map(row => "
                    "[...row.cells].slice(0, 3).map(cell => cell.textContent).join(' '))"))
                step("the page is live", lambda: state() == "live")
                step("it shows what is there", lambda: rows() == ["batman Bruce 38"])
                request("PUT", f"{docs}/robin", {"id": "robin", "name": "Dick", "age": 17})
                step("a new document comes", lambda: rows() == ["batman Bruce 38", "robin Dick 17"])
                request("PATCH", f"{docs}/robin", {"name": "Jason"})
                step("a change shows", lambda: rows() == ["batman Bruce 38", "robin Jason 17"])
                request("DELETE", f"{docs}/batman")
                step("a deleted document goes", lambda: rows() == ["robin Jason 17"])
                browser.value("for (const [name, value] of [['id', 'oracle'], ['name', 'Barbara'], ['age', '25']]) "
                              "document.forms.form.elements[name].value = value; document.forms.form.requestSubmit()")
                step("the page's own write comes back", lambda: rows() == ["oracle Barbara 25", "robin Jason 17"])
                browser.value("document.querySelector('#rows button').click()")
                step("and so does its delete", lambda: len(rows()) == 1)

                killed.send_signal(signal.SIGKILL)
                killed.wait()
                step("a killed database shows", lambda: state() != "live")
                step("and the page comes back, in vain", lambda: state() == "The database cannot be reached.")
                database()
                wait("the database", lambda: request("PUT", f"{docs}/alfred", {"id": "alfred", "name": "Alfred"}) == 201)
                step("the page is live again by itself", lambda: state() == "live")
                step("and right", lambda: rows()[0] == "alfred Alfred " and len(rows()) == 2)
            finally:
                browser.close()
        finally:
            for process in started:
                process.kill()
                process.wait()


main()
