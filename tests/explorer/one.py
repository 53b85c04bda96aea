"""Checks of one document, of new ones, and of what becomes of them meanwhile."""

import json
import re

from playwright.sync_api import expect
from stage import HEROES, check, editor, rows


@check
def several(stage):
    """An array of new documents: those that aren't saved stay in the editor, with the reasons."""
    stage.service.fill("heroes", HEROES)
    page = stage.page("#/tables/heroes/new")
    text = editor(page, "New document")
    text.fill('[{"id": "batman"}, {"id": "batgirl"}, {"id": "robin"}]')
    page.get_by_role("button", name="Save").click()
    told = page.get_by_role("alert")
    expect(told).to_contain_text("1 of 3 documents is saved.")
    expect(told.get_by_role("listitem")).to_have_text(["conflict", "conflict"])
    assert json.loads(text.input_value()) == [{"id": "batman"}, {"id": "robin"}]
    text.fill(text.input_value().replace("batman", "catwoman").replace("robin", "oracle"))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("2 documents are saved.")).to_be_visible()
    expect(rows(page)).to_have_count(6)
    # What can't be read at all isn't saved in part.
    page.goto(f"{stage.service.url}/#/tables/heroes/new")
    text.fill('[{"id": "alfred"}, 1]')
    page.get_by_role("button", name="Save").click()
    expect(told).to_contain_text("bad-request")
    assert json.loads(text.input_value()) == [{"id": "alfred"}, 1]


# What follows live queries is cut off as long as `cut` is aborted.
CUTTING = """
    window.cut = new AbortController();
    const send = window.fetch;
    window.fetch = (path, options) => options?.headers?.Accept !== "text/event-stream" ? send(path, options)
        : window.cut.signal.aborted ? Promise.reject(new TypeError("It is cut off."))
        : send(path, { ...options, signal: AbortSignal.any([options.signal, window.cut.signal]) });
"""


@check
def interrupted(stage):
    """What changes while the stream is interrupted is in the editor and in the history as soon as it is back."""
    stage.service.fill("heroes", HEROES)
    page = stage.page()
    page.add_init_script(CUTTING)
    page.goto(f"{stage.service.url}/#/tables/heroes/doc?id=%22batman%22")
    page.reload()
    text, following = editor(page, "Document batman"), page.locator(".live.on")
    entries = page.get_by_label("What changed while this was open").get_by_role("listitem")
    expect(following).to_be_visible()
    expect(entries).to_have_text(["Nothing has changed yet."])
    page.evaluate("cut.abort()")
    expect(following).to_have_count(0)
    stage.service.must("PATCH", "/tables/heroes/docs/batman", {"age": 39})
    page.evaluate("cut = new AbortController()")
    expect(following).to_be_visible()
    expect(entries).to_have_count(1)
    expect(entries.first).to_contain_text("change age: 38 39")
    expect(text).to_have_value(re.compile('"age": 39'))
    # One's own changes stay, and one is told.
    text.fill(text.input_value().replace("Bruce", "Mine"))
    page.evaluate("cut.abort()")
    expect(following).to_have_count(0)
    stage.service.must("DELETE", "/tables/heroes/docs/batman")
    page.evaluate("cut = new AbortController()")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("remove")
    expect(text).to_have_value(re.compile('"name": "Mine"'))


@check
def document(stage):
    """One document: errors at their place, If-Match, both versions side by side, history, delete."""
    stage.service.fill("heroes", HEROES)
    page = stage.page("#/tables/heroes")
    # Times and places are readable.
    expect(rows(page).filter(has_text="superman")).to_contain_text("1970-01-01 02:00:01.500 +02:00")
    expect(rows(page).filter(has_text="superman")).to_contain_text("point 2.35, 48.85")
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
    # Theirs may be the better one, and what was deleted may be wanted after all.
    mine = text.input_value()
    text.fill(mine.replace("Kal-El", "Nobody"))
    stage.service.must("PATCH", "/tables/heroes/docs/superman", {"name": "Kal"})
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Take theirs").click()
    expect(text).to_have_value(re.compile('"name": "Kal"'))
    text.fill(mine)
    stage.service.must("DELETE", "/tables/heroes/docs/superman")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Save it anew").click()
    expect(page.get_by_text("The document is saved.")).to_be_visible()
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
