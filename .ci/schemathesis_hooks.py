"""Leaves out of schemathesis' requests those that no schema can judge, or that would be refused for nothing."""

import schemathesis

# What only live queries take, which aren't asked for here.
LIVE = ("initial", "ticket", "Last-Event-ID")


@schemathesis.hook
def before_load_schema(_context, raw_schema):
    for operations in raw_schema["paths"].values():
        of_get = operations.get("get", {})
        of_get["parameters"] = [it for it in of_get.get("parameters", []) if it["name"] not in LIVE]


@schemathesis.hook
def filter_case(_context, case):
    # All that JSON knows is text to CSV, and whether a text is a table, no schema of JSON can tell.
    return case.media_type != "text/csv"
