#!/usr/bin/env python3
"""Writes golden.json: the JSON that the official Python driver builds for each term and each option.

    python3 -m venv venv && venv/bin/pip install rethinkdb==2.4.10.post1 && venv/bin/python make.py

Each line of queries.txt is a name and an expression of Python. Variables are numbered anew from 1 in each query, in
the order in which they come.
"""

import json
import pathlib

from rethinkdb import RethinkDB
from rethinkdb.ast import ReQLEncoder

HERE = pathlib.Path(__file__).parent
FUNC, VAR, MAKE_ARRAY = 69, 10, 2


def renumber(term, known):
    if isinstance(term, list) and len(term) >= 2 and isinstance(term[1], list):
        kind, args, *options = term
        if kind == VAR:
            return [VAR, [known.setdefault(args[0], len(known) + 1)]]
        if kind == FUNC:
            numbers = [known.setdefault(number, len(known) + 1) for number in args[0][1]]
            return [FUNC, [[MAKE_ARRAY, numbers], renumber(args[1], known)]]
        args = [renumber(arg, known) for arg in args]
        return [kind, args, *[renumber(option, known) for option in options]]
    if isinstance(term, dict):
        return {key: renumber(value, known) for key, value in term.items()}
    return term


def main():
    lines = []
    for line in (HERE / "queries.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, python = line.split(None, 1)
        query = eval(python, {"r": RethinkDB(), "t": RethinkDB().table("t"), "users": RethinkDB().table("users")})
        wire = renumber(json.loads(ReQLEncoder().encode(query)), {})
        lines.append(json.dumps({"name": name, "wire": wire}, separators=(",", ":"), sort_keys=True))
    (HERE / "golden.json").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
