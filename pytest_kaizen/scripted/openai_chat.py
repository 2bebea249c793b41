"""OpenAI's Chat Completions API, and the shape of errors that OpenAI's APIs share."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from .exchange import (
    Event,
    MalformedRequest,
    Reply,
    Request,
    cut_evenly,
    required_messages,
    required_text,
    schema_in,
    text_of,
    tokens_of,
    without_credentials,
)

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

_STOP_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_ROLES = ("assistant", "developer", "function", "system", "tool", "user")


def openai_error(status: int, message: str) -> dict[str, Any]:
    """Write an error with the type that goes with the status."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class OpenAIChat:
    """``POST /v1/chat/completions``, or without ``/v1``."""

    name = "openai.chat"
    path = "/chat/completions"
    request_id_header = "x-request-id"
    scripted = True

    def read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
        """Read a request."""
        model = required_text(body, "model")
        messages = required_messages(body, "messages")
        for index, message in enumerate(messages):
            if message.get("role") not in _ROLES:
                valid, found = ", ".join(_ROLES), message.get("role")
                raise MalformedRequest(f"messages.{index}.role: expected one of {valid} (found {found!r})")
        format_ = body.get("response_format")
        return Request(
            api=self.name,
            model=model,
            system="\n".join(
                text_of(m.get("content")) for m in messages if m["role"] in ("system", "developer")
            ),
            messages=messages,
            last_user_text=next(
                (
                    text_of(m.get("content"))
                    for m in reversed(messages)
                    if m["role"] in ("user", "tool", "function")
                ),
                "",
            ),
            stream=body.get("stream") is True,
            schema=schema_in(format_.get("json_schema")) if isinstance(format_, dict) else None,
            body=body,
            headers=without_credentials(headers),
        )

    def answer(self, request: Request, reply: Reply, number: int) -> dict[str, Any]:
        """Write a completion with one choice."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": reply.text,
            "refusal": None,
            "annotations": [],
        }
        if reply.tool_calls:
            message["tool_calls"] = _tool_calls(reply, number)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(reply)}
        return {
            **_head(request, number, "chat.completion"),
            "choices": [choice],
            "usage": _usage(request, reply),
        }

    def events(self, request: Request, reply: Reply, number: int) -> Iterator[Event]:
        """Write a completion as chunks, then ``[DONE]``.

        Token usage comes in a chunk of its own when ``stream_options.include_usage`` asks for it.
        """
        options = request.body.get("stream_options")
        with_usage = isinstance(options, dict) and options.get("include_usage") is True
        head = _head(request, number, "chat.completion.chunk")
        if with_usage:
            head["usage"] = None
        for delta in _deltas(reply, number):
            yield Event(None, {**head, "choices": [_choice(delta, None)]})
        yield Event(None, {**head, "choices": [_choice({}, _finish_reason(reply))]})
        if with_usage:
            yield Event(None, {**head, "choices": [], "usage": _usage(request, reply)})
        yield Event(None, "[DONE]")

    def error(self, status: int, message: str, number: int) -> dict[str, Any]:  # noqa: ARG002
        """Write an error."""
        return openai_error(status, message)


def _head(request: Request, number: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-scripted-{number}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _choice(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _deltas(reply: Reply, number: int) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": None if reply.text is None else "", "refusal": None}
    for piece in reply.pieces:
        yield {"content": piece}
    for index, call in enumerate(_tool_calls(reply, number)):
        function = call["function"]
        start = {**call, "index": index, "function": {**function, "arguments": ""}}
        yield {"tool_calls": [start]}
        for piece in cut_evenly(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _tool_calls(reply: Reply, number: int) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id or f"call_scripted_{number}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
        }
        for index, call in enumerate(reply.tool_calls)
    ]


def _finish_reason(reply: Reply) -> str:
    if reply.stop_reason is None:
        return "tool_calls" if reply.tool_calls else "stop"
    return _STOP_REASONS.get(reply.stop_reason, reply.stop_reason)


def _usage(request: Request, reply: Reply) -> dict[str, Any]:
    tokens = tokens_of(request, reply)
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
