"""The gallery: ways in which a client can be wrong, each with the whole text of its failure.

A file of ``gallery/`` is one of them: what the client does wrong, the test, and after ``---``
what a reader of the log gets, on asyncio and trio. Ports, times and paths are made alike.
To write the texts anew, and to look at the difference: ``TCPCLIENT_GALLERY=write pytest
tests/test_gallery.py -k asyncio``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from runs import DEFAULTS, NOT_WANTED

# Loaded here, so that it is loaded once: pytester forgets what a run has loaded.
import pytest_tcpclient._supervisor
import pytest_tcpclient.framing  # noqa: F401

GALLERY = Path(__file__).parent / "gallery"
CASES = sorted(path.stem for path in GALLERY.glob("*.txt"))

INI = DEFAULTS + "tcpclient_timeout = 0.2\ntcpclient_grace = 0.1\n"

WORLD = """
import contextlib, json, re, socket, ssl
import anyio, pytest
from clients import connect, reset
from pytest_tcpclient import any_of, in_any_order, line
from pytest_tcpclient.framing import Netstring

CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303") + b"random"
kept = []

def keep(client):
    kept.append(client)

class JsonLines:
    def encode(self, payload):
        return json.dumps(payload).encode() + b"\\n"

    def decode(self, buffer):
        text, newline, _ = buffer.partition(b"\\n")
        return (json.loads(text), len(text) + 1) if newline else None
"""

#: What every test needs, below it, so that its lines are counted from the first.
BELOW = """

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    yield {backend!r}
    while kept:
        kept.pop().close()
"""


def text_of(pytester: pytest.Pytester, source: str, backend: str) -> str:
    """The text of the only failure of a test, without what differs from run to run."""
    pytester.makeini(INI)
    pytester.makepyfile(world=WORLD, test_client=source + BELOW.format(backend=backend))
    quiet = [word for name in NOT_WANTED for word in ("-p", f"no:{name}")]
    record = pytester.inline_run(*quiet, "test_client.py")
    [report] = [each for each in record.getreports("pytest_runtest_logreport") if each.failed]
    text = report.longrepr.reprcrash.message
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"[\d,]+ of 50,000,000", "N of 50,000,000", text)
    # On a busy machine the event loop is late at times, which the report says.
    text = text.replace(", not counting while the event loop is blocked", "")
    return re.sub(r"\b\d+\.\d\d s\b", "0.00 s", text)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("case", CASES)
def test_the_text_of_a_failure(pytester: pytest.Pytester, case: str, backend: str) -> None:
    """It is the one that was reviewed, to the letter, and the same on both backends."""
    path = GALLERY / f"{case}.txt"
    if "tls" in case or case == "certificate_refused":
        pytest.importorskip("trustme")
    title, _, rest = path.read_text(encoding="utf-8").partition("\n\n")
    source, _, expected = rest.partition("\n---\n")
    actual = text_of(pytester, source, backend)
    if os.environ.get("TCPCLIENT_GALLERY") == "write":
        path.write_text(f"{title}\n\n{source}\n---\n{actual}\n", encoding="utf-8")
    assert actual == expected.rstrip("\n")


def test_the_gallery_is_large() -> None:
    """There are many ways to be wrong."""
    assert len(CASES) >= 40
