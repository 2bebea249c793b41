"""Which request is which: what is compared, and what is left out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from ..redact import Redactor
from . import body as bodies

#: What changes from run to run and says nothing about the answer.
VOLATILE_FIELDS = ("metadata.user_id", "prompt_cache_key", "safety_identifier", "user")

_LONG = 2000
_BASE64 = re.compile(r"(?:data:[\w/.+;=-]*,)?[A-Za-z0-9+/_-]+=*")
_LABEL = re.compile(r"\[redacted: [^\]\"]*\]")


@dataclass(frozen=True, slots=True)
class Question:
    """A request, without what is secret or ignored.

    Attributes:
        url: Without port, user, password and query.
        body: ``{"json": …}`` or ``{"text": …}``.
        key: Equal for requests that are the same.
    """

    method: str
    url: str
    body: dict[str, Any]
    key: str

    def digest(self, sample: int) -> str:
        """Return a short name of this request in a sample."""
        return hashlib.sha256(f"{sample} {self.key}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


class Matcher:
    """Makes questions of requests. Headers and the order of keys make no difference.

    Args:
        redactor: Takes out secrets. Two that differ in nothing but a secret are the same.
        fields: Paths of what is left out of JSON bodies, such as ``metadata.session``; ``*`` is any
            key or every item. ``VOLATILE_FIELDS`` are always left out.
        patterns: Regular expressions; what they match in texts may differ, such as a date.
    """

    def __init__(self, redactor: Redactor, fields: Sequence[str] = (), patterns: Sequence[str] = ()) -> None:
        self.redactor = redactor
        self._fields = [path.split(".") for path in (*VOLATILE_FIELDS, *fields)]
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def of_request(self, request: Any) -> Question:
        """Make the question of a request of httpx or httpx2 whose body has been read."""
        url = request.url
        path = url.raw_path.partition(b"?")[0].decode("ascii", "replace")
        place = self.redactor.text(f"{url.scheme}://{url.host}{path}")
        body = bodies.encode(request.content)
        if len(request.content) >= _LONG:
            body = _without_files(body)
        return self.of_record(request.method, place, self.redactor.data(body))

    def of_record(self, method: str, url: str, body: dict[str, Any]) -> Question:
        """Make the question of a request that was kept."""
        if "json" in body:
            content = body["json"]
            for path in self._fields:
                if not isinstance(content, dict) or path[0] in content or path[0] == "*":
                    _remove(content, path)
        compared = _substituted(body, self._patterns) if self._patterns else body
        text = _in_order(compared)
        key = f"{method} {url.partition('://')[2]} {text}"
        return Question(method, url, body, _LABEL.sub("[redacted]", key) if "[redacted" in key else key)


def _without_files(value: Any) -> Any:
    """Replace images and files by their hash: whoever reads a cassette can do nothing with them."""
    if isinstance(value, str):
        if len(value) < _LONG or not _BASE64.fullmatch(value):
            return value
        return f"[{len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()}]"
    if isinstance(value, dict):
        return {key: _without_files(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_files(item) for item in value]
    return value


def _in_order(value: Any) -> str:
    """Write JSON, the same for equal values whatever the order of their keys."""
    try:
        return to_json(_sorted(value), inf_nan_mode="constants").decode()
    except PydanticSerializationError:
        # Half a surrogate pair is too much for the fast one.
        return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in sorted(value.items())}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _remove(value: Any, path: list[str]) -> None:
    if isinstance(value, list):
        for item in value if path[0] == "*" else ():
            if path[1:]:
                _remove(item, path[1:])
    elif isinstance(value, dict):
        for key in list(value) if path[0] == "*" else [path[0]] if path[0] in value else []:
            if path[1:]:
                _remove(value[key], path[1:])
                if value[key] == {}:
                    del value[key]
            else:
                del value[key]


def _substituted(value: Any, patterns: Sequence[re.Pattern[str]]) -> Any:
    if isinstance(value, str):
        for pattern in patterns:
            value = pattern.sub("[ignored]", value)
        return value
    if isinstance(value, dict):
        return {key: _substituted(item, patterns) for key, item in value.items()}
    if isinstance(value, list):
        return [_substituted(item, patterns) for item in value]
    return value
