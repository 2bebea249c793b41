"""OpenAI's Responses API (``POST /v1/responses``)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .base import (
    Json,
    Message,
    Part,
    Reply,
    Request,
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

# The response.* events that end a stream; each brings the whole response.
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TEXT = {
    "response.output_text.delta": ("output_text", "text"),
    "response.refusal.delta": ("refusal", "refusal"),
}
_THOUGHT = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
_ARGUMENTS = {
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}

_READ = frozenset({"model", "input", "instructions"})
_CALLS = ("function_call", "custom_tool_call")
_CALL_OUTPUTS = ("function_call_output", "custom_tool_call_output")


class ResponseStream:
    """Assembles ``response.created`` … ``response.completed`` into the response."""

    def __init__(self) -> None:
        self.complete = False
        self.error: str | None = None
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._pieces: defaultdict[tuple[int, str, int], list[str]] = defaultdict(list)

    def add(self, name: str | None, data: str) -> bool:
        """Take the next event; return whether it carried a token of the answer."""
        event = mapping(parsed(data))
        kind = str(event.get("type", name))
        if kind.endswith(".delta"):
            return self._delta(kind, event)
        if kind in ("response.output_item.added", "response.output_item.done"):
            index = _index(event)
            self._items[index] = mapping(event.get("item"))
            if kind.endswith("done"):
                for key in [key for key in self._pieces if key[0] == index]:
                    del self._pieces[key]
        elif isinstance(event.get("response"), dict):
            self._response = event["response"]
            self.complete = kind in _ENDS
        elif kind == "error":
            # The error itself, or an object that holds it.
            self.error = error_text(event) or error_text({"error": {**event, "type": event.get("code")}})
        return False

    def _delta(self, kind: str, event: Json) -> bool:
        piece = string(event.get("delta"))
        if piece is None:
            return False
        if kind in _TEXT or kind in _THOUGHT:
            part = count(event.get("content_index", event.get("summary_index"))) or 0
        elif kind in _ARGUMENTS:
            part = 0
        else:
            return False
        self._pieces[_index(event), kind, part].append(piece)
        return True

    def body(self) -> dict[str, Any]:
        """Return the response as far as it came."""
        if self.complete:
            return self._response
        items = {index: dict(item) for index, item in self._items.items()}
        for (index, kind, _), pieces in sorted(self._pieces.items()):
            whole = "".join(pieces)
            if kind in _ARGUMENTS:
                items.setdefault(index, {"type": "function_call"})[_ARGUMENTS[kind]] = whole
                continue
            entry = {"type": "reasoning_text", "text": whole}
            if kind in _TEXT:
                entry = {"type": _TEXT[kind][0], _TEXT[kind][1]: whole}
            item = items.setdefault(index, {"type": "message" if kind in _TEXT else "reasoning"})
            item["content"] = [*(item.get("content") or []), entry]
        return {**self._response, "output": [items[index] for index in sorted(items)]}


def _index(event: Json) -> int:
    return count(event.get("output_index")) or 0


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
