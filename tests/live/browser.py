#!/usr/bin/env python3
"""`EventSource` in a browser: 20 live queries at once by tickets, over HTTPS, from a page of another origin."""

import http.server
import pathlib
import secrets
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "explorer"))
from bench import CHROMIUM, PATIENCE, Process, BUILT, token  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

# More than the six that a browser opens to one host by HTTP/1.1.
STREAMS = 20
RULES = """
[[default.rules]]
table = "heroes"
roles = ["user"]
read = "owner=eq.{sub}"
"""
PAGE = """<!doctype html><meta charset="utf-8"><script>
const streams = [];
async function ask(list) {
  const asked = await fetch(`${service}/tickets`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ url: list }),
  });
  if (!asked.ok) throw new Error(`${asked.status}: ${await asked.text()}`);
  return service + (await asked.json()).url;
}
async function follow(list, last = "") {
  const url = await ask(list);
  const events = new EventSource(url + (last && `&last_event_id=${last}`));
  const stream = { url, list, events, last, told: [], failed: false };
  for (const name of ["initial", "ready", "add", "change", "remove", "gap", "reset"]) {
    events.addEventListener(name, event => {
      stream.last = event.lastEventId;
      stream.told.push([name, JSON.parse(event.data).new?.n ?? null]);
    });
  }
  events.onerror = () => { stream.failed = true; };
  streams.push(stream);
}
</script>"""


def certificate(folder):
    """Makes a certificate for this machine, signed by itself."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
         "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
         "-out", cert],
        check=True, capture_output=True,
    )
    return cert, key


class Page(http.server.BaseHTTPRequestHandler):
    """Serves the page from an origin of its own."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_):
        pass


def settled(page, what, holds):
    page.wait_for_function(holds, timeout=PATIENCE * 1000)
    print(f"  {what}")


def drive(page, service):
    write = """async ([id, document]) => {
        const headers = { Authorization: `Bearer ${admin}`, "Content-Type": "application/json" };
        const body = JSON.stringify(document);
        const sent = await fetch(`${service}/tables/heroes/docs/${id}`, { method: "PUT", headers, body });
        if (!sent.ok) throw new Error(await sent.text());
    }"""
    for of in range(STREAMS):
        page.evaluate("list => follow(list)", f"/tables/heroes/docs?of=eq.{of}&name=not.match.^[x y]")
    every = "streams.every(it => !it.failed && it.told.some(([name]) => name === 'ready'))"
    settled(page, f"{STREAMS} streams are open at once", f"streams.length === {STREAMS} && {every}")
    for of in range(STREAMS):
        page.evaluate(write, [of, {"of": of, "n": 100 + of, "owner": "ann"}])
        page.evaluate(write, [f"bobs-{of}", {"of": of, "n": 200 + of, "owner": "bob"}])
    settled(page, "each has its own event", "streams.every((it, of) => it.told.at(-1)[1] === 100 + of)")
    told = page.evaluate("streams.map(it => it.told.length)")
    assert told == [2] * STREAMS, f"`ready` and one document each: {told}"

    # A ticket is spent: a browser that comes back with it gives up.
    page.evaluate("() => { window.again = new EventSource(streams[0].url); }")
    settled(page, "a ticket counts once", "again.readyState === EventSource.CLOSED")

    # Somebody who was away is told exactly what happened meanwhile.
    page.evaluate("streams[3].events.close()")
    for n in range(5):
        page.evaluate(write, [3, {"of": 3, "n": n, "owner": "ann"}])
    page.evaluate("follow(streams[3].list, streams[3].last)")
    settled(page, "one that returns goes on", "streams.at(-1).told.length >= 5")
    missed = page.evaluate("streams.at(-1).told")
    assert missed == [["change", n] for n in range(5)], missed
    tickets = page.evaluate("streams.map(it => it.url.split('ticket=')[1])")
    text = service.text()
    assert "/tickets 201" in text, "the log tells of requests"
    assert all(len(ticket) == 32 and ticket not in text for ticket in tickets), "a ticket is in the log"
    page.evaluate("streams.forEach(it => it.events.close())")


def main():
    secret = secrets.token_hex(32)
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{pages.server_port}"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        cert, key = certificate(pathlib.Path(folder))
        settings = f'[default]\nauth = "token"\nadmin_roles = ["admin"]\n{RULES}'
        service = Process(
            [BUILT / "warp-reql"], r"Serving https://[\w.]+:(\d+)", settings, APP_PORT="0", APP_TLS_CERT=str(cert),
            APP_TLS_KEY=str(key), APP_TOKEN_SECRET=secret, APP_CORS=origin, APP_LOG_LEVEL="trace",
            RDB_DATA_DIR=":memory:",
        )
        url = f"https://127.0.0.1:{service.line.group(1)}"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(ignore_https_errors=True).new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        names = {"service": url, "token": token(secret, sub="ann", role="user"), "admin": token(secret, role="admin")}
        page.add_init_script("".join(f"window.{name} = '{value}';" for name, value in names.items()))
        page.goto(origin)
        made = page.evaluate("""() => fetch(`${service}/tables`, {
            method: "POST", body: '{"name": "heroes"}',
            headers: { Authorization: `Bearer ${admin}`, "Content-Type": "application/json" },
        }).then(made => made.status)""")
        assert made == 201, made
        drive(page, service)
        assert not complaints, complaints
        browser.close()
        service.kill()
    print("EventSource follows by tickets, across origins, over HTTPS and HTTP/2.")


main()
