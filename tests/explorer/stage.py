"""A service and a browser in front of it, and what checks find on its pages."""

import os
import re

from bench import PATIENCE, Watch
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
        if files := os.environ.get("FILES"):
            # Modules and styles as they stand there, so that a change needs no build.
            context.route(re.compile(r"/explorer/\w+\.(js|css)$"), lambda route: route.fulfill(path=f"{files}/{route.request.url.rsplit('/', 1)[1]}"))
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
