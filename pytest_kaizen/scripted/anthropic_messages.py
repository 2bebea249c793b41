"""Anthropic's Messages API, and its counting of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .exchange import (
    Event,
    MalformedRequest,
    Reply,
    Request,
    cut_evenly,
    cut_in_words,
    required_messages,
    required_text,
    schema_in,
    text_of,
    tokens_of,
    without_credentials,
)

#: The API version (a date) that took these parameters away.
_WITHOUT_SAMPLING = "2026-10-21"
_SAMPLING = frozenset({"temperature", "top_k", "top_p"})
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    """``POST /v1/messages``."""

    name = "anthropic.messages"
    path = "/v1/messages"
    request_id_header = "request-id"
    scripted = True

    def read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
        """Read a request; ``max_tokens`` must be there, as in the real API."""
        max_tokens = body.get("max_tokens")
        if type(max_tokens) is not int or max_tokens < 0:
            raise MalformedRequest(f"max_tokens: expected a count (found {max_tokens!r})")
        return self._read(body, headers)

    def answer(self, request: Request, reply: Reply, number: int) -> dict[str, Any]:
        """Write a message."""
        usage = _usage(request, reply)
        message = _message(request, number, usage)
        message["content"] = _blocks(reply, number)
        message["stop_reason"] = _stop_reason(reply)
        return message

    def events(self, request: Request, reply: Reply, number: int) -> Iterator[Event]:
        """Write a message as ``message_start``, its content blocks in pieces, ``message_stop``."""
        usage = _usage(request, reply)
        output_tokens = usage["output_tokens"]
        start = _message(request, number, {**usage, "output_tokens": 1})
        yield _event("message_start", message=start)
        yield _event("ping")
        for index, block in enumerate(_blocks(reply, number)):
            yield _event("content_block_start", index=index, content_block=_empty(block))
            for delta in _deltas(block, reply):
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        yield _event(
            "message_delta",
            delta={"stop_reason": _stop_reason(reply), "stop_sequence": None},
            usage={"output_tokens": output_tokens},
        )
        yield _event("message_stop")

    def error(self, status: int, message: str, number: int) -> dict[str, Any]:
        """Write an error with the type that goes with the status."""
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": f"req_scripted_{number}",
        }

    def _read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
        if headers.get("anthropic-version", "") >= _WITHOUT_SAMPLING:
            for name in _SAMPLING & body.keys():
                raise MalformedRequest(f"{name}: Extra inputs are not permitted")
        model = required_text(body, "model")
        messages = required_messages(body, "messages")
        for index, message in enumerate(messages):
            if message.get("role") not in ("user", "assistant", "system"):
                raise MalformedRequest(
                    f"messages.{index}.role: expected user or assistant (found {message.get('role')!r})"
                )
            if not isinstance(message.get("content"), str | list):
                raise MalformedRequest(f"messages.{index}.content: expected a string or a list of blocks")
        system = [text_of(body.get("system"))]
        system += (text_of(m["content"]) for m in messages if m["role"] == "system")
        output_config = body.get("output_config")
        format_ = output_config.get("format") if isinstance(output_config, dict) else None
        return Request(
            api=self.name,
            model=model,
            system="\n".join(filter(None, system)),
            messages=messages,
            last_user_text=next(
                (text_of(m["content"]) for m in reversed(messages) if m["role"] == "user"), ""
            ),
            stream=body.get("stream") is True,
            schema=schema_in(format_),
            body=body,
            headers=without_credentials(headers),
        )


class AnthropicCountTokens(AnthropicMessages):
    """``POST /v1/messages/count_tokens``, which counts and needs no script."""

    name = "anthropic.count_tokens"
    path = "/v1/messages/count_tokens"
    scripted = False

    def read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
        """Read a request, which has no ``max_tokens``."""
        return self._read(body, headers)

    def answer(self, request: Request, reply: Reply, number: int) -> dict[str, Any]:  # noqa: ARG002
        """Write the count."""
        return {"input_tokens": _usage(request, reply)["input_tokens"]}


def _message(request: Request, number: int, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_scripted_{number}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _blocks(reply: Reply, number: int) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if reply.thinking is not None:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": f"scripted_{number}"})
    if reply.text is not None:
        blocks.append({"type": "text", "text": reply.text})
    blocks += (
        {
            "type": "tool_use",
            "id": call.id or f"toolu_scripted_{number}_{index}",
            "name": call.name,
            "input": dict(call.arguments),
        }
        for index, call in enumerate(reply.tool_calls)
    )
    return blocks


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    blanks = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {key: blanks.get(key, value) if key != "type" else value for key, value in block.items()}


def _deltas(block: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        for piece in reply.pieces:
            yield {"type": "text_delta", "text": piece}
    elif block["type"] == "thinking":
        for piece in cut_in_words(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in cut_evenly(json.dumps(block["input"])):
            yield {"type": "input_json_delta", "partial_json": piece}


def _event(name: str, **data: Any) -> Event:
    return Event(name, {"type": name, **data})


def _stop_reason(reply: Reply) -> str:
    if reply.stop_reason is None:
        return "tool_use" if reply.tool_calls else "end_turn"
    return _STOP_REASONS.get(reply.stop_reason, reply.stop_reason)


def _usage(request: Request, reply: Reply) -> dict[str, Any]:
    tokens = tokens_of(request, reply)
    return {
        # Here input_tokens leaves out what the cache has seen; in our figures it is the whole input.
        "input_tokens": max(0, tokens.input - tokens.cache_read - tokens.cache_write),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }
