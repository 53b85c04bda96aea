#!/usr/bin/env python3
"""Drives the explorer in a headless Chromium, by clicks and keys, as its users do.

    cargo build -p warp-reql && cargo build -p reql-embedded
    python3 -m venv venv && venv/bin/pip install playwright axe-playwright-python
    venv/bin/python tests/explorer/judge.py [--shots DIRECTORY] [NAME ...]

Needs Debian's `chromium`, or another one named by CHROMIUM. Names choose among the checks. FILES=src/explorer/page has the
pages load what stands there rather than what was built in.
"""

import pathlib
import re
import sys
import tempfile
import time
from urllib.parse import quote

import data  # noqa: F401, its checks register themselves
import one  # noqa: F401
import tools  # noqa: F401
from bench import Database, Service, basic, browser, free_port, token
from looks import accessible
from playwright.sync_api import expect
from stage import CHECKS, HEROES, Stage, editor, rows


def with_own_database(chromium):
    """The database is killed and comes back."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        database = Database(directory, port)
        service = Service(RDB_HOST=f"127.0.0.1:{port}")
        stage = Stage(chromium, service)
        try:
            service.fill("heroes", HEROES)
            page = stage.page("#/tables/heroes")
            expect(page.locator(".live.on")).to_be_visible()
            # Those who follow don't notice: the service bridges outages that are short.
            database.kill()
            page.get_by_label("Filter").fill("age=gt.20")
            page.get_by_role("button", name="Show").click()
            expect(page.get_by_role("alert").first).to_contain_text("database")
            database = Database(directory, port)
            page.get_by_role("button", name="Try again").click()
            expect(rows(page)).to_have_count(2)
            expect(page.locator(".live.on")).to_be_visible()
            service.must("PATCH", "/tables/heroes/docs/batman", {"age": 50})
            expect(page.locator("tr.flash")).to_contain_text("50")
            stage.close()
        finally:
            service.kill()
            database.kill()


def traces(page):
    """Everything in which a page could leave a secret: stores, cookies, addresses, and its own text."""
    return page.evaluate("""async () => JSON.stringify([
        localStorage, sessionStorage, document.cookie, location.href, history.state, await indexedDB.databases(), await caches.keys(),
        performance.getEntries().map((one) => one.name), document.documentElement.outerHTML])""")


def with_users(chromium):
    """With `auth`, the page shows what its user may see and nothing else, and keeps no secret."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        database = Database(directory, port, password="secret")
        service = Service(RDB_HOST=f"127.0.0.1:{port}", RDB_PASSWORD="secret", APP_AUTH="database")
        service.authorization = basic("admin", "secret")
        stage = Stage(chromium, service)
        try:
            service.fill("heroes", HEROES)
            service.fill("hidden", [{"id": 1}])
            service.reql("r.db('rethinkdb').table('users').insert({id: 'ada', password: 'quite secret'})")
            service.reql("r.table('heroes').grant('ada', {read: true})")
            page = stage.page("#/tables/heroes")
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("User").fill("ada")
            dialog.get_by_label("Password").fill("wrong")
            dialog.get_by_role("button", name="Sign in").click()
            dialog = page.get_by_role("dialog")
            expect(dialog.get_by_role("alert")).to_have_text("The database knows no such user and password.")
            expect(dialog.get_by_label("User")).to_have_value("ada")
            expect(dialog.get_by_label("Password")).to_be_focused()
            dialog.get_by_label("Password").fill("quite secret")
            dialog.get_by_role("button", name="Sign in").click()
            expect(rows(page)).to_have_count(3)
            expect(page.locator(".live.on")).to_be_visible()
            page.goto(f"{service.url}/#/tables/heroes/doc?id=%22batman%22")
            text = editor(page, "Document batman")
            text.fill(text.input_value().replace("38", "39"))
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_role("alert")).to_contain_text("may not")
            page.goto(f"{service.url}/#/reql")
            editor(page, "Query").fill("r.table('hidden')")
            page.get_by_role("button", name="Run").click()
            expect(page.get_by_role("alert")).to_contain_text("permission")
            page.goto(f"{service.url}/#/tables/hidden")
            expect(page.get_by_role("alert")).to_contain_text("may not")
            page.goto(f"{service.url}/#/")
            expect(page.get_by_text("The list of tables isn't for this user.")).to_be_visible()
            assert "hidden" not in page.locator("main").inner_text()
            page.goto(f"{service.url}/#/service")
            expect(page.get_by_text("Which queries run isn't for this user.")).to_be_visible()
            for secret in ["quite secret", quote("quite secret"), basic("ada", "quite secret").split()[1]]:
                assert secret not in traces(page), secret
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("dialog")).to_be_visible()
            page.reload()
            expect(page.get_by_role("dialog")).to_be_visible()
            stage.close()
        finally:
            service.kill()
            database.kill()


def with_guests(chromium):
    """Where one may do something without credentials, one signs in by a button, also where something is refused."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        database = Database(directory, port, password="secret")
        service = Service(RDB_HOST=f"127.0.0.1:{port}", RDB_PASSWORD="secret", APP_AUTH="database", APP_ANONYMOUS_USER="guest")
        service.authorization = basic("admin", "secret")
        stage = Stage(chromium, service)
        try:
            service.fill("heroes", HEROES)
            service.fill("hidden", [{"id": 1}])
            service.reql("r.db('rethinkdb').table('users').insert({id: 'guest', password: ''})")
            service.reql("r.db('rethinkdb').table('users').insert({id: 'ada', password: 'quite secret'})")
            service.reql("r.table('heroes').grant('guest', {read: true})")
            service.reql("r.table('heroes').grant('ada', {read: true, write: true})")

            def sign_in(page, password):
                dialog = page.get_by_role("dialog")
                dialog.get_by_label("User").fill("ada")
                dialog.get_by_label("Password").fill(password)
                dialog.get_by_role("button", name="Sign in").click()

            page = stage.page("#/tables/heroes/doc?id=%22batman%22")
            button = page.locator("header").get_by_role("button", name="Sign in")
            expect(button).to_be_visible()
            text = editor(page, "Document batman")
            text.fill(text.input_value().replace("38", "39"))
            page.get_by_role("button", name="Save").click()
            refused = page.get_by_role("alert")
            expect(refused).to_contain_text("may not")
            refused.get_by_role("button", name="Sign in").click()
            sign_in(page, "wrong")
            expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("The database knows no such user and password.")
            sign_in(page, "quite secret")
            expect(refused).to_have_count(0)
            expect(button).to_have_count(0)
            # What was typed is there still.
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_text("The document is saved.")).to_be_visible()
            assert service.must("GET", "/tables/heroes/docs/batman")["age"] == 39
            page.get_by_role("button", name="Sign out").click()
            # Whoever gives up is as before.
            page.goto(f"{service.url}/#/tables/heroes")
            expect(rows(page)).to_have_count(3)
            button.click()
            sign_in(page, "wrong")
            expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
            page.get_by_role("button", name="Cancel").click()
            expect(button).to_be_focused()
            expect(page.locator(".live.on")).to_be_visible()
            expect(page.locator("main .problem")).to_have_count(0)
            # What isn't for guests is shown at once.
            service.reql("r.table('hidden').grant('ada', {read: true})")
            page.goto(f"{service.url}/#/")
            expect(page.get_by_text("The list of tables isn't for this user.")).to_be_visible()
            button.click()
            sign_in(page, "quite secret")
            expect(page.get_by_role("row", name="hidden")).to_be_visible()
            stage.close()
        finally:
            service.kill()
            database.kill()


RELATIONS = """
[[default.relations]]
table = "posts"
name = "author"
field = "author_id"
to = "users"
"""


def with_relations(chromium):
    """Related documents are expanded."""
    service = Service(settings=RELATIONS)
    stage = Stage(chromium, service)
    try:
        service.fill("users", [{"id": "ada", "name": "Ada Lovelace"}])
        service.fill("posts", [{"id": 1, "author_id": "ada"}])
        page = stage.page("#/tables/posts")
        expect(rows(page)).to_have_count(1)
        page.get_by_label("Expand").fill("author")
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(re.compile("expand=author"))
        rows(page).first.locator("summary").click()
        expect(rows(page).first).to_contain_text('"Ada Lovelace"')
        stage.close()
    finally:
        service.kill()


RULES = """
[default]
auth = "token"
admin_roles = ["admin"]

[default.token]
secret = "a secret of more than thirty-two bytes"

[[default.rules]]
table = "posts"
roles = ["anonymous"]
read = "public=eq.true"

[[default.rules]]
table = "drafts"
roles = ["user"]
read = "open=eq.true"
change = "owner=eq.{sub}"

[[default.rules]]
table = "posts"
roles = ["user"]
read = "or=(public=eq.true,owner=eq.{sub})"
change = "owner=eq.{sub}"
hide = ["moderation"]
"""


def with_rules(chromium):
    """With rules, everybody is shown the documents that the rules have for them, and administrators everything."""
    secret = "a secret of more than thirty-two bytes"
    service = Service(settings=RULES)
    service.authorization = f"Bearer {token(secret, sub='root', role='admin')}"
    stage = Stage(chromium, service)
    try:
        service.fill("posts", [
            {"id": 1, "owner": "ada", "public": True, "moderation": "x"},
            {"id": 2, "owner": "ada", "public": False, "moderation": "x"},
            {"id": 3, "owner": "bob", "public": False, "moderation": "x"},
        ])

        service.fill("drafts", [{"id": 1, "owner": "ada", "open": True}])

        def sign_in(page, **claims):
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Token").fill(token(secret, **claims))
            dialog.get_by_role("button", name="Sign in").click()

        anybody = stage.page("#/tables/posts")
        expect(rows(anybody)).to_have_count(1)
        user = stage.page("#/")
        sign_in(user, sub="ada", role="user")
        expect(user.get_by_text("The list of tables isn't for this user.")).to_be_visible()
        user.get_by_label("Table").fill("posts")
        user.get_by_role("button", name="Show documents").click()
        expect(rows(user)).to_have_count(2)
        assert "moderation" not in user.locator("main").inner_text()
        expect(user.locator(".live.on")).to_be_visible()
        service.must("PATCH", "/tables/posts/docs/3", {"public": True})
        expect(rows(user)).to_have_count(3)
        expect(rows(anybody)).to_have_count(2)
        user.goto(f"{service.url}/#/reql")
        editor(user, "Query").fill("r.table('posts')")
        user.get_by_role("button", name="Run").click()
        expect(user.get_by_role("alert")).to_contain_text("forbidden")
        user.goto(f"{service.url}/#/tables/posts/doc?id=3")
        text = editor(user, "Document 3")
        text.fill(text.input_value().replace("bob", "ada"))
        user.get_by_role("button", name="Save").click()
        expect(user.get_by_role("alert")).to_contain_text("forbidden")
        # What may be written, and not read any more.
        user.goto(f"{service.url}/#/tables/drafts/doc?id=1")
        text = editor(user, "Document 1")
        text.fill(text.input_value().replace("true", "false"))
        user.get_by_role("button", name="Save").click()
        expect(user.get_by_text("The document is saved, and no longer one that you may read.")).to_be_visible()
        expect(user).to_have_url(re.compile("#/tables/drafts$"))
        assert service.must("GET", "/tables/drafts/docs/1")["open"] is False
        # Where anybody may read something, one signs in by the button.
        anybody.get_by_role("button", name="Sign in").click()
        sign_in(anybody, sub="ada", role="user")
        expect(rows(anybody)).to_have_count(3)
        admin = stage.page("#/")
        sign_in(admin, sub="root", role="admin")
        expect(admin.get_by_role("row", name="posts").get_by_role("cell").first).to_have_text("3")
        admin.goto(f"{service.url}/#/reql")
        editor(admin, "Query").fill("r.table('posts').count()")
        admin.get_by_role("button", name="Run").click()
        expect(admin.get_by_text("1 row, ")).to_be_visible()
        assert "eyJ" not in traces(user) and "eyJ" not in traces(admin)
        stage.close()
    finally:
        service.kill()


def main():
    arguments = sys.argv[1:]
    shots = None
    if "--shots" in arguments:
        at = arguments.index("--shots")
        shots = pathlib.Path(arguments[at + 1])
        shots.mkdir(parents=True, exist_ok=True)
        del arguments[at:at + 2]
    failed = []
    with browser() as chromium:
        for run in [*CHECKS, with_relations, with_own_database, with_users, with_guests, with_rules]:
            if arguments and run.__name__ not in arguments:
                continue
            began = time.monotonic()
            try:
                if run in CHECKS:
                    service = Service()
                    stage = Stage(chromium, service)
                    try:
                        run(stage, shots) if run is accessible else run(stage)
                        stage.close()
                    finally:
                        service.kill()
                else:
                    run(chromium)
                print(f"ok      {run.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            except Exception as error:
                failed.append(run.__name__)
                print(f"FAILED  {run.__name__}: {error}", flush=True)
            for context in chromium.contexts:
                context.close()
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
