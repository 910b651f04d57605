"""Prints what the server of pytest-tcpclient costs: see README.rst in this directory."""

from __future__ import annotations

import argparse
import os
import sys

import connections
import suites
import wire
from table import Row, render

BACKENDS = ("asyncio", "trio")

GROUPS = {
    "wire": wire.wire,
    "growth": wire.growth,
    "connections": connections.connections,
    "memory": wire.memory,
    "suite": suites.suite,
    "loading": suites.loading,
}


#: glibc moves these limits by what has been freed before. A conversation that ran earlier in
#: the process would decide how a later one allocates, and make it up to twice as slow.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024),
}


def main() -> int:
    """Measure, print the table, and return how many targets were missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller data")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="only this one")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.groups or GROUPS:
        for backend in arguments.backend or BACKENDS:
            print(f"{name}, {backend} ...", file=sys.stderr)
            rows += GROUPS[name](backend, arguments.quick)
    print(render(rows))
    return sum(row.verdict == "MISSED" for row in rows)


def with_fixed_allocator() -> None:
    """Start again with the limits of the allocator set, which it reads only at the start."""
    if ALLOCATOR.items() - os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})


if __name__ == "__main__":
    with_fixed_allocator()
    sys.exit(main())
