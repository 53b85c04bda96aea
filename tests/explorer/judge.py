#!/usr/bin/env python3
"""Drives the explorer in a headless Chromium, by clicks and keys, as its users do.

    cargo build -p warp-reql && cargo build -p reql-embedded
    python3 -m venv venv && venv/bin/pip install playwright axe-playwright-python
    venv/bin/python tests/explorer/judge.py [--shots DIRECTORY] [NAME ...]

Needs Debian's `chromium`, or another one named by CHROMIUM. Names choose among the checks.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from bench import Database, PATIENCE, Service, Watch, browser, free_port, wait
from playwright.sync_api import expect

CHECKS = []
expect.set_options(timeout=PATIENCE * 1000)


def check(function):
    CHECKS.append(function)
    return function


class Stage:
    """A service, a browser, and pages in it that are watched."""

    def __init__(self, chromium, service):
        self.chromium, self.service, self.contexts, self.watches = chromium, service, [], []

    def page(self, path="", **options):
        context = self.chromium.new_context(**options)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.contexts.append(context)
        self.watches.append(Watch(context, self.service.url))
        page = context.new_page()
        page.goto(f"{self.service.url}/{path}")
        return page

    def close(self):
        for context in self.contexts:
            context.close()
        for watch in self.watches:
            assert not watch.foreign, f"asked elsewhere: {watch.foreign}"
            assert not watch.complaints, f"complaints: {watch.complaints}"


HEROES = [
    {"id": "batman", "name": "Bruce", "age": 38, "city": {"name": "Gotham", "zip": 1}, "tags": ["dark", "rich"]},
    {"id": "robin", "name": "Dick", "age": 17, "city": {"name": "Gotham", "zip": 2}, "tags": []},
    {"id": "superman", "name": "Clark", "age": 35, "city": {"name": "Metropolis", "zip": 3}, "tags": ["strong"],
     "born": {"$reql_type$": "TIME", "epoch_time": 1.5, "timezone": "+02:00"},
     "home": {"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [2.35, 48.85]}},
]


def rows(page):
    return page.locator(".grid tbody tr")


def completions(page):
    return page.get_by_role("listbox", name="Completions")


def editor(page, name):
    return page.get_by_role("textbox", name=name)


@check
def newcomer(stage):
    """From nothing to a live document in three clicks."""
    page = stage.page()
    expect(page.get_by_role("heading", name="There are no tables yet")).to_be_visible()
    page.get_by_role("button", name="Create the table heroes").click()
    expect(page.get_by_role("heading", name="This table has no documents yet")).to_be_visible()
    page.get_by_role("link", name="Add the first document").click()
    page.get_by_role("button", name="Save").click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator(".live.on")).to_have_text("following")
    stage.service.must("POST", "/tables/heroes/docs", {"id": "second", "name": "Clark"})
    expect(rows(page)).to_have_count(2)
    expect(page.locator("tr.flash")).to_have_count(1)


@check
def keyboard(stage):
    """The same by keys alone."""
    page = stage.page()

    def reach(role, name):
        wanted = page.get_by_role(role, name=name, exact=True)
        expect(wanted).to_be_visible()
        for _ in range(60):
            if wanted.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab never gets to {name}")

    reach("button", "Create the table heroes")
    page.keyboard.press("Enter")
    reach("link", "Add the first document")
    page.keyboard.press("Enter")
    reach("textbox", "New document")
    page.keyboard.press("Control+A")
    page.keyboard.type('{"id": 1, "name": "by keys"}')
    page.keyboard.press("Control+Enter")
    expect(rows(page)).to_have_count(1)
    # The completion of a filter, by arrows.
    page.keyboard.press("/")
    page.keyboard.type("na")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("eq.")
    page.keyboard.press("Escape")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"name=eq\.by"))
    expect(rows(page)).to_have_count(1)
    reach("link", "1")
    page.keyboard.press("Enter")
    reach("button", "Delete")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This table has no documents yet")).to_be_visible()


@check
def tables(stage):
    """Tables and indexes: made, described, dropped by typing the name."""
    stage.service.fill("heroes", HEROES)
    page = stage.page()
    row = page.get_by_role("row", name="heroes")
    expect(row.get_by_role("cell").nth(0)).to_have_text("3")
    page.get_by_label("New table").fill("villains")
    page.get_by_label("Primary key").fill("name")
    page.get_by_role("button", name="Create table").click()
    expect(page.get_by_role("heading", name="Tables / villains")).to_be_visible()
    page.get_by_role("link", name="Tables", exact=True).first.click()
    expect(page.get_by_role("row", name="villains")).to_contain_text("name")
    page.get_by_label("Indexes of heroes").click()
    page.get_by_label("Fields").fill("city.name, age")
    page.get_by_role("button", name="Create index").click()
    expect(page.get_by_role("row", name="city_name_age")).to_contain_text("ready")
    page.get_by_role("button", name="Drop index city_name_age").click()
    drop = page.get_by_role("button", name="Drop index", exact=True)
    expect(drop).to_be_disabled()
    page.get_by_role("dialog").get_by_label("Name").fill("city_name_age")
    drop.click()
    expect(page.get_by_text("No indexes yet.")).to_be_visible()
    page.get_by_role("button", name="Drop table villains").click()
    page.get_by_role("dialog").get_by_label("Name").fill("villain")
    expect(page.get_by_role("button", name="Drop table", exact=True)).to_be_disabled()
    page.get_by_role("dialog").get_by_label("Name").fill("villains")
    page.get_by_role("button", name="Drop table", exact=True).click()
    expect(page.get_by_role("row", name="villains")).to_have_count(0)
    assert [table["name"] for table in stage.service.must("GET", "/tables")] == ["heroes"]


@check
def documents(stage):
    """The grid: filter, order, select, pages, explain, curl, its state in the address."""
    stage.service.fill("heroes", HEROES + [{"id": f"hero{n:03}", "name": f"Hero {n}", "age": n} for n in range(40, 240)])
    page = stage.page("#/tables/heroes?limit=50")
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_role("columnheader").first).to_have_text("id")
    # Nested values are folded, and unfold; times and places are readable.
    gotham = rows(page).filter(has_text="batman").locator("summary").first
    gotham.click()
    expect(rows(page).filter(has_text="batman")).to_contain_text('"Gotham"')
    page.get_by_role("button", name="Next page").click()
    expect(page).to_have_url(re.compile("cursor="))
    expect(rows(page).first).to_contain_text("hero089")
    page.get_by_role("button", name="First page").click()
    expect(rows(page).first).to_contain_text("batman")
    # Completion of fields and operators.
    filter_ = page.get_by_label("Filter")
    filter_.click()
    filter_.press_sequentially("ag")
    completions(page).get_by_role("option", name="age", exact=True).click()
    filter_.press_sequentially("gte")
    expect(completions(page).get_by_role("option", name="gte.", exact=True)).to_be_visible()
    filter_.press("Escape")
    filter_.press_sequentially(".230&name=match.^Hero")
    page.get_by_label("Order").fill("age.desc")
    page.get_by_label("Select").fill("id,age")
    page.get_by_label("Limit").fill("5")
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(5)
    expect(rows(page).first).to_contain_text("hero239")
    address = page.url
    other = stage.page(address.split("/", 3)[3])
    expect(rows(other)).to_have_count(5)
    expect(other.get_by_label("Filter")).to_have_value("age=gte.230&name=match.^Hero")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_text("What the database is asked")).to_be_visible()
    expect(page.locator(".panel pre")).to_contain_text("r.table")
    page.get_by_role("button", name="Copy as curl").click()
    command = wait("a copy", lambda: page.evaluate("navigator.clipboard.readText()"))
    answer = json.loads(subprocess.run(command.replace("curl ", "curl -s ", 1), shell=True, check=True, capture_output=True).stdout)
    assert [row["id"] for row in answer] == [f"hero{n}" for n in range(239, 234, -1)], (command, answer)
    # What is wrong with a filter is told.
    filter_.fill("age=nonsense.1")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_be_visible()


@check
def live(stage):
    """Two browsers on one table: what one changes flashes in the other, unless that is held still."""
    stage.service.fill("heroes", HEROES)
    one, two = stage.page("#/tables/heroes"), stage.page("#/tables/heroes/doc?id=%22batman%22")
    expect(one.locator(".live.on")).to_have_text("following")
    text = editor(two, "Document batman")
    text.fill(text.input_value().replace("38", "39"))
    two.get_by_role("button", name="Save").click()
    expect(one.locator("tr.flash")).to_contain_text("39")
    one.get_by_label("Live").uncheck()
    expect(one.get_by_text("held still")).to_be_visible()
    stage.service.must("DELETE", "/tables/heroes/docs/robin")
    time.sleep(1.5)
    assert rows(one).count() == 3
    one.get_by_label("Live").check()
    expect(rows(one)).to_have_count(2)


@check
def document(stage):
    """One document: errors at their place, If-Match, both versions side by side, history, delete."""
    stage.service.fill("heroes", HEROES)
    page = stage.page("#/tables/heroes")
    page.get_by_role("link", name="superman").click()
    text = editor(page, "Document superman")
    expect(page.locator(".numbers")).to_contain_text("3")
    whole = text.input_value()
    text.fill('{\n  "id": "superman",\n  "age": 3x\n}')
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".editor-message")).to_contain_text("Line 3, column 11")
    expect(page.locator(".layer mark")).to_have_text("x")
    text.fill(whole.replace("35", "36"))
    text.press("Control+Enter")
    expect(page.get_by_text("The document is saved.")).to_be_visible()
    assert stage.service.must("GET", "/tables/heroes/docs/superman")["age"] == 36
    # Someone else is faster.
    text.fill(whole.replace("Clark", "Kal-El"))
    stage.service.must("PATCH", "/tables/heroes/docs/superman", {"age": 99})
    expect(page.locator(".history")).to_contain_text("99")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Someone else changed it meanwhile")).to_be_visible()
    expect(page.locator(".sides mark").filter(has_text="Kal-El")).to_be_visible()
    expect(page.locator(".sides mark").filter(has_text="99")).to_be_visible()
    assert stage.service.must("GET", "/tables/heroes/docs/superman")["name"] == "Clark"
    page.get_by_role("button", name="Keep mine").click()
    expect(page.locator(".sides")).to_have_count(0)
    assert stage.service.must("GET", "/tables/heroes/docs/superman")["name"] == "Kal-El"
    # With nothing of one's own the editor follows.
    stage.service.must("PATCH", "/tables/heroes/docs/superman", {"age": 100})
    expect(text).to_have_value(re.compile('"age": 100'))
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(rows(page)).to_have_count(2)
    # Ids that no path would bear as they are.
    for id in ["a/b", "..", "é <b>", "", "42", 42, ["x", 1], {"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}]:
        stage.service.must("POST", "/tables/heroes/docs", {"id": id, "mark": "odd"})
    page.reload()
    expect(rows(page)).to_have_count(10)
    for at in range(10):
        rows(page).nth(at).get_by_role("link").click()
        expect(page.get_by_role("button", name="Save")).to_be_visible()
        page.go_back()
        expect(rows(page)).to_have_count(10)


@check
def console(stage):
    """ReQL: completion, results in three forms, errors at their place, changefeeds until stopped, the last queries."""
    stage.service.fill("heroes", HEROES)
    page = stage.page()
    page.get_by_role("link", name="ReQL", exact=True).click()
    text = editor(page, "Query")
    text.fill("")
    text.press_sequentially("r.tab")
    completions(page).get_by_role("option", name="table", exact=True).click()
    text.press_sequentially("'he")
    completions(page).get_by_role("option", name="heroes", exact=True).click()
    text.press_sequentially("'")
    text.press("End")
    text.press_sequentially(".orderB")
    completions(page).get_by_role("option", name="orderBy", exact=True).click()
    text.press_sequentially("'age'")
    text.press("Control+Enter")
    expect(page.get_by_text(re.compile(r"^3 rows, \d+ ms$"))).to_be_visible()
    expect(page.locator(".result .tree").first).to_contain_text("[3]")
    page.get_by_label("Show as").select_option("table")
    expect(page.locator(".result tbody tr")).to_have_count(3)
    expect(page.locator(".result tbody tr").first).to_contain_text("robin")
    page.get_by_label("Show as").select_option("raw")
    assert [row["id"] for row in json.loads(page.locator(".result pre").inner_text())] == ["robin", "superman", "batman"]
    for query, part in [
        ("r.table('heroes')\n  .fitler({})", "fitler"),
        ("r.table('heroes').map(r.row('name').add(1))", "r.row('name').add(1)"),
        ("r.table('nothing').count()", "r.table('nothing')"),
    ]:
        text.fill(query)
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".layer mark")).to_have_text(part)
        expect(page.locator(".problem pre").first).to_contain_text("^")
    text.fill("r.table('heroes').changes({includeInitial: true})")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text(re.compile("^3 rows.*following"))).to_be_visible()
    stage.service.must("POST", "/tables/heroes/docs", {"id": "new"})
    expect(page.get_by_text(re.compile("^4 rows.*following"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text(re.compile("stopped"))).to_be_visible()
    wait("the feed's end", lambda: "warp_reql_feeds 0" in stage.service.must("GET", "/metrics", accept="text/plain"))
    page.get_by_text("The last queries of this tab").click()
    page.get_by_role("button", name="r.table('heroes') .fitler({})").click()
    expect(text).to_have_value("r.table('heroes')\n  .fitler({})")
    page.get_by_role("button", name="Copy as curl").click()
    # A query is part of the address, too, but isn't run by it.
    other = stage.page("#/reql?q=" + "r.table('heroes').delete()")
    expect(editor(other, "Query")).to_have_value("r.table('heroes').delete()")
    time.sleep(0.5)
    assert len(stage.service.must("GET", "/tables/heroes/docs")) == 4


@check
def service(stage):
    """Figures that go on, live queries that are open, the settings."""
    stage.service.fill("heroes", HEROES)
    grid = stage.page("#/tables/heroes")
    expect(grid.locator(".live.on")).to_be_visible()
    page = stage.page("#/service")
    expect(page.locator(".plot")).to_have_count(8)
    line = page.locator(".plot", has_text="Requests").locator("polyline")
    wait("two points", lambda: len((line.get_attribute("points") or "").split()) >= 2)
    expect(page.locator(".plot", has_text="Live queries").locator("strong")).to_have_text("1")
    expect(page.get_by_role("row").filter(has_text="changes(")).to_have_count(1)
    expect(page.get_by_role("heading", name="Settings in force")).to_be_visible()
    expect(page.locator("main")).to_contain_text("development")


@check
def import_and_export(stage):
    """A file in, with the outcome of each faulty line; what is filtered out again."""
    page = stage.page("#/load")
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "many.ndjson"
        lines = [json.dumps({"id": n, "n": n % 7, "text": "x" * 50}) for n in range(3000)]
        lines[10], lines[20] = '{"id": 1', json.dumps({"id": 5, "again": True})
        file.write_text("\n".join(lines) + "\n")
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_label("Into table").fill("many")
        page.get_by_role("button", name="Import").click()
        expect(page.get_by_text("2998 documents are written, 2 are faulty. That is all.")).to_be_visible()
        expect(page.get_by_role("row", name=re.compile("^11 "))).to_be_visible()
        expect(page.get_by_role("row", name=re.compile("^21 "))).to_be_visible()
        assert page.get_by_role("progressbar").evaluate("bar => bar.value") == 1
        page.get_by_role("link", name="See many").click()
        page.get_by_label("Filter").fill("n=eq.3")
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(re.compile("n=eq"))
        expect(rows(page).first).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        out = [json.loads(line) for line in pathlib.Path(download.value.path()).read_text().splitlines()]
        assert sorted(row["id"] for row in out) == [n for n in range(3000) if n % 7 == 3 and n not in (10, 20)]
        # What came out goes in again, as an array, dropped onto the page.
        page.goto(f"{stage.service.url}/#/load?table=again")
        transfer = page.evaluate_handle(
            "text => { const all = new DataTransfer(); all.items.add(new File([text], 'a.json')); return all; }", json.dumps(out))
        page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
        expect(page.get_by_text(f"{len(out)} documents are written, 0 are faulty.")).to_be_visible()
        if page.get_by_label("Format").locator("option", has_text="CSV").count():
            file = pathlib.Path(directory) / "some.csv"
            file.write_text('id,name\n1,"a, ""b""\nc"\n2,d\n')
            page.locator("input[type=file]").set_input_files(file)
            page.get_by_label("Into table").fill("csv")
            page.get_by_role("button", name="Import").click()
            expect(page.get_by_text("2 documents are written, 0 are faulty.")).to_be_visible()
            assert stage.service.must("GET", "/tables/csv/docs/1")["name"] == 'a, "b"\nc'


MARKUP = [
    "<script>window.ran = 1</script>", "<img src=x onerror='window.ran = 1'>", "\"><svg onload=window.ran=1>",
    "javascript:window.ran=1", "{{constructor.constructor('window.ran=1')()}}", "</textarea><script>window.ran=1</script>",
    "<a href=javascript:window.ran=1 autofocus onfocus=window.ran=1>", "' onmouseover='window.ran=1",
]


@check
def markup(stage):
    """Documents full of markup show as text, wherever they are shown."""
    documents = [{"id": text, text: text, "nested": {text: [text]}, "name": text} for text in MARKUP]
    stage.service.fill("heroes", documents)
    page = stage.page("#/tables/heroes")
    expect(rows(page)).to_have_count(len(MARKUP))
    for summary in page.locator(".grid summary").all():
        summary.click()
    for at in range(len(MARKUP)):
        rows(page).nth(at).get_by_role("link").press("Enter")
        expect(page.get_by_role("button", name="Save")).to_be_visible()
        page.go_back()
        expect(rows(page)).to_have_count(len(MARKUP))
    for shape in ["tree", "table", "raw"]:
        page.goto(f"{stage.service.url}/#/reql")
        editor(page, "Query").fill("r.table('heroes')")
        page.get_by_label("Show as").select_option(shape)
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".result")).to_contain_text("<script>window.ran = 1</script>")
    editor(page, "Query").fill(f"r.error({json.dumps(MARKUP[1])})")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".problem")).to_contain_text("onerror")
    assert page.evaluate("window.ran") is None
    assert page.locator("main script, main img, main a[href^=javascript]").count() == 0
    # The policy alone would have kept it from running.
    page.evaluate("() => { const one = document.createElement('div'); one.innerHTML = \"<img src=x onerror='window.ran = 1'>\"; document.body.append(one); }")
    time.sleep(0.5)
    assert page.evaluate("window.ran") is None
    # That is what the browser complains about here.
    stage.watches[-1].complaints.clear()


@check
def large(stage):
    """100,000 documents, and a writer: a frame takes less than 50 ms, the page less than 100 MB."""
    stage.service.fill("many", [{"id": n, "name": f"Hero {n}", "age": n % 90, "at": {"x": n, "y": [n, n]}, "text": "x" * 40} for n in range(100_000)])
    page = stage.page("#/tables/many?limit=100")
    expect(rows(page)).to_have_count(100)
    expect(page.locator(".live.on")).to_be_visible()
    page.evaluate("""() => {
        window.slow = []; window.last = performance.now();
        const frame = (now) => { window.slow.push(now - window.last); window.last = now; requestAnimationFrame(frame); };
        requestAnimationFrame(frame);
        new PerformanceObserver((list) => list.getEntries().forEach((one) => (window.tasks ??= []).push(one.duration))).observe({ type: "longtask" });
    }""")
    end = time.monotonic() + 8
    n = 0
    while time.monotonic() < end:
        stage.service.must("PATCH", f"/tables/many/docs/{n % 100}", {"age": n})
        page.mouse.wheel(0, 200)
        n += 1
        time.sleep(0.02)
    longest = page.evaluate("Math.max(0, ...(window.tasks ?? []))")
    frames = page.evaluate("window.slow.sort((a, b) => a - b)")
    page.evaluate("window.gc()")
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    typical = frames[int(len(frames) * 0.99)]
    print(f"    {n} writes: 99 of 100 frames below {typical:.0f} ms, longest task {longest:.0f} ms, heap {heap:.1f} MiB, {page.locator('*').count()} elements")
    assert typical < 50 and longest < 50, "a frame takes too long"
    assert heap < 100, "the page takes too much"
    page.goto(f"{stage.service.url}/#/reql")
    editor(page, "Query").fill("r.table('many')")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text(re.compile(r"^100000 rows, \d+ ms$"))).to_be_visible()
    page.evaluate("window.gc()")
    assert page.evaluate("performance.memory.usedJSHeapSize") / 2**20 < 100


@check
def offline(stage):
    """Without a network the page says so, and goes on by itself."""
    stage.service.fill("heroes", HEROES)
    page = stage.page("#/tables/heroes")
    expect(page.locator(".live.on")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_label("Filter").fill("age=gt.20")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#state")).to_contain_text("can't be reached")
    expect(page.get_by_role("alert")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#state")).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    expect(rows(page)).to_have_count(2)
    expect(page.locator(".live.on")).to_be_visible()


def views(stage):
    """Every view with something in it, by name."""
    page = stage.page()
    url = stage.service.url

    def grid():
        page.goto(f"{url}/#/tables/heroes?age=gt.16&order=age.desc")
        expect(rows(page)).to_have_count(3)
        page.get_by_role("button", name="Explain").click()
        expect(page.locator(".panel")).to_be_visible()

    def conflict():
        page.goto(f"{url}/#/tables/heroes/doc?id=%22robin%22")
        text = editor(page, "Document robin")
        text.fill(text.input_value().replace("Dick", "Jason"))
        stage.service.must("PATCH", "/tables/heroes/docs/robin", {"age": stage.service.must("GET", "/tables/heroes/docs/robin")["age"] + 1})
        expect(page.locator(".history ins")).to_be_visible()
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".sides")).to_be_visible()

    def result():
        page.goto(f"{url}/#/reql")
        editor(page, "Query").fill("r.table('heroes')\n  .filter(r.row('age').gt(16))\n  .orderBy(r.desc('age'))")
        page.get_by_label("Show as").select_option("table")
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".result tbody tr")).to_have_count(3)

    def wrong():
        page.goto(f"{url}/#/reql?again")
        editor(page, "Query").fill("r.table('heroes')\n  .map(hero => hero('name').add(1))")
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".layer mark")).to_be_visible()

    def figures():
        page.goto(f"{url}/#/service")
        line = page.locator(".plot", has_text="Requests").locator("polyline")
        wait("points", lambda: len((line.get_attribute("points") or "").split()) >= 3)

    def go(path, heading):
        page.goto(f"{url}/{path}")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()

    def tables_and_indexes():
        go("#/", "Tables")
        expect(page.get_by_role("row", name="heroes").get_by_role("cell").first).to_have_text("3")
        page.get_by_label("Indexes of heroes").click()
        expect(page.get_by_role("button", name="Create index")).to_be_visible()

    yield page, {
        "tables": tables_and_indexes, "documents": grid, "document": conflict, "new": lambda: go("#/tables/heroes/new", "new"),
        "reql": result, "reql-error": wrong, "service": figures, "import": lambda: go("#/load", "Import"),
        "api": lambda: go("docs", "Schemas"),
    }


@check
def accessible(stage):
    """axe finds nothing serious in any view, light or dark, wide or narrow; pictures are taken."""
    from axe_playwright_python.sync_playwright import Axe

    stage.service.fill("heroes", HEROES)
    stage.service.must("PUT", "/tables/heroes/indexes/age", {"fields": ["age"]})
    stage.service.must("GET", "/tables")
    for page, all_views in views(stage):
        for name, show in all_views.items():
            show()
            for scheme in ["light", "dark"]:
                for width, height in [(1100, 760), (360, 740)]:
                    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                    page.set_viewport_size({"width": width, "height": height})
                    page.evaluate("scrollTo(0, 0)")
                    page.wait_for_timeout(150)
                    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"
                    # The policy lets nothing in, so the checker comes by way of the debugger.
                    results = axe(page)
                    bad = [one for one in results["violations"] if one["impact"] in ("serious", "critical")]
                    told = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in bad]
                    assert not bad, f"{name}, {scheme}, {width}: {told}"
                    if SHOTS:
                        suffix = "" if width == 1100 else "-narrow"
                        page.screenshot(path=SHOTS / f"{name}-{scheme}{suffix}.png")


def axe(page):
    """Runs axe-core in a page."""
    import axe_playwright_python

    source = next(pathlib.Path(axe_playwright_python.__file__).parent.glob("axe.min.js")).read_text()
    page.evaluate(source)
    return page.evaluate("axe.run()")


@check
def small(stage):
    """Everything that the page loads has 300 kB at most, compressed, and comes from here."""
    page = stage.page()
    expect(page.get_by_role("heading", name="Tables", exact=True)).to_be_visible()
    total = page.evaluate("""[...performance.getEntriesByType("resource"), ...performance.getEntriesByType("navigation")]
        .filter((one) => !/tables|openapi|metrics/.test(one.name.split("/").pop())).reduce((sum, one) => sum + one.encodedBodySize, 0)""")
    print(f"    {total} bytes")
    assert 5_000 < total < 300_000, total


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
            database.kill()
            expect(page.locator(".live.on")).to_have_count(0)
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


def with_users(chromium):
    """With `auth`, the page shows what its user may see and nothing else, and keeps no secret."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        database = Database(directory, port, password="secret")
        service = Service(RDB_HOST=f"127.0.0.1:{port}", RDB_PASSWORD="secret", APP_AUTH="database")
        service.authorization = "admin:secret"
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
            dialog.get_by_label("User").fill("ada")
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
            kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
            assert "quite secret" not in kept and "Basic" not in kept, kept
            page.reload()
            expect(page.get_by_role("dialog")).to_be_visible()
            stage.close()
        finally:
            service.kill()
            database.kill()


def main():
    global SHOTS
    arguments = sys.argv[1:]
    SHOTS = None
    if "--shots" in arguments:
        at = arguments.index("--shots")
        SHOTS = pathlib.Path(arguments[at + 1])
        SHOTS.mkdir(parents=True, exist_ok=True)
        del arguments[at:at + 2]
    failed = []
    with browser() as chromium:
        for run in [*CHECKS, with_own_database, with_users]:
            if arguments and run.__name__ not in arguments:
                continue
            began = time.monotonic()
            try:
                if run in CHECKS:
                    service = Service()
                    stage = Stage(chromium, service)
                    try:
                        run(stage)
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
