"""Checks of how every view looks: to axe, on narrow screens, in bytes; and pictures of them."""

import pathlib
import re

from bench import wait
from playwright.sync_api import expect
from stage import HEROES, check, editor, rows


def views(stage):
    """Every view with something in it, by name."""
    page = stage.page()
    url = stage.service.url

    def go(path, heading):
        page.goto(f"{url}/{path}")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()

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
        go("#/load", "Import")
        page.goto(f"{url}/#/reql")
        expect(editor(page, "Query")).to_have_value(re.compile("orderBy"))
        editor(page, "Query").fill("r.table('heroes')\n  .map(hero => hero('name').add(1))")
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".layer mark")).to_be_visible()

    def figures():
        page.goto(f"{url}/#/service")
        line = page.locator(".plot", has_text="Requests").locator("polyline")
        wait("points", lambda: len((line.get_attribute("points") or "").split()) >= 8)

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
def accessible(stage, shots=None):
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
                    # Two frames, after which all is drawn as it is now to be.
                    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
                    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"
                    # The policy lets nothing in, so the checker comes by way of the debugger.
                    results = axe(page)
                    bad = [one for one in results["violations"] if one["impact"] in ("serious", "critical")]
                    told = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in bad]
                    assert not bad, f"{name}, {scheme}, {width}: {told}"
                    if shots:
                        suffix = "" if width == 1100 else "-narrow"
                        page.screenshot(path=shots / f"{name}-{scheme}{suffix}.png")


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
