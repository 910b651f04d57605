"""Functions of ours in the classes of others, for as long as somebody wants to be told.

Each hook passes through what it is given and what comes of it. The hooks are there while
somebody watches, and gone without a trace when the last one has stopped. A test that runs
pytest itself has them twice: each puts back what it found.

Somebody else may put something on top of a hook, and take it away when the last watcher has
stopped: so the hook is back, has nobody to tell, and goes with those who watch next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import FunctionType, MethodDescriptorType
from typing import Any, Generic, NamedTuple, TypeVar

Watcher = TypeVar("Watcher")

#: Given what stands there, and the list of those who watch at any time: the function that is to
#: stand there instead.
Make = Callable[[Callable[..., Any], list[Watcher]], Callable[..., Any]]

#: Stands for a method that a class has only from another one.
_INHERITED = object()


class _Hook(NamedTuple):
    owner: type
    name: str
    #: What the class had there itself.
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
        self._lock = threading.Lock()

    def add(self, watcher: Watcher) -> None:
        """Begin to tell a watcher what happens."""
        with self._lock:
            if not self.watchers:
                for place in self.places:
                    self._put(*place)
            self.watchers.append(watcher)

    def remove(self, watcher: Watcher) -> None:
        """Tell a watcher nothing more. The last one takes the hooks with it."""
        with self._lock:
            if watcher not in self.watchers:
                return
            self.watchers.remove(watcher)
            if self.watchers:
                return
            taken_out = [hook.take_out() for hook in self._hooks.values()]
            if not all(taken_out):
                # Somebody has put something on top of one, which calls it. So that it tells
                # nobody anything from now on, its list stays the empty one.
                self.watchers, self._hooks = [], {}

    def _put(self, owner: type, name: str, make: Make[Watcher]) -> None:
        own = vars(owner).get(name, _INHERITED)
        while getattr(own, "_hooks", None) is self:
            own = own._own  # A hook of ours that was put back after its time.
        original = getattr(super(owner, owner), name) if own is _INHERITED else own
        if not isinstance(original, FunctionType | MethodDescriptorType):
            return  # A stand-in of somebody else's, which is called in other ways.
        hook = self._hooks.get((owner, name))
        if hook is None or hook.original is not original or hook.own is not own:
            function: Any = wraps(original)(make(original, self.watchers))
            function._hooks, function._own = self, own
            hook = _Hook(owner, name, own, original, function)
            self._hooks[owner, name] = hook
        setattr(owner, name, hook.function)
