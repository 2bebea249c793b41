"""OpenAI's Chat Completions API (``POST …/chat/completions``) and what is compatible with it."""

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

_READ = frozenset({"model", "messages"})
# Compatible hosts name the reasoning that they show in two ways.
_REASONING = ("reasoning_content", "reasoning")
_TEXT_FIELDS = ("content", "refusal", *_REASONING)


class OpenAIChat:
    """Reads requests and responses of Chat Completions."""

    provider = "openai"

    def request(self, body: Json) -> Request:
        """Read the body of a request."""
        messages = [_message(item) for item in mappings(body.get("messages"))]
        return Request(string(body.get("model")), messages, without(body, _READ))

    def response(self, body: Json) -> Reply:
        """Read the body of a successful response."""
        choices = sorted(mappings(body.get("choices")), key=lambda choice: count(choice.get("index")) or 0)
        return Reply(
            model=string(body.get("model")),
            messages=[
                _message(mapping(choice.get("message")), "assistant", choice.get("finish_reason"))
                for choice in choices
            ],
            usage=_usage(body),
            error=error_text(body),
            metadata=_metadata(body),
        )

    def stream(self) -> ChunkStream:
        """Start to assemble a streamed response."""
        return ChunkStream()


class ChunkStream:
    """Assembles chunks, up to ``[DONE]``, into the completion."""

    def __init__(self) -> None:
        self.complete = False
        self.error: str | None = None
        self._body: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._pieces: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
        self._calls: defaultdict[int, dict[int, dict[str, Any]]] = defaultdict(dict)

    def add(self, name: str | None, data: str) -> bool:
        """Take the next event; return whether it carried a token of the answer."""
        if data.startswith("[DONE]"):
            self.complete = True
            return False
        chunk = mapping(parsed(data))
        self.error = error_text(chunk) or (data if name == "error" else self.error)
        for key in ("id", "model", "usage", "service_tier", "system_fingerprint"):
            if chunk.get(key) is not None:
                self._body[key] = chunk[key]
        tokens = [self._choice(choice) for choice in mappings(chunk.get("choices"))]
        return any(tokens)

    def _choice(self, choice: Json) -> bool:
        index = count(choice.get("index")) or 0
        state = self._choices.setdefault(index, {"role": "assistant", "finish_reason": None})
        if choice.get("finish_reason") is not None:
            state["finish_reason"] = choice["finish_reason"]
        delta = mapping(choice.get("delta"))
        carried = False
        for field in _TEXT_FIELDS:
            if piece := string(delta.get(field)):
                self._pieces[index, field].append(piece)
                carried = True
        calls = mappings(delta.get("tool_calls"))
        for call in calls:
            self._call(index, call)
        if function := mapping(delta.get("function_call")):
            self._call(index, {"function": function})
        return carried or bool(calls) or bool(function)

    def _call(self, choice: int, call: Json) -> None:
        known = self._calls[choice].setdefault(
            count(call.get("index")) or 0, {"id": None, "function": {"name": None, "arguments": ""}}
        )
        known["id"] = call.get("id") or known["id"]
        function = mapping(call.get("function"))
        known["function"]["name"] = function.get("name") or known["function"]["name"]
        known["function"]["arguments"] += string(function.get("arguments")) or ""

    def body(self) -> dict[str, Any]:
        """Return the completion as far as it came."""
        choices = []
        for index, state in sorted(self._choices.items()):
            reply: dict[str, Any] = {"role": state["role"]}
            for field in _TEXT_FIELDS:
                if (index, field) in self._pieces:
                    reply[field] = "".join(self._pieces[index, field])
            if index in self._calls:
                reply["tool_calls"] = [call for _, call in sorted(self._calls[index].items())]
            choices.append({"index": index, "message": reply, "finish_reason": state["finish_reason"]})
        return {**self._body, "choices": choices}


def _message(item: Json, role: str | None = None, finish_reason: Any = None) -> Message:
    role = string(item.get("role")) or role
    if role == "developer":
        # The newer models' name for the system prompt.
        role = "system"
    content = item.get("content")
    if role == "tool":
        response = content if isinstance(content, str) else _parts(content)
        return message(role, [tool_response(item.get("tool_call_id"), response)])
    parts = [{"type": "reasoning", "content": item[field]} for field in _REASONING if string(item.get(field))]
    parts += _parts(content)
    if refusal := string(item.get("refusal")):
        parts.append({**text(refusal), "refusal": True})
    if audio := mapping(item.get("audio")):
        parts += _audio(audio)
    parts += [_call(call) for call in mappings(item.get("tool_calls"))]
    if function := mapping(item.get("function_call")):
        parts.append(_call({"function": function}))
    return message(role, parts, finish_reason)


def _parts(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [text(content)]
    return [_part(item) for item in mappings(content)]


def _part(item: dict[str, Any]) -> Part:
    kind = item.get("type")
    if kind == "text" and isinstance(item.get("text"), str):
        return text(item["text"])
    if kind == "refusal" and isinstance(item.get("refusal"), str):
        return {**text(item["refusal"]), "refusal": True}
    image = item.get("image_url")
    url = image if isinstance(image, str) else mapping(image).get("url")
    if kind == "image_url" and isinstance(url, str):
        return {**link(url), "modality": "image"}
    audio = mapping(item.get("input_audio"))
    if kind == "input_audio" and isinstance(audio.get("data"), str):
        return {**blob(audio["data"], f"audio/{audio.get('format')}"), "modality": "audio"}
    file = mapping(item.get("file"))
    if kind == "file" and isinstance(file.get("file_data"), str):
        return {**_file(file["file_data"]), "modality": "document", "filename": file.get("filename")}
    return unknown(item)


def _file(data: str) -> Part:
    return link(data) if data.startswith("data:") else blob(data)


def _audio(audio: Json) -> list[Part]:
    parts = []
    if transcript := string(audio.get("transcript")):
        parts.append(text(transcript))
    if data := string(audio.get("data")):
        parts.append({**blob(data), "modality": "audio"})
    # An earlier answer's audio is sent back by its id alone.
    return parts or [{"type": "audio", "id": audio.get("id")}]


def _call(call: Json) -> Part:
    function = mapping(call.get("function"))
    if not function and (custom := mapping(call.get("custom"))):
        return tool_call(call.get("id"), custom.get("name"), compact(custom.get("input")))
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = parsed(arguments) if arguments else None
    return tool_call(call.get("id"), function.get("name"), compact(arguments))


def _usage(body: Json) -> dict[str, int | None]:
    usage = mapping(body.get("usage"))
    details = mapping(usage.get("prompt_tokens_details"))
    return {
        "input_tokens": count(usage.get("prompt_tokens")),
        "output_tokens": count(usage.get("completion_tokens")),
        "cache_read_tokens": count(details.get("cached_tokens")),
        "cache_write_tokens": count(details.get("cache_write_tokens")),
    }


def _metadata(body: Json) -> dict[str, Any]:
    details = mapping(mapping(body.get("usage")).get("completion_tokens_details"))
    found = {
        "response_id": body.get("id"),
        "system_fingerprint": body.get("system_fingerprint"),
        "service_tier": body.get("service_tier"),
        "reasoning_tokens": details.get("reasoning_tokens"),
    }
    return {key: value for key, value in found.items() if value is not None}
