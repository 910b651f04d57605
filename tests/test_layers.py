"""The laws of the layers and of the tests, read off the source itself.

import-linter holds the finer laws of the layers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_tcpclient

SOURCE = Path(pytest_tcpclient.__file__).parent
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}

TESTS = {path.name: path for path in Path(__file__).parent.rglob("test_*.py")}

#: The lower half: no I/O, no clock, no tasks.
LOWER = {
    "_checked",
    "_contents",
    "_conversation",
    "_cuts",
    "_errors",
    "_failure",
    "_framings",
    "_handle",
    "_location",
    "_matchers",
    "_options",
    "_pairing",
    "_report",
    "_report.data",
    "_report.hints",
    "_report.message",
    "_report.objects",
    "_report.picture",
    "_report.script",
    "_report.tls",
    "_rule",
    "_script",
    "_server_script",
    "_steps",
    "_surroundings",
    "_tls_setting",
    "_traceback",
    "_transcript",
}

#: The modules between the two lines: anyio, but no pytest.
MIDDLE = {
    "_address",
    "_alarm",
    "_asyncio_streams",
    "_block",
    "_blocked_loop",
    "_blocking",
    "_body",
    "_bridge",
    "_certificates",
    "_engine",
    "_event_loop",
    "_factory",
    "_hooks",
    "_host",
    "_interlude",
    "_listening",
    "_opening",
    "_performer",
    "_refusal",
    "_reception",
    "_run",
    "_server",
    "_supervisor",
    "_tls",
    "_transport",
    "_verdict",
    "_watch",
    "framing",
}

#: The modules above both lines.
UPPER = {"_outcome", "_runners", "plugin"}

ASYNC = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)


def tree(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """What a module imports, anywhere: modules of ours without the name of the package."""
    parts = module.split(".")
    inside = len(parts) if MODULES[module].name == "__init__.py" else len(parts) - 1
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: inside + 1 - node.level] if node.level else []
            base = [*above, node.module] if node.module else above
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in MODULES else ".".join(base)


def outside(module: str) -> set[str]:
    """The top-level packages of others that a module imports."""
    ours = {name.partition(".")[0] for name in MODULES}
    return {name.partition(".")[0] for name in imports(module)} - ours


def test_every_module_has_its_place() -> None:
    """A new module is entered here, and so in one of the layers."""
    assert set(MODULES) - {"__init__"} == LOWER | MIDDLE | UPPER


@pytest.mark.parametrize("module", sorted(LOWER))
def test_the_lower_half_knows_of_no_network(module: str) -> None:
    """The rules import neither an event loop, nor pytest, nor a socket, nor a clock."""
    forbidden = {
        "anyio",
        "asyncio",
        "pytest",
        "select",
        "socket",
        "ssl",
        "threading",
        "time",
        "trio",
    }
    assert outside(module).isdisjoint(forbidden)


@pytest.mark.parametrize("module", sorted(LOWER))
def test_the_lower_half_imports_nothing_of_the_upper(module: str) -> None:
    """Imports go downwards only."""
    assert (MIDDLE | UPPER).isdisjoint(imports(module))


@pytest.mark.parametrize("module", sorted(MIDDLE))
def test_only_the_uppermost_modules_know_pytest(module: str) -> None:
    """A server works without pytest."""
    assert "pytest" not in outside(module)
    assert UPPER.isdisjoint(imports(module))


@pytest.mark.parametrize("module", ["_conversation", "_matchers", "_pairing", "_report"])
def test_the_rules_await_nothing(module: str) -> None:
    """What decides and what describes has neither ``async def`` nor ``await``."""
    assert not [node.lineno for node in ast.walk(tree(module)) if isinstance(node, ASYNC)]


def test_the_errors_import_nothing_of_ours() -> None:
    """Every module may raise them."""
    assert set(imports("_errors")).isdisjoint(MODULES)


def test_the_package_itself_imports_nothing_when_loaded() -> None:
    """``__init__`` is lazy: at its top level it imports types only, for type checkers."""
    top = [node for node in tree("__init__").body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {node.module for node in top if isinstance(node, ast.ImportFrom)} == {
        "__future__",
        "typing",
    }
    assert len(top) == 2


@pytest.mark.parametrize("name", sorted(TESTS))
def test_every_test_has_a_sentence(name: str) -> None:
    """The docstring of a test says which behaviour it holds."""
    functions = [
        node
        for node in ast.walk(ast.parse(TESTS[name].read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    tests = [node for node in functions if node.name.startswith("test_")]
    assert [node.name for node in tests if not ast.get_docstring(node)] == []
