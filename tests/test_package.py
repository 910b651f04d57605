"""What the package shows to the outside: its names, their documentation, its entry point."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import pytest_tcpclient
from pytest_tcpclient import framing, plugin

SOURCE = Path(pytest_tcpclient.__file__).parent
DISTRIBUTION = "pytest-tcpclient"


def run_python(code: str) -> str:
    """What a new interpreter prints that runs this code."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The public list


def test_all_is_sorted_and_without_doubles() -> None:
    """The public list is easy to read: constants, classes, functions, as ruff sorts them."""

    def kind(name: str) -> int:
        return 0 if name.isupper() else 1 if name[0].isupper() else 2

    names = set(pytest_tcpclient.__all__)
    assert pytest_tcpclient.__all__ == sorted(names, key=lambda name: (kind(name), name))


@pytest.mark.parametrize("name", pytest_tcpclient.__all__)
def test_every_listed_name_can_be_imported(name: str) -> None:
    """What stands in the public list exists, under that name."""
    public = getattr(pytest_tcpclient, name)
    assert getattr(public, "__name__", name) == name


def test_type_checkers_see_the_same_names() -> None:
    """The imports for type checkers, the table of the lazy ones and the list agree."""
    module = ast.parse(inspect.getsource(pytest_tcpclient))
    seen = {
        alias.asname or alias.name: imported.module
        for block in module.body
        if isinstance(block, ast.If)
        for imported in block.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
    }
    assert seen == pytest_tcpclient._HOMES
    assert set(seen) == set(pytest_tcpclient.__all__)


def test_a_star_import_gets_the_listed_names() -> None:
    """``from pytest_tcpclient import *`` is the public list."""
    names: dict[str, object] = {}
    exec("from pytest_tcpclient import *", names)
    assert set(names) - {"__builtins__"} == set(pytest_tcpclient.__all__)


def test_dir_shows_the_names_before_they_are_loaded() -> None:
    """Completion in a shell finds the lazy names."""
    assert set(pytest_tcpclient.__all__) <= set(dir(pytest_tcpclient))


def test_another_name_is_an_attribute_error() -> None:
    """A wrong name is worded as for any other module."""
    name = "TCPServer"
    with pytest.raises(AttributeError, match="no attribute 'TCPServer'"):
        getattr(pytest_tcpclient, name)


def test_only_two_modules_are_public() -> None:
    """Every other module is private by its name."""
    public = {
        path.stem
        for path in SOURCE.iterdir()
        if not path.name.startswith(("_", ".")) and path.suffix != ".typed"
    }
    assert public == {"framing", "plugin"}


# Lazy loading


def test_loading_the_plugin_loads_no_engine() -> None:
    """A run that does not use the fixtures pays for neither anyio nor the engine."""
    loaded = run_python(
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import pytest_tcpclient, pytest_tcpclient.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    ).split()
    assert "pytest_tcpclient.plugin" in loaded
    heavy = {"anyio", "asyncio", "pytest_asyncio", "socket", "ssl", "trio"}
    assert heavy.isdisjoint(name.partition(".")[0] for name in loaded)
    ours = {name.removeprefix("pytest_tcpclient.") for name in loaded if "tcpclient" in name}
    assert ours.isdisjoint(("_conversation", "_engine", "_report", "_server", "_supervisor"))


def test_the_first_use_of_a_name_loads_it() -> None:
    """Until then the package is all but empty."""
    printed = run_python(
        "import sys, pytest_tcpclient\n"
        "def ours(): return len([name for name in sys.modules if 'pytest_tcpclient' in name])\n"
        "print(ours())\n"
        "pytest_tcpclient.TcpServer\n"
        "print(ours() > 1)"
    )
    assert printed.split() == ["1", "True"]


# Documentation


def public_members() -> list[tuple[str, object]]:
    """Every public thing, and every public method and property of it."""
    found: list[tuple[str, object]] = [("pytest_tcpclient", pytest_tcpclient)]
    found += [(module.__name__, module) for module in (framing, plugin)]
    found += [(name, getattr(framing, name)) for name in framing.__all__]
    found += [(name, getattr(plugin, name)) for name in plugin._FIXTURES]
    for name in pytest_tcpclient.__all__:
        public = getattr(pytest_tcpclient, name)
        found.append((name, public))
        for own, member in inspect.getmembers(public):
            function = member.fget if isinstance(member, property) else member
            ours = str(getattr(function, "__module__", "")).startswith("pytest_tcpclient")
            if ours and not own.startswith("_"):
                found.append((f"{name}.{own}", member))
    return found


@pytest.mark.parametrize(
    "member", [pytest.param(member, id=name) for name, member in public_members()]
)
def test_every_public_thing_has_a_docstring(member: object) -> None:
    """And it begins with a sentence."""
    text = inspect.getdoc(member)
    assert text
    summary = " ".join(text.split("\n\n")[0].split())
    assert re.search(r"[.!?:]\)?$", summary), summary


# The distribution


def test_the_entry_point_is_the_plugin() -> None:
    """pytest finds the plugin by itself."""
    points = metadata.distribution(DISTRIBUTION).entry_points
    [point] = [point for point in points if point.group == "pytest11"]
    assert (point.name, point.load()) == ("tcpclient", plugin)


def test_the_installed_version_is_that_of_the_project() -> None:
    """The metadata under which the package is installed is not stale."""
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    [version] = re.findall(r'^version = "(.+)"$', text, re.MULTILINE)
    assert metadata.version(DISTRIBUTION) == version


def test_the_package_is_typed() -> None:
    """PEP 561: type checkers read the annotations."""
    assert (SOURCE / "py.typed").is_file()


def test_the_names_are_found_by_pickle() -> None:
    """A class is pickled by its name: what pytest-xdist sends must be found again."""
    assert pickle.loads(pickle.dumps(pytest_tcpclient.ANY)) is pytest_tcpclient.ANY
    for name in {*pytest_tcpclient.__all__} - {"ANY", "NEED_DATA"}:
        public = getattr(pytest_tcpclient, name)
        assert pickle.loads(pickle.dumps(public)) is public
        assert getattr(importlib.import_module(public.__module__), name) is public
