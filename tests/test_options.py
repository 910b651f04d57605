"""What can be set for a server."""

from __future__ import annotations

import ipaddress
import math
from pathlib import Path

import pytest

from pytest_tcpclient import TLS
from pytest_tcpclient._options import CHECKS, Options

NAMES = (
    "host, port, path, tls, timeout, framing, newline, name, check_pending, check_unexpected, "
    "check_extra_connections, check_left_open, check_streams, strict"
)


def test_the_defaults() -> None:
    """By default a server listens on localhost, waits for a second and checks everything."""
    assert Options() == Options(
        host=None,
        port=0,
        timeout=1.0,
        name=None,
        check_pending=True,
        check_unexpected=True,
        check_extra_connections=True,
        check_left_open=True,
        check_streams=None,
    )


def test_options_cannot_be_changed() -> None:
    """The options of one test cannot leak into another one."""
    with pytest.raises(AttributeError):
        Options().port = 1  # type: ignore[misc]


def test_setting_some_keeps_the_others() -> None:
    """What is not named stays as it was, and the original is left alone."""
    original = Options(port=5000, check_pending=False)
    settings = {"timeout": 2, "name": "redis"}
    changed = original.but(settings)
    assert changed == Options(port=5000, timeout=2.0, name="redis", check_pending=False)
    assert original == Options(port=5000, check_pending=False)
    assert settings == {"timeout": 2, "name": "redis"}


def test_setting_nothing_changes_nothing() -> None:
    """No settings make the same options."""
    assert Options(port=7).but({}) == Options(port=7)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("host", None, None),
        ("host", "localhost", None),
        ("host", "127.0.0.1", "127.0.0.1"),
        ("host", "0.0.0.0", "0.0.0.0"),
        ("host", "::1", "::1"),
        ("host", "0:0:0:0:0:0:0:1", "::1"),
        ("port", 0, 0),
        ("port", 65535, 65535),
        ("path", None, None),
        ("path", True, True),
        ("path", "/tmp/s", "/tmp/s"),
        ("path", Path("/tmp/s"), "/tmp/s"),
        ("tls", None, None),
        ("tls", False, None),
        ("tls", True, TLS()),
        ("tls", TLS(client_cert=True), TLS(client_cert=True)),
        ("timeout", 0, 0.0),
        ("timeout", math.inf, math.inf),
        ("name", None, None),
        ("name", "redis", "redis"),
        ("check_pending", False, False),
        ("check_unexpected", False, False),
        ("check_extra_connections", False, False),
        ("check_left_open", False, False),
        ("check_streams", False, False),
        ("check_streams", True, True),
    ],
)
def test_values_that_are_taken(name: str, value: object, stored: object) -> None:
    """Each option takes the values within its bounds."""
    assert getattr(Options().but({name: value}), name) == stored


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("host", 5, TypeError, "host must be an IP address, not 5"),
        ("host", b"::1", TypeError, "host must be an IP address, not b'::1'"),
        (
            "host",
            ipaddress.ip_address("::1"),
            TypeError,
            "host must be an IP address, not IPv6Address('::1')",
        ),
        (
            "host",
            "example.org",
            ValueError,
            "host must be an IP address or \"localhost\" (no name is looked up), not 'example.org'",
        ),
        (
            "host",
            "",
            ValueError,
            "host must be an IP address or \"localhost\" (no name is looked up), not ''",
        ),
        ("port", "80", TypeError, "port must be a port number, not '80'"),
        ("port", None, TypeError, "port must be a port number, not None"),
        ("port", True, TypeError, "port must be a port number, not True"),
        ("port", 80.0, TypeError, "port must be a port number, not 80.0"),
        ("port", -1, ValueError, "port must be a port number, 0 to 65535, not -1"),
        ("port", 65536, ValueError, "port must be a port number, 0 to 65535, not 65536"),
        ("path", 5, TypeError, "path must be a path, or True for a new one, not 5"),
        ("path", False, TypeError, "path must be a path, or True for a new one, not False"),
        ("path", b"/tmp/s", TypeError, "path must be a path, or True for a new one, not b'/tmp/s'"),
        ("path", "", ValueError, "path must be the path of a file, not ''"),
        ("path", "\0s", ValueError, "path must be the path of a file, not '\\x00s'"),
        ("tls", "1.3", TypeError, "tls must be True, a TLS(...) or an ssl.SSLContext, not '1.3'"),
        ("timeout", None, TypeError, "timeout must be a number of seconds, not None"),
        ("timeout", -1, ValueError, "timeout must be a number of seconds, zero or more, not -1"),
        ("name", 5, TypeError, "name must be a str, not 5"),
        ("strict", 0, TypeError, "strict must be True or False, not 0"),
        *((check, None, TypeError, f"{check} must be True or False, not None") for check in CHECKS),
    ],
)
def test_values_that_are_refused(
    name: str, value: object, error: type[Exception], message: str
) -> None:
    """A value of the wrong type or out of bounds is refused, with the name of the option."""
    with pytest.raises(error) as caught:
        Options().but({name: value})
    assert str(caught.value) == message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_name_that_is_no_option() -> None:
    """A misspelt option is refused, and those that exist are named."""
    with pytest.raises(TypeError) as caught:
        Options().but({"timeout": 1, "time_out": 2})
    assert str(caught.value) == f"there is no option 'time_out'; there are {NAMES}"


def test_the_names_of_the_checks() -> None:
    """There are five, of which the last is about the client itself."""
    assert CHECKS == (
        "check_pending",
        "check_unexpected",
        "check_extra_connections",
        "check_left_open",
        "check_streams",
    )


def test_not_strict_is_all_the_checks_off() -> None:
    """strict=False switches off all the checks, and nothing else."""
    assert Options(port=5).but({"strict": False}) == Options(
        port=5,
        check_pending=False,
        check_unexpected=False,
        check_extra_connections=False,
        check_left_open=False,
        check_streams=False,
    )


def test_strict_is_all_the_checks_on() -> None:
    """strict=True switches on what a marker above had switched off, where it is on by default."""
    assert Options().but({"strict": False}).but({"strict": True}) == Options()
    assert Options(check_streams=True).but({"strict": True}) == Options()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("strict", [True, False])
def test_a_single_check_wins_over_strict(check: str, strict: bool) -> None:
    """A check that is named itself is what it says, in whatever order the two stand."""
    for settings in ({"strict": strict, check: not strict}, {check: not strict, "strict": strict}):
        options = Options().but(settings)
        others = dict.fromkeys(CHECKS, strict) | {"check_streams": None if strict else False}
        assert {each: getattr(options, each) for each in CHECKS} == others | {check: not strict}


@pytest.mark.parametrize(("name", "value"), [("host", "::1"), ("port", 5000)])
def test_a_port_or_a_path(name: str, value: object) -> None:
    """A server has one of them; what is said later takes the place of what was said before."""
    with pytest.raises(ValueError, match=rf"^a server listens on a path or on a {name}, not on "):
        Options().but({"path": "/tmp/s", name: value})
    on_path = Options().but({name: value}).but({"path": "/tmp/s"})
    assert on_path == Options(path="/tmp/s")
    assert on_path.but({name: value}) == Options().but({name: value})
    assert Options().but({"path": None, name: value}) == Options().but({name: value})
