"""Assembly of a streamed answer of the Responses API."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .base import Json
from .parts import count, error_text, mapping, parsed, string

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
