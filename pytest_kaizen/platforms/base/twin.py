"""One method for two clients: waited for in the one, awaited in the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from .background import BACKGROUND

P = ParamSpec("P")
T = TypeVar("T")


class Waits:
    """Marks the clients whose methods return when the work is done."""


class Awaits:
    """Marks the clients whose methods are awaited."""


class Twin(Generic[P, T]):
    """A method that is written once, with ``async def``, and belongs to both kinds of client.

    Arguments, their types and the result are seen by type checkers and editors as those of an
    ordinary method of either client.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        @functools.wraps(function)
        def waiting(client: Any, *args: P.args, **kwargs: P.kwargs) -> T:
            return BACKGROUND.run(function(client, *args, **kwargs))

        self._awaited = function
        self._waiting = waiting
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, client: Waits, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaits, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    def __get__(self, client: Any, owner: type) -> Callable[..., Any]:
        function: Any = self._waiting if issubclass(owner, Waits) else self._awaited
        method: Callable[..., Any] = function if client is None else function.__get__(client, owner)
        return method
