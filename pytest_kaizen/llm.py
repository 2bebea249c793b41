"""The one door to a model: every call that pytest-kaizen makes for itself (a judge's) goes through here.

Calls of the tests themselves never do. ``LLM`` is the protocol that the callers know; ``AnthropicLLM``
is its implementation, which meters and caps what is spent.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .errors import BudgetExceeded, LLMError, ReplayError
from .models import Usage

if TYPE_CHECKING:
    import anthropic

    from .prices import Prices

DEFAULT_TIMEOUT_S = 60.0
DEFAULT_RETRIES = 2
_MESSAGE_LIMIT = 300
#: Statuses besides 5xx that pass: the request took too long, collided, or was one too many.
_PASSING = (408, 409, 429)
_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
BASE_URL_VARIABLE = "ANTHROPIC_BASE_URL"
_ENVIRONMENT = (*_KEYS, BASE_URL_VARIABLE)


class LLMRequest(NamedTuple):
    """One question to a model.

    Attributes:
        prompt: The user's message.
        schema: A JSON schema that the answer must follow; None for free text.
        max_tokens: The most tokens the model may generate, its reasoning included.
    """

    model: str
    system: str
    prompt: str
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 2048


@dataclass(frozen=True)
class Completion:
    """A model's whole answer.

    Attributes:
        text: The text of the answer, without the model's reasoning.
        model: The model that answered.
        data: The answer parsed as JSON when a schema was given; None when it is not JSON.
        cost_usd: None when the model's price is not known.
    """

    text: str
    model: str
    data: Any = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None


class LLM(Protocol):
    """A model that can be asked. Implementations may be called from several threads at once."""

    def complete(self, request: LLMRequest) -> Completion:
        """Ask the model and wait for its whole answer.

        Raises:
            LLMError: There is no whole answer: the call failed, was refused or was cut short.
        """
        ...


class AnthropicLLM:
    """Models behind Anthropic's Messages API, through the official SDK.

    Keys and base URL come from the environment as the SDK reads it (``ANTHROPIC_API_KEY``,
    ``ANTHROPIC_BASE_URL`` and its credential profiles). The SDK retries connection errors, 429 and
    5xx.

    Args:
        prices: What calls cost.
        timeout_s: Seconds to wait for each attempt.
        max_retries: Attempts beyond the first.
        api_key: Goes before the environment's; it is kept in memory only.
        budget_usd: Once this much is spent no further call is made. A call under way is not cut
            off, so that the last one may pass it.

    Attributes:
        calls: Answers received, usable or not.
        spent_usd: What they cost; calls of unknown price are not in it.
    """

    def __init__(
        self,
        prices: Prices,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_retries: int = DEFAULT_RETRIES,
        api_key: str | None = None,
        budget_usd: float | None = None,
    ) -> None:
        self.calls = 0
        self.spent_usd = 0.0
        self._prices = prices
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._api_key = api_key
        self._budget_usd = budget_usd
        self._lock = threading.Lock()
        self._client: anthropic.Anthropic | None = None
        self._client_environment: tuple[str | None, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(calls={self.calls}, spent_usd={self.spent_usd:.6f})"

    def has_key(self) -> bool:
        """Say whether there is anything to ask with: a key, or a profile of the SDK's."""
        import anthropic

        try:
            client = self._connected()
        except anthropic.AnthropicError:
            # A profile that cannot be used: whoever asks is told what is wrong with it.
            return True
        return any((client.api_key, client.auth_token, client.credentials))

    def complete(self, request: LLMRequest) -> Completion:
        """Ask the model and wait for its whole answer.

        Raises:
            BudgetExceeded: The budget was spent before the call, which was not made.
            LLMError: No key, an HTTP error after the retries, a refusal, or an answer that was cut
                at ``max_tokens``; also a budget together with a model of unknown price.
        """
        self._check_budget(request.model)
        message = self._send(request)
        usage = _usage(message)
        cost = self._prices.cost(message.model, usage)
        if cost is None:
            cost = self._prices.cost(request.model, usage)
        with self._lock:
            self.calls += 1
            self.spent_usd += cost or 0.0
        text = "".join(block.text for block in message.content if block.type == "text")
        _require_whole(message, request)
        data = None if request.schema is None else _json_or_none(text)
        return Completion(text=text, model=message.model, data=data, usage=usage, cost_usd=cost)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _check_budget(self, model: str) -> None:
        if self._budget_usd is None:
            return
        if self._prices.find(model) is None:
            raise LLMError(
                f"'{model}' has no known price, so the budget of ${self._budget_usd:g} cannot be kept; "
                "add the model to your price file (prices in kaizen.yaml)"
            )
        if self.spent_usd >= self._budget_usd:
            raise BudgetExceeded(
                f"not called: ${self.spent_usd:.4g} of the budget of ${self._budget_usd:g} is spent"
            )

    def _send(self, request: LLMRequest) -> anthropic.types.Message:
        import anthropic

        optional: dict[str, Any] = {}
        if request.schema is not None:
            optional["output_config"] = {"format": {"type": "json_schema", "schema": dict(request.schema)}}
        if request.system:
            optional["system"] = request.system
        try:
            message: Any = self._connected().messages.create(
                model=request.model,
                max_tokens=request.max_tokens,
                messages=[{"role": "user", "content": request.prompt}],
                **optional,
            )
        except ReplayError as exc:
            raise LLMError(f"{request.model}: {exc}") from None
        except anthropic.APIStatusError as exc:
            kind = f" {exc.type}" if exc.type else ""
            detail = self._without_secrets(exc.api_message or exc.message)
            hint = f"; check {_KEYS[0]}" if exc.status_code in (401, 403) else ""
            raise LLMError(
                f"{request.model}: HTTP {exc.status_code}{kind}: {detail}{hint}",
                status=exc.status_code,
                transient=exc.status_code in _PASSING or exc.status_code >= 500,
            ) from None
        except anthropic.APITimeoutError:
            message = f"{request.model}: no answer within {self._timeout_s:g} s"
            raise LLMError(message, transient=True) from None
        except anthropic.APIConnectionError as exc:
            cause = exc.__cause__ or exc
            raise LLMError(
                f"{request.model}: connection failed: {self._without_secrets(str(cause))}", transient=True
            ) from None
        except Exception as exc:
            # The SDK raises plain TypeErrors for what it refuses to send; none may reach a test.
            if isinstance(exc, TypeError) and "authentication" in str(exc):
                message = f"no key for {request.model}: set {_KEYS[0]} in the environment"
                raise LLMError(message, unsent=True) from None
            detail = self._without_secrets(str(exc))
            raise LLMError(f"{request.model}: {type(exc).__name__}: {detail}") from None
        # The SDK does not validate: a proxy's error page with status 200 comes back as it is.
        if not isinstance(message, anthropic.types.Message) or not (message.content and message.usage):
            raise LLMError(f"{request.model}: the server did not answer with a message of the Messages API")
        return message

    def _connected(self) -> anthropic.Anthropic:
        """Return the client, made anew only when the environment points elsewhere than before.

        A test may set its own base URL and key for as long as it runs; a client that was made then
        must not outlive that.
        """
        import anthropic

        environment = tuple(os.environ.get(name) for name in _ENVIRONMENT)
        with self._lock:
            if self._client is None or environment != self._client_environment:
                if self._client is not None:
                    self._client.close()
                self._client = anthropic.Anthropic(
                    api_key=self._api_key, timeout=self._timeout_s, max_retries=self._max_retries
                )
                self._client_environment = environment
            return self._client

    def _without_secrets(self, text: str) -> str:
        """Take credentials out of a provider's message, and keep it to one short line."""
        for name in _KEYS:
            if secret := os.environ.get(name):
                text = text.replace(secret, f"[{name}]")
        if self._api_key:
            text = text.replace(self._api_key, f"[{_KEYS[0]}]")
        line = " ".join(text.split())
        return line if len(line) <= _MESSAGE_LIMIT else line[: _MESSAGE_LIMIT - 1] + "…"


def _usage(message: anthropic.types.Message) -> Usage:
    raw = message.usage
    # The API leaves cached tokens out of input_tokens; Usage counts all input.
    cached = (raw.cache_read_input_tokens or 0) + (raw.cache_creation_input_tokens or 0)
    return Usage(
        input_tokens=raw.input_tokens + cached,
        output_tokens=raw.output_tokens,
        cache_read_tokens=raw.cache_read_input_tokens,
        cache_write_tokens=raw.cache_creation_input_tokens,
    )


def _require_whole(message: anthropic.types.Message, request: LLMRequest) -> None:
    if message.stop_reason == "refusal":
        raise LLMError(f"{request.model} refused to answer")
    if message.stop_reason == "max_tokens":
        raise LLMError(f"{request.model}: the answer was cut at max_tokens={request.max_tokens}; raise it")
    if message.stop_reason == "model_context_window_exceeded":
        raise LLMError(f"{request.model}: the request does not fit the model's context window")


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


__all__ = ["BASE_URL_VARIABLE", "LLM", "AnthropicLLM", "Completion", "LLMRequest"]
