"""Checks of tables and documents."""

import json
import re
import subprocess

from bench import wait
from playwright.sync_api import expect
from stage import HEROES, check, completions, editor, rows


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


    # A query, by keys.
    reach("link", "ReQL")
    page.keyboard.press("Enter")
    reach("textbox", "Query")
    page.keyboard.press("Control+A")
    page.keyboard.type("r.table('heroes').coun")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text(re.compile(r"^1 row, \d+ ms$"))).to_be_visible()
    # A table is dropped; the dialog has the focus, and gives it back.
    reach("link", "Tables")
    page.keyboard.press("Enter")
    reach("button", "Indexes of heroes")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No indexes yet.")).to_be_visible()
    reach("button", "Drop table heroes")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Drop table heroes")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("heroes")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="There are no tables yet")).to_be_visible()


@check
def skip(stage):
    """The link to the content leads there, and nothing else; other addresses after the # are none of a view."""
    stage.service.fill("heroes", HEROES)
    page = stage.page("#/tables/heroes/new")
    text = editor(page, "New document")
    text.fill('{"id": "typed"}')
    address = page.url
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(text).to_have_value('{"id": "typed"}')
    assert page.url == address, page.url
    page.evaluate("new Promise((done) => { addEventListener('hashchange', () => setTimeout(done), { once: true }); location.hash = 'main'; })")
    expect(text).to_have_value('{"id": "typed"}')


def building(page):
    """Has the indexes of the page be half built until the returned function is called."""
    def half(route):
        answer = route.fetch()
        if route.request.method != "GET":
            return route.fulfill(response=answer)
        return route.fulfill(response=answer, json=[{**index, "ready": False, "progress": 0.5} for index in answer.json()])

    page.route("**/indexes", half)
    return lambda: page.unroute("**/indexes", half)


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
    built = building(page)
    page.get_by_role("button", name="Create index").click()
    progress = page.get_by_role("progressbar", name="Progress of city_name_age")
    expect(progress).to_be_visible()
    assert progress.evaluate("bar => bar.value") == 0.5
    built()
    expect(page.locator(".within").get_by_role("row", name="city_name_age")).to_contain_text("ready")
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
    # Nested values are folded, and unfold.
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
    # What is wrong with a filter is told, once.
    filter_.fill("age=nonsense.1")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("`age`")
    expect(page.get_by_text("not following", exact=True)).to_be_visible()


@check
def names(stage):
    """Names of fields with signs that mean something in a filter: completed, sent and shown again."""
    stage.service.fill("odd", [{"id": 1, "a=b": 1, "c&d": {"e,f": 1, "%26": 1}}, {"id": 2, "a=b": 2, "c&d": {"e,f": 1, "%26": 1}}])
    page = stage.page("#/tables/odd")
    expect(rows(page)).to_have_count(2)
    filter_ = page.get_by_label("Filter")
    filter_.press_sequentially('"a=')
    completions(page).get_by_role("option", name='"a=b"', exact=True).click()
    filter_.press_sequentially("e")
    completions(page).get_by_role("option", name="eq.", exact=True).click()
    filter_.press_sequentially('1&"c&d"."e')
    completions(page).get_by_role("option", name='"c&d"."e,f"', exact=True).click()
    filter_.press_sequentially('eq.1&"c&d"."%2526"=eq.1')
    shown = '"a=b"=eq.1&"c%26d"."e,f"=eq.1&"c%26d"."%2526"=eq.1'
    for _ in range(2):
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(re.compile("a%3Db%22=eq.1&%22c%26d%22.%22e%2Cf%22=eq.1&%22c%26d%22.%22%2526%22=eq.1$"))
        expect(rows(page)).to_have_count(1)
        expect(filter_).to_have_value(shown)
    # In a group, too; a quote within a value is text.
    filter_.fill('or=(')
    filter_.press_sequentially('"c&d"."e')
    completions(page).get_by_role("option", name='"c&d"."e,f"', exact=True).click()
    filter_.press_sequentially('eq.2,id=eq.2)&"a=b"=ne.O"Brien')
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first.get_by_role("link")).to_have_text("2")
    # A name without quotes may have an equals sign, in an address.
    page.goto(f"{stage.service.url}/#/tables/odd?a%3Db=eq.2")
    expect(filter_).to_have_value("a%3Db=eq.2")
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile("a%3Db=eq.2$"))


@check
def strange(stage):
    """Tables of many columns, long texts, and ids of all kinds: everything stays readable."""
    kinds = ["a" * 127, "", "..", "<b>", "a/b", "42", 42, True, ["x", 1], ["y", 2], {"$reql_type$": "BINARY", "data": "AAEC"}]
    stage.service.fill("ids", [{"id": id, "mark": "odd"} for id in kinds])
    page = stage.page("#/tables/ids")
    expect(rows(page)).to_have_count(len(kinds))
    for at in range(len(kinds)):
        boxes = [cell.bounding_box() for cell in [rows(page).nth(at).get_by_role("link"), rows(page).nth(at).get_by_role("cell").first]]
        assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"], f"an id lies over what is beside it: {boxes}"
    assert len({link.inner_text() for link in rows(page).get_by_role("link").all()}) == len(kinds) - 1
    stage.service.fill("wide", [{"id": 1, "a_text": "long " * 50_000, **{f"field{n}": n for n in range(200)}}])
    page.goto(f"{stage.service.url}/#/tables/wide")
    expect(page.get_by_role("columnheader")).to_have_count(40)
    expect(page.get_by_text("162 more fields aren't shown")).to_be_visible()
    page.goto(f"{stage.service.url}/#/reql")
    editor(page, "Query").fill("r.table('wide')")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="all 250,002 characters").click()
    expect(page.get_by_role("button", name="all 250,002 characters")).to_have_count(0)
    page.get_by_label("Show as").select_option("table")
    expect(page.get_by_text("162 more fields aren't shown here.")).to_be_visible()
    editor(page, "Query").fill("r.table('wide').filter({id: 2})")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("No rows.")).to_be_visible()


@check
def live(stage):
    """Two browsers on one table: what one changes flashes in the other, unless that is held still."""
    stage.service.fill("heroes", HEROES)
    one, two = stage.page("#/tables/heroes"), stage.page("#/tables/heroes/doc?id=%22batman%22")
    three = stage.page("#/tables/heroes")
    expect(three.locator(".live.on")).to_have_text("following")
    expect(one.locator(".live.on")).to_have_text("following")
    text = editor(two, "Document batman")
    text.fill(text.input_value().replace("38", "39"))
    two.get_by_role("button", name="Save").click()
    expect(one.locator("tr.flash")).to_contain_text("39")
    one.get_by_label("Live").uncheck()
    expect(one.get_by_text("held still")).to_be_visible()
    stage.service.must("DELETE", "/tables/heroes/docs/robin")
    expect(rows(three)).to_have_count(2)
    stage.service.must("PATCH", "/tables/heroes/docs/batman", {"age": 40})
    expect(rows(three).filter(has_text="batman")).to_contain_text("40")
    # The others have been told of both by now.
    assert rows(one).count() == 3 and "39" in rows(one).filter(has_text="batman").inner_text()
    one.get_by_label("Live").check()
    expect(rows(one)).to_have_count(2)
