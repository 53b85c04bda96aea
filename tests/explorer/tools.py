"""Checks of the console, the service's figures, import and export, and of what documents, crowds and outages do to the page."""

import json
import pathlib
import re
import tempfile
import time

from bench import wait
from playwright.sync_api import expect
from stage import HEROES, check, completions, editor, rows


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
    # Options, by Ctrl+Space; fields, once a grid has shown them.
    page.goto(f"{stage.service.url}/#/tables/heroes")
    expect(rows(page)).to_have_count(3)
    page.goto(f"{stage.service.url}/#/reql")
    text.fill("")
    text.press_sequentially("r.table('heroes').filter({}, {de")
    expect(completions(page).get_by_role("option", name="default", exact=True)).to_be_visible()
    text.press("Escape")
    text.press_sequentially("fault: true}).pluck('")
    text.press("Control+Space")
    expect(completions(page).get_by_role("option", name="age", exact=True)).to_be_visible()
    text.press("Escape")
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
    other = stage.page()
    asked = []
    other.on("request", lambda request: asked.append(request.post_data) if request.url.endswith("/reql") else None)
    other.goto(f"{stage.service.url}/#/reql?q=r.table('heroes').delete()")
    expect(editor(other, "Query")).to_have_value("r.table('heroes').delete()")
    editor(other, "Query").fill("r.expr(1)")
    other.get_by_role("button", name="Run").click()
    expect(other.get_by_text(re.compile(r"^1 row, \d+ ms$"))).to_be_visible()
    assert asked == ["r.expr(1)"]
    assert len(stage.service.must("GET", "/tables/heroes/docs")) == 4


@check
def half_way(stage):
    """A query that fails after its first rows: those are shown, and why and where it broke off."""
    page = stage.page("#/reql")
    text = editor(page, "Query")
    for at in range(10):
        text.fill(f"r.range(99999).map(n =>\n  r.branch(n.lt({50000 + at}), n, n.add('{at}')))")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_text(re.compile(r"^\d+ rows, \d+ ms, then it broke off$"))).to_be_visible()
        expect(page.locator(".layer mark")).to_have_text(f"n.add('{at}')")
        expect(page.get_by_role("alert")).to_contain_text("Expected type NUMBER but found STRING.")
    assert "problem" not in page.locator(".result").inner_text()
    # A feed whose table goes away.
    stage.service.fill("gone", [{"id": 1}])
    text.fill("r.table('gone').changes({includeInitial: true})")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text(re.compile("^1 row, .*following"))).to_be_visible()
    stage.service.must("DELETE", "/tables/gone")
    expect(page.get_by_text(re.compile("^1 row, .*then it broke off$"))).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Changefeed aborted")


@check
def service(stage):
    """Figures that go on, live queries that are open, the settings."""
    stage.service.fill("heroes", HEROES)
    grid = stage.page("#/tables/heroes")
    expect(grid.locator(".live.on")).to_be_visible()
    # A second stream of the same one is no further live query.
    other = stage.page("#/tables/heroes")
    expect(other.locator(".live.on")).to_be_visible()
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
            # A quote within a cell is text, as for the service; other separators; lines that end as they may.
            file.write_bytes(b'id;size\r\n1;5,5" nail\r\n2;"5"" ;nail"\r3;"a" b"c\n\n4;"\n5;x"\n')
            page.locator("input[type=file]").set_input_files(file)
            page.get_by_label("Into table").fill("nails")
            page.get_by_label("Separator").select_option(";")
            page.get_by_role("button", name="Import").click()
            expect(page.get_by_text("4 documents are written, 0 are faulty. That is all.")).to_be_visible()
            sizes = {row["id"]: row["size"] for row in stage.service.must("GET", "/tables/nails/docs")}
            assert sizes == {1: '5,5" nail', 2: '5" ;nail', 3: 'a b"c', 4: "\n5;x"}, sizes
            file.write_text('id\tsize\n5\tx\n6\t"open\n7\tx\n')
            page.locator("input[type=file]").set_input_files(file)
            page.get_by_label("Separator").select_option("tab")
            page.get_by_role("button", name="Import").click()
            expect(page.get_by_text("1 documents are written, 1 are faulty. That is all.")).to_be_visible()
            expect(page.get_by_role("row", name=re.compile("^3 "))).to_contain_text("quote")


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
    for summary in page.locator(".grid td > details > summary").all():
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
    refused = page.evaluate("""() => new Promise((refused) => {
        document.addEventListener("securitypolicyviolation", (event) => refused(event.effectiveDirective), { once: true });
        const one = document.createElement('div');
        one.innerHTML = "<img src=data:, onload='window.ran = 1' onerror='window.ran = 1'><p onclick='window.ran = 1'>x</p>";
        document.body.append(one);
        one.lastChild.click();
    })""")
    assert refused.startswith(("script-src", "img-src")) and page.evaluate("window.ran") is None, refused
    for path in ["/", "/docs"]:
        policy = page.request.get(stage.service.url + path, headers={"Accept": "text/html"}).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy, policy
    # That is what the browser complains about here.
    stage.watches[-1].complaints.clear()


def frames(service, page):
    """Writes and scrolls for some seconds. Returns the time that 99 of 100 frames kept to, in milliseconds, and the longest
    time for which the page kept a processor busy at once."""
    page.evaluate("window.frames_ = []")
    page.context.browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"])
    end = time.monotonic() + 4
    n = 0
    while time.monotonic() < end:
        service.must("PATCH", f"/tables/many/docs/{n % 100}", {"age": int(end) + n})
        page.mouse.wheel(0, 200 if n % 20 < 10 else -200)
        n += 1
        time.sleep(0.02)
    events = json.loads(page.context.browser.stop_tracing())["traceEvents"]
    main = {(one["pid"], one["tid"]) for one in events if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"}
    busy = [one["tdur"] / 1000 for one in events if (one["pid"], one["tid"]) in main and "tdur" in one]
    taken = sorted(page.evaluate("window.frames_"))
    return taken[int(len(taken) * 0.99)], max(busy)


@check
def large(stage):
    """100,000 documents, and a writer: a frame takes less than 50 ms, the page less than 100 MB."""
    stage.service.fill("many", [{"id": n, "name": f"Hero {n}", "age": n % 90, "at": {"x": n, "y": [n, n]}, "text": "x" * 40} for n in range(100_000)])
    page = stage.page("#/tables/many?limit=100")
    expect(rows(page)).to_have_count(100)
    expect(page.locator(".live.on")).to_be_visible()
    page.evaluate("""() => {
        let last = performance.now();
        window.frames_ = [];
        const frame = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(frame); };
        requestAnimationFrame(frame);
    }""")
    rounds = [frames(stage.service, page) for _ in range(3)]
    page.evaluate("window.gc()")
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    told = ", ".join(f"{taken:.0f} ({busy:.0f} busy)" for taken, busy in rounds)
    print(f"    frames below {told} ms, heap {heap:.1f} MiB")
    # Whoever else uses the machine takes time from the browser, but doesn't make it busier.
    assert min(taken for taken, _ in rounds) < 50 or min(busy for _, busy in rounds) < 50, "a frame takes too long"
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
