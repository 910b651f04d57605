"""What all test modules share: the backends, and how a client connects."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
import trio  # noqa: F401 - pytester forgets what it imports: trio must not be imported twice

_UVLOOP = pytest.mark.skipif(
    importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
)


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=_UVLOOP),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request):
    """Every async test runs on all of them."""
    return request.param


@pytest.fixture
def long_grace(tcpserver_factory, monkeypatch):
    """After the failure a client can end what it has begun, on a slow machine, too."""
    supervisor = tcpserver_factory._supervisor
    monkeypatch.setattr(supervisor, "_rules", replace(supervisor._rules, grace=20))
