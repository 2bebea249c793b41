"""The body of a test, run within its sample.

pytest plugins for asyncio run a body in a context of their own, perhaps one made before this item,
so the sample becomes current inside the body and not around it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ..pipeline import LiveSample, current


class BodyResult:
    """How a body ended.

    Attributes:
        error: The exception it ended with, None for none; unittest keeps it from everyone else.
    """

    error: BaseException | None = None


@contextmanager
def within(item: pytest.Item, sample: LiveSample) -> Iterator[BodyResult]:
    """Let the item's body run within a sample, for the length of the block."""
    result = BodyResult()
    if not isinstance(item, pytest.Function):
        yield result
        return
    body = item.obj
    item.obj = _wrapped(body, sample, result)
    try:
        yield result
    finally:
        item.obj = body


def _wrapped(body: Callable[..., Any], sample: LiveSample, result: BodyResult) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(body):

        @functools.wraps(body)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with current(sample):
                try:
                    return await body(*args, **kwargs)
                except BaseException as exc:
                    result.error = exc
                    raise

        return run_async

    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> Any:
        with current(sample):
            try:
                return body(*args, **kwargs)
            except BaseException as exc:
                result.error = exc
                raise

    return run
