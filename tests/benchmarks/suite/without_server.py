"""Tests that need no server."""

from __future__ import annotations


def test_nothing() -> None:
    pass
