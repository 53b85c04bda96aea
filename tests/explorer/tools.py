"""Checks of the console, the service's figures, import and export, and of what documents, crowds and outages do to the page."""

import json
import os
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
    page.evaluate("() => { const one = document.createElement('div'); one.innerHTML = \"<img src=x onerror='window.ran = 1'>\"; document.body.append(one); }")
    time.sleep(0.5)
    assert page.evaluate("window.ran") is None
    # That is what the browser complains about here.
    stage.watches[-1].complaints.clear()


def frames(service, page):
    """Writes and scrolls for some seconds; returns the time that 99 of 100 frames kept to, in milliseconds.

    With others at work on the machine, whose turns count as the browser's time, it is 95 of 100.
    """
    page.evaluate("window.frames_ = []")
    end = time.monotonic() + 4
    n = 0
    while time.monotonic() < end:
        service.must("PATCH", f"/tables/many/docs/{n % 100}", {"age": int(end) + n})
        page.mouse.wheel(0, 200 if n % 20 < 10 else -200)
        n += 1
        time.sleep(0.02)
    taken = sorted(page.evaluate("window.frames_"))
    share = 0.99 if os.getloadavg()[0] <= os.cpu_count() else 0.95
    return taken[int(len(taken) * share)]


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
    # Whoever else uses the machine takes its time from the browser, so one of three rounds has to do.
    rounds = [frames(stage.service, page) for _ in range(3)]
    page.evaluate("window.gc()")
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    print(f"    frames below {', '.join(f'{one:.0f}' for one in rounds)} ms, heap {heap:.1f} MiB")
    assert min(rounds) < 50, "a frame takes too long"
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
