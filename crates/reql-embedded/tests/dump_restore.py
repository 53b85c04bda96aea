#!/usr/bin/env python3
"""Moves data between daemons with the tools of the Python package, and compares what arrives. An archive that
`rethinkdb-dump` made of RethinkDB 2.4.4 (`data/`) arrives as it was, too: its functions byte for byte.

    dump_restore.py DAEMON [SERVICE]

DAEMON is the binary; with SERVICE, `warp-reql`, archives go to and fro between its commands and RethinkDB's tools. These, `rethinkdb-dump`, `-restore`, `-export` and `-import`,
are those beside the interpreter that runs this, so it belongs into a virtual environment with the package `rethinkdb`.
"""

import csv
import datetime
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import tarfile
import tempfile

from rethinkdb import r

ARCHIVE = pathlib.Path(__file__).parent / "data/rethinkdb-2.4.4-dump.tar.gz"
TOOLS = pathlib.Path(sys.executable).parent
PATIENCE = 120


class Daemon:
    """A server on a free port, with its data in a directory of its own."""

    def __init__(self, binary, directory, *flags):
        arguments = [binary, "--directory", directory, "--driver-port", "0", "--no-update-check", *flags]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.match(r"Listening for client driver connections on port (\d+)", line):
                self.port = int(found.group(1))
                break
        else:
            raise SystemExit("the daemon did not start")

    def connect(self, password=""):
        return r.connect("127.0.0.1", self.port, password=password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)


def tool(name, daemon, *arguments):
    """Runs one of the tools; what it prints shows only if it fails."""
    command = [TOOLS / f"rethinkdb-{name}", "-c", f"127.0.0.1:{daemon.port}", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
    if done.returncode != 0 or "Traceback" in done.stdout:
        raise SystemExit(f"rethinkdb-{name} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def command(service, daemon, *arguments, terminal=False):
    """Runs a command of the service, and returns what it tells on standard error."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "RDB_"))}
    line = {"args": [service, *map(str, arguments)], "env": {**clean, "RDB_HOST": f"127.0.0.1:{daemon.port}", "COLUMNS": "100"}}
    if terminal:
        own, other = pty.openpty()
        code = subprocess.run(**line, stderr=other, timeout=PATIENCE).returncode
        os.close(other)
        told = b""
        # Linux has an error where others have the end.
        try:
            while part := os.read(own, 65536):
                told += part
        except OSError:
            os.close(own)
        told = told.decode()
    else:
        done = subprocess.run(**line, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        code, told = done.returncode, done.stderr
    if code != 0:
        raise SystemExit(f"{arguments} ended with {code}:\n{told}")
    return told


def offset(hours):
    return datetime.timezone(datetime.timedelta(hours=hours))


def documents():
    """One document for each kind of value, then many plain ones."""
    values = {
        "null": None,
        "booleans": [True, False],
        "numbers": [0, -0.0, 1, -1.5, 2**31, -(2**53), 2**53 - 1, 0.1, 1e300, -1e-300, 5e-324, 123456789.123456789],
        "texts": ["", "a", "ß\u0301\u200d\U0001f3f3\ufe0f", "a\0b\0", "\"\\/\b\f\n\r\t", "\u2028\u2029\ufeff", "x" * 100_000],
        "times": [
            r.iso8601("2024-02-29T12:30:15.250+05:30"),
            r.iso8601("1969-12-31T23:59:59.999-11:00"),
            r.epoch_time(0),
            r.epoch_time(1e10 + 0.001),
            r.time(1400, 1, 1, "Z"),
            r.time(9999, 12, 31, 23, 59, 59, "+14:00"),
        ],
        "binary": [r.binary(b""), r.binary(bytes(range(256)) * 50)],
        "geometry": [
            r.point(-122.42, 37.77),
            r.line([0, 0], [1.5, 1.5], [-3, 8]),
            r.polygon([0, 0], [0, 10], [10, 10], [10, 0]).polygon_sub(r.polygon([2, 2], [2, 4], [4, 4], [4, 2])),
            r.circle([10, 10], 1000, num_vertices=12),
        ],
        "nested": {"a": [{"b": [[], {}, [[[{"c": None}]]]]}], "": "an empty key", "$odd.key": 1, "ключ": "значение"},
    }
    keys = [
        "text", "", "a\u0301", -7, 2**53 - 1, 1.5, False, [1, ["two", False]],
        r.epoch_time(1.5), r.binary(b"\0\xff"), r.iso8601("2001-02-03T04:05:06+07:00"),
    ]
    yield from ({"id": name, "kind": "value", "value": value} for name, value in values.items())
    yield from ({"id": key, "kind": "key", "n": number} for number, key in enumerate(keys))
    for n in range(3000):
        yield {
            "id": f"plain-{n}",
            "n": n,
            "name": {"first": f"f{n % 10}", "last": f"l{n % 7}"},
            "tags": [f"t{n % 3}", f"t{n % 5}"],
            "place": r.point(n % 170, n % 80),
            "at": datetime.datetime.fromtimestamp(n * 1e4, offset(n % 12)),
        }


def fill(conn):
    r.db_create("shop").run(conn)
    r.db("shop").table_create("things").run(conn)
    r.db("shop").table_create("by_code", primary_key="code", durability="soft").run(conn)
    r.db("shop").table_create("empty").run(conn)
    r.table_create("other").run(conn)
    things = r.db("shop").table("things")
    things.index_create("n").run(conn)
    things.index_create("name", [r.row["name"]["last"], r.row["name"]["first"]]).run(conn)
    things.index_create("tags", multi=True).run(conn)
    things.index_create("place", geo=True).run(conn)
    things.index_create("at").run(conn)
    things.index_create("pairs", lambda row: row["tags"].map(lambda tag: [tag, row["n"]]), multi=True).run(conn)
    things.index_create("branch", lambda row: r.branch(row["n"] % 2 == 0, "even", row["n"].coerce_to("string"))).run(conn)
    r.db("shop").table("empty").index_create("unused index", lambda row: row["x"].default(0)).run(conn)
    things.set_write_hook(lambda context, old, new: r.branch(new.eq(None), None, new.merge({"hooked": True}))).run(conn)
    inserted = 0
    rows = list(documents())
    for start in range(0, len(rows), 500):
        inserted += things.insert(rows[start : start + 500], ignore_write_hook=True).run(conn)["inserted"]
    assert inserted == len(rows), inserted
    r.db("shop").table("by_code").insert([{"code": n, "text": f"text, \"{n}\"\nline"} for n in range(700)]).run(conn)
    r.table("other").insert({"id": 1}).run(conn)
    # A copy that the server makes by itself, in many batches.
    r.db("shop").table_create("copies").run(conn)
    copied = r.db("shop").table("copies").insert(things).run(conn)
    assert copied["inserted"] == len(rows), copied
    same(table_of(conn, "shop", "things")["rows"], table_of(conn, "shop", "copies")["rows"], "copied")
    things.index_wait().run(conn)


RAW = {"time_format": "raw", "binary_format": "raw"}


def text_of(row):
    """A row to be compared, without the mark of the hooks. The tool sets a table's hook while its last rows may still be on
    their way, and doesn't ask for them to be passed by it, so whether those have the mark is chance, with RethinkDB as well."""
    return json.dumps({field: value for field, value in row.items() if field != "hooked"}, sort_keys=True)


def table_of(conn, db, name):
    """All that a dump has to carry of a table."""
    table = r.db(db).table(name)
    info = table.info().pluck("primary_key").run(conn)
    rows = {json.dumps(row[info["primary_key"]], sort_keys=True): row for row in table.run(conn, **RAW)}
    indexes = table.index_status().without("outdated").run(conn, **RAW)
    hook = table.get_write_hook().run(conn, **RAW)
    return {
        "info": info,
        "rows": {key: text_of(row) for key, row in rows.items()},
        "indexes": {index["index"]: index for index in indexes},
        "hook": hook,
    }


def contents(conn):
    names = [(db, name) for db in r.db_list().run(conn) if db != "rethinkdb" for name in r.db(db).table_list().run(conn)]
    return {f"{db}.{name}": table_of(conn, db, name) for db, name in names}


def same(before, after, what):
    """Both are equal, or the first difference is told."""
    if type(before) is dict and type(after) is dict:
        for key in sorted(before.keys() | after.keys()):
            same(before.get(key), after.get(key), f"{what} {key}")
    elif before != after:
        raise SystemExit(f"{what}: {before!r:.500} became {after!r:.500}")


def answers(conn):
    """Queries that use the indexes."""
    things = r.db("shop").table("things")
    return {
        "n": things.between(10, 20, index="n").count().run(conn),
        "name": things.get_all(["l3", "f4"], index="name").count().run(conn),
        "tags": things.get_all("t1", index="tags").count().run(conn),
        "place": things.get_intersecting(r.circle([10, 10], 300, unit="km"), index="place").count().run(conn),
        "at": list(things.order_by(index="at").limit(3)["id"].run(conn)),
        "pairs": things.get_all(["t4", 4], index="pairs").count().run(conn),
        "branch": things.get_all("even", index="branch").count().run(conn),
    }


def dump_and_restore(binary, source, before, directory):
    archive = directory / "dump.tar.gz"
    tool("dump", source, "-f", archive)
    with Daemon(binary, directory / "restored") as target:
        tool("restore", target, archive)
        with target.connect() as conn, source.connect() as original:
            same(before, contents(conn), "restored")
            same(answers(original), answers(conn), "answers")
        tool("restore", target, archive, "--force", "-i", "shop.by_code")
        with target.connect() as conn:
            same(before, contents(conn), "restored twice")
    with Daemon(binary, directory / "part") as target:
        tool("restore", target, archive, "-i", "shop.by_code", "--no-secondary-indexes")
        with target.connect() as conn:
            assert list(contents(conn)) == ["shop.by_code"], "only what was asked for"


def by_commands(binary, service, source, before, directory):
    """The service's commands write what RethinkDB's tools read, read what they write, and read their own."""
    own, theirs = directory / "own.tar.gz", directory / "dump.tar.gz"
    told = command(service, source, "dump", own)
    assert "\x1b" not in told and "\r" not in told, f"no terminal: {told!r}"
    assert f"shop.things: {len(before['shop.things']['rows'])} documents" in told.splitlines(), told
    same(before, archived(own), "dumped by the command")
    for name, archive, restore in [
        ("own to theirs", own, lambda target: tool("restore", target, own)),
        ("theirs to own", theirs, lambda target: command(service, target, "restore", theirs)),
        ("own to own", own, lambda target: command(service, target, "restore", own)),
    ]:
        with Daemon(binary, directory / name) as target:
            restore(target)
            with target.connect() as conn, source.connect() as original:
                same(before, contents(conn), name)
                same(answers(original), answers(conn), f"answers, {name}")
            if archive is own:
                told = command(service, target, "restore", own, "--force", terminal=True)
                assert "\x1b" in told and "%" in told, f"a terminal has a bar: {told!r}"
    expected = archived(ARCHIVE)
    with Daemon(binary, directory / "rethinkdb's") as target:
        command(service, target, "restore", ARCHIVE)
        with target.connect() as conn:
            same(expected, contents(conn), "from RethinkDB, by the command")
        command(service, target, "dump", directory / "again.tar.gz")
        same(expected, archived(directory / "again.tar.gz"), "from RethinkDB, and dumped by the command")


def archived(archive):
    """The tables of an archive, as `contents` has them."""
    tables = {}
    with tarfile.open(archive) as files:
        for member in files.getmembers():
            path = pathlib.PurePath(member.name)
            if path.suffix != ".info":
                continue
            info = json.load(files.extractfile(member))
            rows = json.load(files.extractfile(str(path.with_suffix(".json"))))
            indexes = [{key: value for key, value in index.items() if key != "outdated"} for index in info["indexes"]]
            tables[f"{info['db']['name']}.{info['name']}"] = {
                "info": {"primary_key": info["primary_key"]},
                "rows": {
                    json.dumps(row[info["primary_key"]], sort_keys=True): text_of(row) for row in rows
                },
                "indexes": {index["index"]: index for index in indexes},
                "hook": info["write_hook"],
            }
    return tables


def from_rethinkdb(binary, directory):
    """Restores what RethinkDB dumped, dumps that, and restores it once more."""
    before, archive = archived(ARCHIVE), ARCHIVE
    assert sum(len(table["indexes"]) for table in before.values()) == 5 and before["shop.orders"]["hook"]
    for name in ("first", "second"):
        with Daemon(binary, directory / name) as target:
            tool("restore", target, archive)
            with target.connect() as conn:
                same(before, contents(conn), f"from RethinkDB, {name}")
            archive = directory / f"{name}.tar.gz"
            tool("dump", target, "-f", archive)
            same(before, archived(archive), f"from RethinkDB, {name} dump")


def export_and_import(binary, source, before, directory):
    tool("export", source, "-d", directory / "json", "-e", "shop")
    with Daemon(binary, directory / "imported") as target:
        tool("import", target, "-d", directory / "json")
        with target.connect() as conn:
            shop = {name: table for name, table in before.items() if name.startswith("shop.")}
            same(shop, contents(conn), "imported")
        # One file, and CSV, which has only texts.
        tool("export", source, "-d", directory / "csv", "-e", "shop.by_code", "--format", "csv", "--fields", "code,text")
        with open(directory / "csv/shop/by_code.csv", newline="", encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) == 700, "rows in CSV"
        with target.connect() as conn:
            # The tool checks the primary key that it is told, but creates tables without it.
            r.db("shop").table_create("csv", primary_key="code").run(conn)
        tool("import", target, "-f", directory / "csv/shop/by_code.csv", "--table", "shop.csv", "--pkey", "code", "--format", "csv", "--force")
        tool("import", target, "-f", directory / "json/shop/things.json", "--table", "shop.one", "--format", "json")
        with target.connect() as conn:
            texts = {str(n): f"text, \"{n}\"\nline" for n in range(700)}
            arrived = {row["code"]: row["text"] for row in r.db("shop").table("csv").run(conn)}
            same(texts, arrived, "CSV")
            same(before["shop.things"]["rows"], table_of(conn, "shop", "one")["rows"], "one file")


def rebuild_indexes(source):
    tool("index-rebuild", source, "-r", "shop.things")


def with_password(binary, source, before, directory):
    password = directory / "password"
    password.write_text("pass word\n", encoding="utf-8")
    tool("dump", source, "-f", directory / "other.tar.gz", "-e", "test")
    with Daemon(binary, directory / "locked", "--initial-password", "pass word") as target:
        tool("restore", target, directory / "other.tar.gz", "--password-file", password)
        with target.connect("pass word") as conn:
            same({"test.other": before["test.other"]}, contents(conn), "with a password")


def main():
    binary, service = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        with Daemon(binary, directory / "source") as source:
            with source.connect() as conn:
                fill(conn)
                before = contents(conn)
            count = sum(len(table["rows"]) for table in before.values())
            dump_and_restore(binary, source, before, directory)
            if service:
                by_commands(binary, service, source, before, directory)
            export_and_import(binary, source, before, directory)
            with_password(binary, source, before, directory)
            from_rethinkdb(binary, directory)
            rebuild_indexes(source)
            with source.connect() as conn:
                same(before, contents(conn), "the source")
    print(f"{len(before)} tables with {count} documents arrived as they were.")


if __name__ == "__main__":
    main()
