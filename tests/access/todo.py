#!/usr/bin/env python3
"""Two users of examples/todo.html, each in a browser of their own: who sees what, and how soon."""

import base64
import functools
import hashlib
import hmac
import http.server
import json
import secrets
import threading
import time

from bench import CHROMIUM, PATIENCE, ROOT, Service
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=PATIENCE * 1000)
SECRET = secrets.token_hex(32)


def base64url(text):
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token(subject, seconds=600):
    claims = {"sub": subject, "role": "user", "exp": int(time.time()) + seconds}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    message = ".".join(base64url(json.dumps(part, ensure_ascii=False).encode()) for part in parts)
    return f"{message}.{base64url(hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).digest())}"


def page_server():
    """Serves the page from an origin of its own, as a shop for static files would."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=ROOT / "examples")
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/todo.html"


def signed_in(browser, url, service, subject, seconds=600, streams=()):
    page = browser.new_context().new_page()
    page.complaints = []
    if streams:
        page.route("**/tables/todos/docs", answered_by(list(streams)))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(url)
    page.fill("#service", service)
    page.fill("#token", token(subject, seconds))
    page.click("text=Sign in")
    expect(page.locator("#state")).to_have_text(subject)
    return page


def event(name, data):
    return f"event:{name}\ndata:{json.dumps(data)}\n\n"


def initial(text):
    entry = {"id": text, "text": text, "done": False, "owner": "ann", "with": [], "at": 1}
    return event("initial", {"old": None, "new": entry})


def answered_by(streams):
    """Answers one request after the other with these events, and all further ones with the last of them."""
    def answer(route):
        body = streams.pop(0) if len(streams) > 1 else streams[0]
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "text/event-stream"}
        route.fulfill(headers=headers, body=body)

    return answer


def row(page, text):
    return page.locator("#todos li", has_text=text)


def share(page, text, names):
    page.once("dialog", lambda dialog: dialog.accept(names))
    row(page, text).get_by_text("Share").click()


def main():
    service = Service("--settings", ROOT / "examples" / "todo.toml", APP_TOKEN_SECRET=SECRET)
    url = page_server()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        ann, bob = (signed_in(browser, url, service.url, name) for name in ("ann", "bob"))
        for text in ("milk", "secret plan"):
            ann.fill("#text", text)
            ann.click("text=Add")
            expect(row(ann, text)).to_have_count(1)
        bob.fill("#text", "bob's own")
        bob.click("text=Add")
        expect(row(bob, "bob's own")).to_have_count(1)
        assert bob.locator("#todos li").count() == 1, "bob sees what is his, and nothing else"
        share(ann, "milk", "bob")
        expect(row(bob, "milk (ann's)")).to_have_count(1)
        assert row(bob, "milk").get_by_text("Delete").is_hidden()
        row(bob, "milk").get_by_role("checkbox").check()
        expect(ann.locator("#todos li.done")).to_contain_text("milk → bob")
        # What the page doesn't offer is refused by the service as well.
        refused = bob.evaluate(
            """async () => {
                const id = [...todos.values()].find(todo => todo.owner === 'ann').id;
                const tried = [['DELETE', undefined], ['PATCH', { owner: 'bob' }], ['PATCH', { with: [] }]];
                const answers = [];
                for (const [method, body] of tried) {
                    const answer = await fetch(`${service}/tables/todos/docs/${id}`, { method,
                        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
                        body: body && JSON.stringify(body) });
                    answers.push(answer.status);
                }
                return answers;
            }"""
        )
        assert refused == [403, 403, 403], refused
        share(ann, "milk", "")
        expect(row(bob, "milk")).to_have_count(0)
        row(ann, "milk").get_by_text("Delete").click()
        expect(row(ann, "milk")).to_have_count(0)
        assert bob.locator("#todos li").count() == 1 and ann.locator("#todos li").count() == 1
        # Streams that end in other ways are followed again, and what they take back is gone.
        streams = [
            event("error", {"detail": "The database can't be reached."}),
            initial("missed") + event("gap", {"skipped": 1}),
            initial("forgotten") + event("reset", {}) + initial("known") + event("ready", {}),
        ]
        restless = signed_in(browser, url, service.url, "ann", streams=streams)
        expect(restless.locator("#todos li")).to_have_count(1)
        expect(restless.locator("#todos li")).to_contain_text("known")
        restless.close()
        signed_in(browser, url, service.url, "jürgen")
        # When a token ends, so does what it showed live.
        late = signed_in(browser, url, service.url, "ann", seconds=-8)
        expect(late.locator("#state")).to_have_text("The token has expired.")
        assert not (ann.complaints + bob.complaints + late.complaints), ann.complaints + bob.complaints
        browser.close()
    service.kill()
    print("Two users of the to-do application: well.")


main()
