"""The rules of a scripted server, and which of them answers a request."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .replies import Failure, Reply, Simulator
from .requests import Request

#: A substring of the last user text, a pattern to find in it, or a test of the whole request.
Condition = str | re.Pattern[str] | Callable[[Request], bool]

_SHOWN = 120


class Unscripted(Exception):  # noqa: N818 - it names what happened, not a fault of the server
    """No rule answers a request, or the one that should broke."""


@dataclass
class Rule:
    """What to answer, to which requests and how often.

    Attributes:
        answer: The answer, or a function that makes it from the request.
        when: Which requests; None: any.
        left: How often it still may answer; None: always.
    """

    answer: Reply | Failure | Callable[[Request], Reply]
    when: Condition | None = None
    left: int | None = None

    def matches(self, request: Request) -> bool:
        """Tell whether the condition holds, whatever is left."""
        if self.when is None:
            return True
        if isinstance(self.when, str):
            return self.when in request.last_user_text
        if isinstance(self.when, re.Pattern):
            return self.when.search(request.last_user_text) is not None
        return self.when(request)


class Script:
    """Rules in the order in which they are tried; may be used from many threads.

    Rules with a number of times come first, in the order added, each until it is used up. Then
    those without, in the order added, the one without a condition last; of two with the same
    condition the newer stands.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._limited: list[Rule] = []
        self._used_up = 0
        self._lasting: dict[Condition | None, Rule] = {}

    def add(self, rule: Rule) -> None:
        """Add a rule."""
        with self._lock:
            if rule.left is not None:
                self._limited.append(rule)
            else:
                self._lasting[rule.when] = rule

    def answer(self, request: Request) -> Reply | Failure:
        """Return what a request is answered with.

        Raises:
            Unscripted: Nothing is scripted for it, or the user's function for it raised.
        """
        try:
            answer = self._choose(request).answer
            return answer(request) if callable(answer) else answer
        except Unscripted:
            raise
        except Exception as exc:
            raise Unscripted(
                f"the script's own function raised {type(exc).__name__}: {exc}, for {_describe(request)}"
            ) from exc

    def _choose(self, request: Request) -> Rule:
        with self._lock:
            for rule in self._limited:
                if rule.matches(request):
                    self._use(rule)
                    return rule
            lasting = list(self._lasting.values())
        for rule in sorted(lasting, key=lambda rule: rule.when is None):
            if rule.matches(request):
                return rule
        raise Unscripted(
            f"nothing is scripted for {_describe(request)}. {self._tried()} Script an answer with "
            "reply('...'), or reply('...', when='part of the last user text')."
        )

    def _use(self, rule: Rule) -> None:
        if rule.left is not None:
            rule.left -= 1
            if rule.left <= 0:
                self._limited.remove(rule)
                self._used_up += 1

    def _tried(self) -> str:
        with self._lock:
            rules = [*self._limited, *self._lasting.values()]
            used_up = self._used_up
        conditions = [rule.when.pattern if isinstance(rule.when, re.Pattern) else rule.when for rule in rules]
        tried = f"No rule matched: when={', '.join(map(repr, conditions))}." if rules else "There is no rule."
        return f"{tried} Rules used up: {used_up}." if used_up else tried


def as_reply(simulator: Simulator) -> Callable[[Request], Reply]:
    """Wrap a function that may return a bare text."""

    def answer(request: Request) -> Reply:
        made = simulator(request)
        if isinstance(made, Reply):
            return made
        if isinstance(made, str):
            return Reply(text=made)
        raise TypeError(f"expected a str or a Reply, got {type(made).__name__}")

    return answer


def _describe(request: Request) -> str:
    system = f", system {_short(request.system)}" if request.system else ""
    return (
        f"this {request.api} request (model {request.model}{system}, "
        f"last user text {_short(request.last_user_text)})"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
