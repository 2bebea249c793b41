"""OpenAI's Responses API (``POST /v1/responses``)."""

from __future__ import annotations

from typing import Any

from .base import Json, Message, Part, Reply, Request
from .parts import (
    blob,
    compact,
    count,
    error_text,
    link,
    mapping,
    mappings,
    message,
    parsed,
    string,
    text,
    tool_call,
    tool_response,
    unknown,
    without,
)
from .responses_stream import ResponseStream

_READ = frozenset({"model", "input", "instructions"})
_CALLS = ("function_call", "custom_tool_call")
_CALL_OUTPUTS = ("function_call_output", "custom_tool_call_output")


class OpenAIResponses:
    """Reads requests and responses of the Responses API."""

    provider = "openai"

    def request(self, body: Json) -> Request:
        """Read the body of a request."""
        messages: list[Message] = []
        instructions = body.get("instructions")
        if isinstance(instructions, str):
            messages.append(message("system", [text(instructions)]))
        else:
            messages += _messages(instructions)
        asked = body.get("input")
        messages += [message("user", [text(asked)])] if isinstance(asked, str) else _messages(asked)
        return Request(string(body.get("model")), messages, without(body, _READ))

    def response(self, body: Json) -> Reply:
        """Read the body of a successful response: all its output items become one message."""
        parts = [part for item in mappings(body.get("output")) for part in _item_parts(item)]
        reason = mapping(body.get("incomplete_details")).get("reason") or body.get("status")
        return Reply(
            model=string(body.get("model")),
            messages=[message("assistant", parts, reason)] if parts else [],
            usage=_usage(body),
            error=error_text(body),
            metadata=_metadata(body),
        )

    def stream(self) -> ResponseStream:
        """Start to assemble a streamed response."""
        return ResponseStream()


def _messages(items: Any) -> list[Message]:
    return [_input_message(item) for item in mappings(items)]


def _input_message(item: dict[str, Any]) -> Message:
    kind = item.get("type")
    if kind in _CALL_OUTPUTS:
        output = item.get("output")
        response = output if isinstance(output, str) else _contents(output)
        return message("tool", [tool_response(item.get("call_id"), response)])
    role = item.get("role")
    if role is not None and kind in (None, "message"):
        return message("system" if role == "developer" else role, _contents(item.get("content")))
    # Everything else that is sent back is what the model said before.
    return message("assistant", _item_parts(item))


def _item_parts(item: dict[str, Any]) -> list[Part]:
    kind = item.get("type")
    if kind == "message":
        return _contents(item.get("content"))
    if kind in _CALLS:
        arguments = item.get("arguments", item.get("input"))
        if kind == "function_call" and isinstance(arguments, str):
            arguments = parsed(arguments) if arguments else None
        return [tool_call(item.get("call_id"), item.get("name"), compact(arguments))]
    if kind == "reasoning":
        return _reasoning(item)
    if kind == "image_generation_call" and isinstance(item.get("result"), str):
        image = blob(item["result"], f"image/{item.get('output_format') or 'png'}")
        return [{**image, "modality": "image", "id": item.get("id")}]
    return [unknown(item)]


def _reasoning(item: Json) -> list[Part]:
    shown = [*mappings(item.get("summary")), *mappings(item.get("content"))]
    thoughts = [part["text"] for part in shown if string(part.get("text"))]
    if thoughts:
        return [{"type": "reasoning", "content": thought} for thought in thoughts]
    hidden: Part = {"type": "reasoning", "redacted": True, "id": item.get("id")}
    return [hidden]


def _contents(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [text(content)]
    return [_content(item) for item in mappings(content)]


def _content(item: dict[str, Any]) -> Part:
    kind = item.get("type")
    if kind in ("input_text", "output_text", "text") and isinstance(item.get("text"), str):
        part = text(item["text"])
        if item.get("annotations"):
            part["annotations"] = compact(item["annotations"])
        return part
    if kind == "refusal" and isinstance(item.get("refusal"), str):
        return {**text(item["refusal"]), "refusal": True}
    if kind == "input_image" and isinstance(item.get("image_url"), str):
        return {**link(item["image_url"]), "modality": "image"}
    if kind == "input_file":
        return _file(item)
    return unknown(item)


def _file(item: dict[str, Any]) -> Part:
    data, url = item.get("file_data"), item.get("file_url")
    name = {"filename": item["filename"]} if isinstance(item.get("filename"), str) else {}
    if isinstance(data, str):
        found = link(data) if data.startswith("data:") else blob(data)
        return {**found, "modality": "document", **name}
    if isinstance(url, str):
        return {**link(url), "modality": "document", **name}
    return unknown(item)


def _usage(body: Json) -> dict[str, int | None]:
    usage = mapping(body.get("usage"))
    details = mapping(usage.get("input_tokens_details"))
    return {
        "input_tokens": count(usage.get("input_tokens")),
        "output_tokens": count(usage.get("output_tokens")),
        "cache_read_tokens": count(details.get("cached_tokens")),
        "cache_write_tokens": count(details.get("cache_write_tokens")),
    }


def _metadata(body: Json) -> dict[str, Any]:
    details = mapping(mapping(body.get("usage")).get("output_tokens_details"))
    found = {
        "response_id": body.get("id"),
        "response_status": body.get("status"),
        "service_tier": body.get("service_tier"),
        "reasoning_tokens": details.get("reasoning_tokens"),
    }
    return {key: value for key, value in found.items() if value is not None}
