"""What a test ends with: the failure of a server, or what the test itself raised.

Rules:

1. The first failure wins, over later ones and over what the client raised because of it.
2. An error that the body raised before any failure stands; and so it does where all that
   is wrong is that the connection ended: a client closes it while the error unwinds, and a
   ``join()`` beside it may see that first.
3. A failure that ``join()`` has raised is *settled*. If the test caught it, it has dealt
   with it; if not, it is the verdict. So it is if a client has waited on, until it was woken
   by a reset, and the test ends with that.
4. What a function of the script has raised is a failure like any other, but the test ends
   with that error itself.
5. Skips, expected failures, Ctrl-C and the like pass through, whatever else is known.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import anyio

from ._errors import ScriptMismatch, add_note
from ._event_loop import is_cancellation
from ._failure import Failure, Raised, Standing
from ._report import aside, origin, render, standing
from ._traceback import Spot, spots_of_error, traceback_of

#: What a client raises when its connection ends. (Not OSError: a timeout of its own is one.)
_CONNECTION_ERRORS = (ConnectionError, EOFError, anyio.EndOfStream, anyio.BrokenResourceError)


@dataclass(frozen=True)
class Rules:
    """What there is to know of whoever runs the test.

    :ivar error: makes the error for a failure, of its text.
    :ivar ending: the same for a client that swallows every ``Exception``.
    :ivar passing: exceptions that end a test by the wish of its author: skip, Ctrl-C.
    :ivar hint_in_line: whether the first line of a failure holds the hint, as in 0.7.
    :ivar check_streams: whether the client's asyncio streams are checked, as in 0.7, where no
        option says so.
    :ivar grace: seconds that the body may go on after a failure.
    :ivar factor: every timeout is multiplied by this.
    """

    error: Callable[[str, Failure], ScriptMismatch] = ScriptMismatch
    ending: Callable[[str, Failure], BaseException] = ScriptMismatch
    passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit, GeneratorExit)
    hint_in_line: bool = False
    check_streams: bool = False
    grace: float = 0.5
    factor: float = 1.0


class Verdict:
    """Keeps the failures of one run of one test, and decides what it ends with."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._failures: list[Failure] = []
        self._settled: set[int] = set()
        self._woken: set[int] = set()
        self._given: BaseException | None = None
        self._foreign: BaseException | None = None
        #: After so many seconds the body of the test was cancelled, if it was.
        self.cancelled: float | None = None

    @property
    def failure(self) -> Failure | None:
        """The first failure that is not settled."""
        return next(filter(self.is_open, self._failures), None)

    def add(self, failure: Failure) -> None:
        """A server has failed."""
        self._failures.append(failure)

    def add_foreign(self, error: BaseException) -> None:
        """What a signal handler has raised, for the test, where it hit upon a server."""
        if self.failure is None:
            self._foreign = error

    def settle(self, failure: Failure) -> BaseException:
        """The error for a failure, which is settled by being raised."""
        self._settled.add(id(failure))
        return self._error(failure)

    def reopen(self, failure: Failure) -> None:
        """It was raised where nobody could catch it."""
        self._settled.discard(id(failure))

    def woken(self, failure: Failure) -> None:
        """Though it was settled, a client waited on, and its connection was reset."""
        self._woken.add(id(failure))

    def is_open(self, failure: Failure) -> bool:
        """Whether the failure is one of this run, and was not raised where it could be caught."""
        known = any(each is failure for each in self._failures)
        return known and id(failure) not in self._settled

    def give(
        self,
        raised: BaseException | None,
        body: FrameType | None,
        where: Callable[[Failure], list[Spot]],
    ) -> BaseException | None:
        """What the test ends with; ``None`` if it passes.

        :param raised: what its body or a fixture has raised.
        :param body: the frame of its body.
        :param where: the line of the test for a failure, where nothing was raised.
        """
        if isinstance(raised, self._rules.passing):
            return raised
        found = list(leaves(raised))
        if self._given is not None and self._given in found:
            return self._given  # A runner has wrapped it.
        for leaf in found:
            if isinstance(leaf, self._rules.passing):
                return leaf
        own = next((leaf for leaf in found if self._is_own(leaf)), None)
        others = [leaf for leaf in found if not self._is_own(leaf) and not is_cancellation(leaf)]
        failure = self._first(own)
        if failure is None and raised is not None and _is_connection_error(raised):
            failure = next((each for each in self._failures if id(each) in self._woken), None)
        if failure is None:
            # pytest-trio wraps what a fixture has raised, that of a server of its own as well.
            alone = found[0] if len(found) == 1 else None
            return alone if isinstance(alone, ScriptMismatch) else raised
        rest = raised if own is None else _without(own, raised)
        if failure.only_the_end and rest is not None and not _is_connection_error(rest):
            add_note(rest, aside(failure))
            self._settled.add(id(failure))
            return rest
        error_of_script = _raised_by(failure)
        if own is not None:
            spots = _spots_of_join(own, raised, body)
        elif raised is None:
            spots = where(failure)
        else:
            spots = next(filter(None, map(spots_of_error, (raised, *others))), [])
        if error_of_script is not None and own is None:
            spots += spots_of_error(error_of_script)
        self._settled.update(map(id, self._failures))
        error = self._foreign or self._error(failure, others)
        if error is not error_of_script:
            error.__suppress_context__ = True
        self._given = error.with_traceback(traceback_of(spots))
        return self._given

    def has_caused(self, raised: BaseException) -> bool:
        """Whether what the teardown has raised is only that a client found its connection reset."""
        return self._given is not None and all(map(_is_lost_connection, leaves(raised)))

    def give_again(self, why: str) -> BaseException | None:
        """The failure that was the verdict before, if there was one, with a note."""
        if self._given is not None:
            add_note(self._given, why)
        return self._given

    def explain(self, raised: BaseException, standings: Iterable[Standing]) -> None:
        """Note on an error of the test's own where the scripts of its servers stand."""
        if isinstance(raised, self._rules.passing) or self._is_own(raised):
            return
        for each in map(standing, standings):
            add_note(raised, each)

    def _is_own(self, error: BaseException) -> bool:
        failure = getattr(error, "failure", None)
        if isinstance(failure, Failure):
            return failure in self._failures
        return any(error is _raised_by(failure) for failure in self._failures)

    def _first(self, own: BaseException | None) -> Failure | None:
        """The failure that wins: the first of those not settled and the one just raised."""
        for failure in self._failures:
            just_raised = failure is getattr(own, "failure", None) or (
                own is not None and own is _raised_by(failure)
            )
            if just_raised or self.is_open(failure):
                return failure
        return None

    def mismatch(self, failure: Failure) -> ScriptMismatch:
        """What a client is told of a failure, which is not settled by that."""
        return self._rules.error(self._text(failure), failure)

    def ending(self, failure: Failure) -> BaseException:
        """What a client is told of it that goes on although it has been told."""
        return self._rules.ending(self._text(failure), failure)

    def _text(self, failure: Failure, then: Sequence[str] = ()) -> str:
        return render(failure, hint_in_line=self._rules.hint_in_line, then=then)

    def _error(self, failure: Failure, others: Iterable[BaseException] = ()) -> BaseException:
        error = _raised_by(failure)
        if error is not None:
            add_note(error, origin(failure))
            return error
        raised = ["".join(traceback.format_exception_only(other)).strip() for other in others]
        then = [f"raised {error}" for error in raised]
        if self.cancelled is not None:
            then.append(f"waited, and was cancelled after {self.cancelled:g} s.")
        return self._rules.error(self._text(failure, then), failure)


def _spots_of_join(
    own: BaseException, raised: BaseException | None, body: FrameType | None
) -> list[Spot]:
    """Where the test was when ``join()`` raised."""
    spots = spots_of_error(own)
    if raised is None or raised is own or any(spot.frame is body for spot in spots):
        return spots
    # It raised in another task. The test itself was where it waited for that task.
    return spots_of_error(raised) + spots


def leaves(raised: BaseException | None) -> Iterator[BaseException]:
    """The exceptions themselves, out of the groups around them."""
    if raised is None:
        return
    inner = getattr(raised, "exceptions", None)
    if isinstance(inner, tuple):
        for each in inner:
            yield from leaves(each)
    else:
        yield raised


def _without(own: BaseException, raised: BaseException | None) -> BaseException | None:
    """What else is in the group that was raised, if it is one."""
    split = getattr(raised, "split", None)
    rest: BaseException | None = split(lambda each: each is own)[1] if split else None
    return rest if any(not is_cancellation(leaf) for leaf in leaves(rest)) else None


def _connection_errors() -> tuple[type[BaseException], ...]:
    trio = sys.modules.get("trio")
    return (*_CONNECTION_ERRORS, trio.BrokenResourceError) if trio else _CONNECTION_ERRORS


def _is_connection_error(raised: BaseException) -> bool:
    """Whether an exception says that a connection ended, or was raised because of that."""
    kinds = _connection_errors()
    error: BaseException | None = raised
    while error is not None:
        if any(isinstance(leaf, kinds) for leaf in leaves(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_lost_connection(raised: BaseException) -> bool:
    """Whether it says nothing else, perhaps in the words of the client's library."""
    kinds = _connection_errors()
    error: BaseException | None = raised
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__
    return error is not None


def _raised_by(failure: Failure) -> BaseException | None:
    """The error of a function of the script that is the failure, if it is one."""
    return failure.problem.error if isinstance(failure.problem, Raised) else None
