"""OpenAI's Responses API."""

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
    cut_in_words,
    required_messages,
    required_text,
    schema_in,
    text_of,
    tokens_of,
    without_credentials,
)
from .openai_chat import openai_error

#: Reasons to stop early, in each API's word, and what the Responses API calls them.
_INCOMPLETE = {
    "max_tokens": "max_output_tokens",
    "length": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "refusal": "content_filter",
    "content_filter": "content_filter",
}


class OpenAIResponses:
    """``POST /v1/responses``."""

    name = "openai.responses"
    path = "/responses"
    request_id_header = "x-request-id"
    scripted = True

    def read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
        """Read a request."""
        model = required_text(body, "model")
        messages = _messages(body)
        instructions = body.get("instructions")
        system = [instructions] if isinstance(instructions, str) else []
        system += (text_of(m.get("content")) for m in messages if m.get("role") in ("system", "developer"))
        text = body.get("text")
        return Request(
            api=self.name,
            model=model,
            system="\n".join(system),
            messages=messages,
            last_user_text=next((_text(m) for m in reversed(messages) if _is_asking(m)), ""),
            stream=body.get("stream") is True,
            schema=schema_in(text.get("format")) if isinstance(text, dict) else None,
            body=body,
            headers=without_credentials(headers),
        )

    def answer(self, request: Request, reply: Reply, number: int) -> dict[str, Any]:
        """Write a response."""
        reason = _INCOMPLETE.get(reply.stop_reason or "")
        return {
            **_response(request, number),
            "status": "incomplete" if reason else "completed",
            "incomplete_details": {"reason": reason} if reason else None,
            "output": _output(reply, number),
            "usage": _usage(request, reply),
        }

    def events(self, request: Request, reply: Reply, number: int) -> Iterator[Event]:
        """Write a response as ``response.created``, its items in pieces, ``response.completed``."""
        for sequence_number, (name, data) in enumerate(self._events(request, reply, number)):
            yield Event(name, {"type": name, "sequence_number": sequence_number, **data})

    def error(self, status: int, message: str, number: int) -> dict[str, Any]:  # noqa: ARG002
        """Write an error."""
        return openai_error(status, message)

    def _events(self, request: Request, reply: Reply, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        started = {**_response(request, number), "status": "in_progress", "output": [], "usage": None}
        yield "response.created", {"response": started}
        yield "response.in_progress", {"response": started}
        for index, item in enumerate(_output(reply, number)):
            unfilled = {"message": "content", "reasoning": "summary", "function_call": "arguments"}[
                item["type"]
            ]
            blank = "" if unfilled == "arguments" else []
            added = {**item, "status": "in_progress", unfilled: blank}
            yield "response.output_item.added", {"output_index": index, "item": added}
            for name, data in _item_events(item, reply):
                yield name, {"item_id": item["id"], "output_index": index, **data}
            yield "response.output_item.done", {"output_index": index, "item": item}
        answer = self.answer(request, reply, number)
        yield f"response.{answer['status']}", {"response": answer}


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    asked = body.get("input")
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if asked is None:
        raise MalformedRequest("input: expected a string or a list of items")
    return required_messages(body, "input")


def _is_asking(message: dict[str, Any]) -> bool:
    return message.get("role") == "user" or message.get("type") == "function_call_output"


def _text(message: dict[str, Any]) -> str:
    return text_of(message.get("content", message.get("output")))


def _response(request: Request, number: int) -> dict[str, Any]:
    body = request.body
    return {
        "id": f"resp_scripted_{number}",
        "object": "response",
        "created_at": int(time.time()),
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": request.model,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
    }


def _output(reply: Reply, number: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if reply.thinking is not None:
        summary = [{"type": "summary_text", "text": reply.thinking}]
        items.append({"id": f"rs_scripted_{number}", "type": "reasoning", "summary": summary})
    if reply.text is not None:
        items.append(
            {
                "id": f"msg_scripted_{number}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}],
            }
        )
    items += (
        {
            "id": f"fc_scripted_{number}_{index}",
            "type": "function_call",
            "call_id": call.id or f"call_scripted_{number}_{index}",
            "name": call.name,
            "arguments": json.dumps(dict(call.arguments)),
            "status": "completed",
        }
        for index, call in enumerate(reply.tool_calls)
    )
    return items


def _item_events(item: dict[str, Any], reply: Reply) -> Iterator[tuple[str, dict[str, Any]]]:
    if item["type"] == "message":
        part = item["content"][0]
        yield "response.content_part.added", {"content_index": 0, "part": {**part, "text": ""}}
        for piece in reply.pieces:
            yield "response.output_text.delta", {"content_index": 0, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {"content_index": 0, "text": part["text"], "logprobs": []}
        yield "response.content_part.done", {"content_index": 0, "part": part}
    elif item["type"] == "reasoning":
        part = item["summary"][0]
        name = "response.reasoning_summary"
        yield f"{name}_part.added", {"summary_index": 0, "part": {**part, "text": ""}}
        for piece in cut_in_words(part["text"]):
            yield f"{name}_text.delta", {"summary_index": 0, "delta": piece}
        yield f"{name}_text.done", {"summary_index": 0, "text": part["text"]}
        yield f"{name}_part.done", {"summary_index": 0, "part": part}
    else:
        name = "response.function_call_arguments"
        for piece in cut_evenly(item["arguments"]):
            yield f"{name}.delta", {"delta": piece}
        yield f"{name}.done", {"arguments": item["arguments"]}


def _usage(request: Request, reply: Reply) -> dict[str, Any]:
    tokens = tokens_of(request, reply)
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens.input + tokens.output,
    }
