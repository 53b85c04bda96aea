#!/usr/bin/env python3
"""Measures what a large table costs: time to open, to get, to page; the file, and memory.

    million.py DAEMON [DOCUMENTS [DIRECTORY]]

DAEMON is a release build of the binary; DOCUMENTS of 500 bytes each, a million by default, get random keys and one index.
A DIRECTORY is kept, and what is in it used again. Needs the package `rethinkdb`, like dump_restore.py.

Times of queries are the server's processor time, which other load on the machine disturbs little.
"""

import os
import pathlib
import random
import signal
import sys
import tempfile
import time

from dump_restore import Daemon
from rethinkdb import r

SMALL = 1000
PAD = 415


def documents(start, end):
    """Made by the server: a random key, a number in no order, and text up to 500 bytes of JSON."""
    return r.range(start, end).map(
        lambda n: {
            "id": r.uuid(n.coerce_to("string")),
            "n": n,
            "a": (n * 7919) % 1_000_003,
            "pad": r.expr("x" * PAD),
        }
    )


def fill(conn, name, count):
    r.table_create(name).run(conn)
    start = time.monotonic()
    for first in range(0, count, 20_000):
        done = r.table(name).insert(documents(first, min(first + 20_000, count)), durability="soft").run(conn)
        assert done["errors"] == 0, done
    r.table(name).sync().run(conn)
    inserted = time.monotonic()
    r.table(name).index_create("a").run(conn)
    r.table(name).index_wait().run(conn)
    return inserted - start, time.monotonic() - inserted


def processor_us(daemon, run, times=5000):
    """What one of these queries costs on average."""
    before = spent_us(daemon)
    for _ in range(times):
        run()
    return (spent_us(daemon) - before) / times


def spent_us(daemon):
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 / os.sysconf("SC_CLK_TCK")


def latencies(daemon, conn, name, count):
    table = r.table(name)
    # All over the table, and hardly one of them twice.
    keys = list(table.sample(20_000)["id"].run(conn))
    numbers = range(count)
    queries = {
        "get": lambda: table.get(random.choice(keys)).run(conn),
        "order_by(index).limit(10)": lambda: list(table.order_by(index="a").limit(10).run(conn)),
        "between(index).limit(10)": lambda: list(
            table.between(random.choice(numbers) * 7919 % 1_000_003, r.maxval, index="a").limit(10).run(conn)
        ),
        "between(key).limit(10)": lambda: list(table.between(random.choice(keys), r.maxval).limit(10).run(conn)),
        "update, soft": lambda: table.get(random.choice(keys)).update({"u": random.random()}, durability="soft").run(conn),
    }
    return {query: processor_us(daemon, run) for query, run in queries.items()}


def memory(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith("Vm"))
    return {name: int(lines[name].split()[0]) // 1000 for name in ("VmRSS", "VmHWM")}


def opened(binary, directory):
    start = time.monotonic()
    daemon = Daemon(binary, directory)
    return daemon, (time.monotonic() - start) * 1000


def kill(daemon):
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()


def measure(binary, directory, count):
    file = directory / "reql.redb"
    if not file.exists():
        with Daemon(binary, directory) as daemon, daemon.connect() as conn:
            fill(conn, "small", SMALL)
            inserted, indexed = fill(conn, "large", count)
            print(f"inserting: {inserted:.0f} s, building the index: {indexed:.0f} s, memory {memory(daemon)} MB")
    daemon, took = opened(binary, directory)
    print(f"opening: {took:.0f} ms, memory {memory(daemon)} MB")
    with daemon, daemon.connect() as conn:
        size = r.table("large").limit(1000).avg(lambda row: row.to_json_string().count()).run(conn)
        print(f"file: {os.path.getsize(file) / 1e6:.0f} MB, {os.path.getsize(file) / (count * size):.2f} times the {size:.0f} bytes of each")
        small, large = latencies(daemon, conn, "small", SMALL), latencies(daemon, conn, "large", count)
        for name in small:
            print(f"{name}: {small[name]:.0f} us of {SMALL}, {large[name]:.0f} us of {count}: {large[name] / small[name]:.2f} times")
        r.table("large").sum("n").run(conn)
        r.table("large").order_by(index="a").sum("n").run(conn)
        print(f"memory after scans: {memory(daemon)} MB")
    for what, pause in (("amid writes", 0), ("idle for 2 s", 2)):
        daemon, took = opened(binary, directory)
        with daemon.connect() as conn:
            r.table("large").between(0, 50, index="a").update({"u": random.random()}).run(conn)
            time.sleep(pause)
            kill(daemon)
        daemon, took = opened(binary, directory)
        print(f"opening after kill -9, {what}: {took:.0f} ms, memory {memory(daemon)} MB")
        with daemon, daemon.connect() as conn:
            assert r.table("large").count().run(conn) == count


def main():
    binary = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else temporary)
        measure(binary, directory, count)


if __name__ == "__main__":
    main()
