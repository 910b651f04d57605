"""The rules of the words, under every way in which bytes can be cut."""

from __future__ import annotations

import os

import pytest
from helpers import cut, play, verdict
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Client, clients

#: Enough for every day; ``EXAMPLES=20000 pytest -k no_cut`` looks further.
EXAMPLES = int(os.environ.get("EXAMPLES", "100"))


def hold_every_cut(client: Client, data: st.DataObject) -> None:
    """Cut anywhere, a script passes or fails as it does when all comes in one piece."""
    received, ending = client.data, client.ending
    wholly = play(client.steps, cut(received, []), ending, client.fresh_rules())
    ways = [range(1, len(received))]
    if len(received) > 2:
        ways.append(data.draw(st.lists(st.integers(1, len(received) - 1), unique=True)))
    for offsets in ways:
        piecewise = play(client.steps, cut(received, offsets), ending, client.fresh_rules())
        assert verdict(piecewise) == verdict(wholly)
    if wholly.conversation.limit is not None:
        wholly.conversation.time_out()
        piecewise.conversation.time_out()
        assert piecewise.conversation.failure == wholly.conversation.failure


@settings(deadline=None, max_examples=EXAMPLES)
@given(clients(), st.data())
def test_no_cut_changes_the_verdict(client: Client, data: st.DataObject) -> None:
    """Whatever is expected."""
    hold_every_cut(client, data)


@settings(deadline=None, max_examples=EXAMPLES)
@given(clients(optional=True), st.data())
def test_no_cut_changes_which_steps_are_skipped(client: Client, data: st.DataObject) -> None:
    """Whatever is optional."""
    hold_every_cut(client, data)


@settings(deadline=None, max_examples=EXAMPLES)
@given(clients(optional=True, rules=True), st.data())
def test_no_cut_changes_what_is_answered_in_the_background(
    client: Client, data: st.DataObject
) -> None:
    """Whichever rules apply."""
    hold_every_cut(client, data)
