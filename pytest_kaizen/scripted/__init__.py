"""A scripted local model server, for tests that need a model and have no key.

It speaks Anthropic's Messages API and OpenAI's Chat Completions and Responses APIs, plain and
streamed, on a free loopback port. What it answers is scripted: see ``ScriptedLLM``.
"""

from __future__ import annotations

import json as json_module
import os
import threading
from collections.abc import Sequence
from typing import Any, Self

from ..errors import KaizenError, UsageError
from ..models import Usage
from .exchange import Failure, Reply, Request, Simulator, ToolCall
from .handler import Condition, Handler, Rule, Script, as_reply
from .server import Server

_DUMMY_KEY = "scripted"
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


class ScriptedLLM:
    """A scripted local model server for tests without a key.

    Example::

        with ScriptedLLM() as llm:
            llm.reply("The parcel is late.", when="parcel")
            llm.fail(429, times=2)
            client = anthropic.Anthropic(base_url=llm.url, api_key="none")
            ...
            assert llm.requests[0].last_user_text == "Where is my parcel?"

    Rules with ``times`` are tried first, in the order in which they were added, each until it is
    used up: they script a sequence. Then come the lasting ones, in the order added, and last the
    one without ``when``, which is the default. A lasting rule replaces an earlier one with the
    same ``when``. A request that no rule answers gets a status 400, which no SDK retries, with a
    message that says what was asked.

    Rules may be added while it runs, and requests may come from many threads at once.
    """

    def __init__(self) -> None:
        self._script = Script()
        self._stopping = threading.Event()
        self._handler = Handler(self._script, self._stopping)
        self._server: Server | None = None

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        if self._server is None:
            self._stopping.clear()
            self._server = Server(self._handler)
        return self

    def stop(self) -> None:
        """Close the port and every connection. What was asked stays in ``requests``."""
        if self._server is not None:
            self._stopping.set()
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, without ``/v1``.

        Raises:
            KaizenError: The server is not running.
        """
        if self._server is None:
            raise KaizenError(
                "the scripted server is not running: call start(), or use it in a with statement"
            )
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that lead the SDKs of Anthropic and OpenAI here.

        Where a proxy is set in the environment, ``NO_PROXY`` is among them, extended so that
        requests to this machine do not go through it.
        """
        environ = {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": _DUMMY_KEY,
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_KEY": _DUMMY_KEY,
        }
        if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXY_VARIABLES):
            bypassed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
            no_proxy = ",".join(filter(None, [bypassed, "127.0.0.1"]))
            # Lower case wins where both are set.
            environ |= {"no_proxy": no_proxy, "NO_PROXY": no_proxy}
        return environ

    @property
    def requests(self) -> list[Request]:
        """What was asked, in the order in which it came."""
        return self._handler.requests

    @property
    def record(self) -> list[Request]:
        """The same as ``requests``."""
        return self._handler.requests

    def reply(
        self,
        text: str | Simulator | None = None,
        *,
        when: Condition | None = None,
        json: Any = None,
        tool_calls: Sequence[ToolCall] = (),
        thinking: str | None = None,
        usage: Usage | None = None,
        stop_reason: str | None = None,
        latency_s: float = 0.0,
        chunks: Sequence[str] | None = None,
        cut_after: int | None = None,
        times: int | None = None,
    ) -> None:
        """Script an answer.

        Args:
            text: Its text, or a function ``Request -> str | Reply`` that makes it: a simulator.
            when: The requests that get it: a part of the last user text, a pattern that is found in
                it, or a function of the request.
            json: A value whose JSON is the text, for structured output.
            tool_calls: The tools that the model calls.
            thinking: The model's reasoning; not sent by Chat Completions, which has no place for it.
            usage: The tokens to report; counted from the lengths of the texts by default.
            stop_reason: Why the model stopped, in Anthropic's or OpenAI's word for it.
            latency_s: Seconds until the answer begins.
            chunks: The pieces in which a stream sends the text, in place of it.
            cut_after: Break a stream off after this many events.
            times: How often; always by default.

        Raises:
            UsageError: The arguments contradict each other, or there is nothing to answer.
        """
        if callable(text):
            rest = (json, tool_calls, thinking, usage, stop_reason, latency_s, chunks, cut_after)
            if any(value not in (None, (), 0.0) for value in rest):
                raise UsageError("a function makes the whole reply: let it return a Reply with these values")
            self._script.add(Rule(as_reply(text), when, _checked_times(times)))
            return
        if sum(value is not None for value in (text, json, chunks)) > 1:
            raise UsageError("give one of text, json and chunks")
        if json is not None:
            text = json_module.dumps(json)
        elif chunks is not None:
            text = "".join(chunks)
        elif text is None and not tool_calls:
            raise UsageError("nothing to answer: give text, json, chunks or tool_calls")
        answer = Reply(
            text=text,
            tool_calls=tuple(tool_calls),
            thinking=thinking,
            usage=usage,
            stop_reason=stop_reason,
            latency_s=latency_s,
            chunks=chunks,
            cut_after=cut_after,
        )
        self._script.add(Rule(answer, when, _checked_times(times)))

    def fail(
        self,
        status: int = 500,
        *,
        when: Condition | None = None,
        message: str = "scripted failure",
        retry_after: float = 0.01,
        latency_s: float = 0.0,
        disconnect: bool = False,
        times: int | None = 1,
    ) -> None:
        """Script an error, once unless ``times`` says otherwise.

        Args:
            status: The HTTP status, 400 to 599.
            when: The requests that get it, as for ``reply``.
            message: The error's message.
            retry_after: Seconds after which a client may try again; short by default, so that a
                test of retries is quick.
            latency_s: Seconds until the error comes.
            disconnect: Close the connection in place of an answer; the status is not sent.
            times: How often; None: always.

        Raises:
            UsageError: The status is not that of an error, or ``times`` is below 1.
        """
        if not 400 <= status <= 599:
            raise UsageError(f"fail: status must be an error's, 400 to 599 (found {status})")
        self._script.add(
            Rule(Failure(status, message, retry_after, latency_s, disconnect), when, _checked_times(times))
        )


def _checked_times(times: int | None) -> int | None:
    if times is not None and times < 1:
        raise UsageError(f"times must be at least 1, or None for always (found {times})")
    return times


__all__ = ["Reply", "Request", "ScriptedLLM", "ToolCall", "Usage"]
