"""Anthropic's Messages API (``POST /v1/messages``)."""

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

_READ = frozenset({"model", "messages", "system"})
_DELTA_FIELDS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
    "compaction_delta": "content",
}


class AnthropicMessages:
    """Reads requests and responses of the Messages API."""

    provider = "anthropic"

    def request(self, body: Json) -> Request:
        """Read the body of a request."""
        messages: list[Message] = []
        if system := _parts(body.get("system")):
            messages.append(message("system", system))
        messages += [
            message(item.get("role"), _parts(item.get("content"))) for item in mappings(body.get("messages"))
        ]
        return Request(string(body.get("model")), messages, without(body, _READ))

    def response(self, body: Json) -> Reply:
        """Read the body of a successful response."""
        reply = Reply(model=string(body.get("model")), usage=_usage(body), error=error_text(body))
        if "content" in body:
            parts = _parts(body["content"])
            reply.messages = [message(body.get("role", "assistant"), parts, body.get("stop_reason"))]
        reply.metadata = _metadata(body)
        return reply

    def stream(self) -> MessageStream:
        """Start to assemble a streamed response."""
        return MessageStream()


class MessageStream:
    """Assembles ``message_start`` … ``message_stop`` into the message."""

    def __init__(self) -> None:
        self.complete = False
        self.error: str | None = None
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: defaultdict[tuple[int, str], list[str]] = defaultdict(list)

    def add(self, name: str | None, data: str) -> bool:
        """Take the next event; return whether it carried a token of the answer."""
        event = mapping(parsed(data))
        kind = event.get("type", name)
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "message_start":
            self._message = dict(mapping(event.get("message")))
        elif kind == "content_block_start":
            self._blocks[_index(event)] = dict(mapping(event.get("content_block")))
        elif kind == "message_delta":
            self._message.update(mapping(event.get("delta")))
            changed = {key: value for key, value in mapping(event.get("usage")).items() if value is not None}
            self._message["usage"] = mapping(self._message.get("usage")) | changed
        elif kind == "message_stop":
            self.complete = True
        elif kind == "error":
            self.error = error_text(event) or data
        return False

    def _delta(self, event: Json) -> bool:
        delta = mapping(event.get("delta"))
        if delta.get("type") == "citations_delta":
            block = self._blocks.setdefault(_index(event), {"type": "text", "text": ""})
            block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
            return False
        field = _DELTA_FIELDS.get(str(delta.get("type")))
        piece = delta.get(field) if field else None
        if field is None or not isinstance(piece, str):
            return False
        self._pieces[_index(event), field].append(piece)
        return True

    def body(self) -> dict[str, Any]:
        """Return the message as far as it came."""
        blocks = {index: dict(block) for index, block in self._blocks.items()}
        for (index, field), pieces in self._pieces.items():
            whole = "".join(pieces)
            block = blocks.setdefault(index, {"type": "thinking" if field == "thinking" else "text"})
            if field == "partial_json":
                block["input"] = parsed(whole) if whole else block.get("input")
            else:
                block[field] = (string(block.get(field)) or "") + whole
        return {**self._message, "content": [blocks[index] for index in sorted(blocks)]}


def _index(event: Json) -> int:
    return count(event.get("index")) or 0


def _parts(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [text(content)]
    if not isinstance(content, list):
        return []
    return [text(item) if isinstance(item, str) else _part(mapping(item)) for item in content]


def _part(block: dict[str, Any]) -> Part:
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        part = text(block["text"])
        if block.get("citations"):
            part["citations"] = compact(block["citations"])
        return part
    if kind == "tool_use":
        return tool_call(block.get("id"), block.get("name"), compact(block.get("input")))
    if kind == "tool_result":
        return _tool_result(block)
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        return {"type": "reasoning", "content": block["thinking"]}
    if kind == "redacted_thinking" and isinstance(block.get("data"), str):
        return {**blob(block["data"]), "type": "reasoning", "redacted": True}
    if kind in ("image", "document"):
        return _media(block)
    return unknown(block)


def _tool_result(block: Json) -> Part:
    content = block.get("content")
    part = tool_response(block.get("tool_use_id"), content if isinstance(content, str) else _parts(content))
    if block.get("is_error"):
        part["is_error"] = True
    return part


def _media(block: Json) -> Part:
    source = mapping(block.get("source"))
    data, url = source.get("data"), source.get("url")
    extra = {"title": block["title"]} if isinstance(block.get("title"), str) else {}
    if source.get("type") == "base64" and isinstance(data, str):
        return {**blob(data, source.get("media_type")), "modality": block["type"], **extra}
    if source.get("type") == "url" and isinstance(url, str):
        return {**link(url), "modality": block["type"], **extra}
    return unknown(block)


def _usage(body: Json) -> dict[str, int | None]:
    usage = mapping(body.get("usage"))
    uncached = count(usage.get("input_tokens"))
    read = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    # The API counts cached input apart from the rest; ours is all of it.
    return {
        "input_tokens": None if uncached is None else uncached + (read or 0) + (written or 0),
        "output_tokens": count(usage.get("output_tokens")),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
    }


def _metadata(body: Json) -> dict[str, Any]:
    usage = mapping(body.get("usage"))
    found = {
        "response_id": body.get("id"),
        "stop_sequence": body.get("stop_sequence"),
        "service_tier": usage.get("service_tier"),
        "server_tool_use": usage.get("server_tool_use"),
        "reasoning_tokens": mapping(usage.get("output_tokens_details")).get("thinking_tokens"),
    }
    return {key: value for key, value in found.items() if value is not None}
