"""Functions of ours in the classes of others, for as long as somebody wants to be told.

Each hook passes through what it is given and what comes of it. The hooks are there while
somebody watches, and gone without a trace when the last one has stopped. A test that runs
pytest itself has them twice: each puts back what it found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, NamedTuple, TypeVar

Watcher = TypeVar("Watcher")

#: Given what stands there, and who is to be told: the function that is to stand there instead.
Make = Callable[[Callable[..., Any], list[Watcher]], Callable[..., Any]]

#: What a class does not have itself.
_INHERITED = object()


class _Hook(NamedTuple):
    owner: type
    name: str
    #: What the class has there itself, and what it thereby does.
    own: Any
    original: Callable[..., Any]
    function: Callable[..., Any]

    def take_out(self) -> bool:
        """Put back what was there. Return whether that could be done."""
        if vars(self.owner).get(self.name) is not self.function:
            return False
        if self.own is _INHERITED:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.own)
        return True


class Hooks(Generic[Watcher]):
    """Hooks of one kind.

    :param places: the methods that are observed: the class, the name, what makes the hook.
    """

    def __init__(self, *places: tuple[type, str, Make[Watcher]]) -> None:
        self.places = places
        self.watchers: list[Watcher] = []
        #: Made once: to make them costs more than to put them in.
        self._hooks: dict[tuple[type, str], _Hook] = {}

    def add(self, watcher: Watcher) -> None:
        """Begin to tell a watcher what happens."""
        if not self.watchers:
            for place in self.places:
                self._put(*place)
        self.watchers.append(watcher)

    def remove(self, watcher: Watcher) -> None:
        """Tell a watcher nothing more. The last one takes the hooks with it."""
        if watcher not in self.watchers:
            return
        self.watchers.remove(watcher)
        if self.watchers:
            return
        taken_out = [hook.take_out() for hook in self._hooks.values()]
        if not all(taken_out):
            # Somebody has put something on top of one, which calls it: nobody is told by that.
            self.watchers, self._hooks = [], {}

    def _put(self, owner: type, name: str, make: Make[Watcher]) -> None:
        original = getattr(owner, name)
        hook = self._hooks.get((owner, name))
        if hook is None or hook.original is not original:
            function = wraps(original)(make(original, self.watchers))
            hook = _Hook(owner, name, vars(owner).get(name, _INHERITED), original, function)
            self._hooks[owner, name] = hook
        setattr(owner, name, hook.function)
