"""The one place where secrets are taken out of what is kept."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from ..errors import ConfigError
from ..models import ScoreSource, SpanKind, Trace
from .credentials import FAMILIES, SECRET_FIELDS, SECRET_VARIABLE, is_plausible

_PLAIN_TYPES = frozenset({int, float, bool, type(None), datetime, SpanKind, ScoreSource})
_SHORTEST_SECRET = 8
_DEEPEST = 100


class Redactor:
    """Replaces secrets by text that names their kind, like ``[redacted: GitHub token]``.

    Found are the values of environment variables that are named like secrets, the credentials of
    the requests that were captured (``learn``), keys and tokens of well-known shape (the rules of
    ``secret_rules``), and values under names such as ``api_key``.

    Args:
        environ: The environment.
        patterns: Further regular expressions; the group ``secret``, else the whole match, is replaced.

    Raises:
        ConfigError: One of ``patterns`` is not a regular expression.
    """

    def __init__(self, environ: Mapping[str, str], patterns: Sequence[str] = ()) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]
        self._values: dict[str, str] = {}
        self._known: re.Pattern[str] | None = None
        self._add(
            (value, f"${name}")
            for name, value in environ.items()
            if SECRET_VARIABLE.search(name) and is_plausible(value, least=12)
        )

    def learn(self, *values: str) -> None:
        """Redact these values too, wherever they occur from now on.

        Values of under eight characters and plain words are left out: they are no credentials,
        and would be found in ordinary text.
        """
        self._add(
            (value, "request credential")
            for value in values
            if value not in self._values and is_plausible(value, least=_SHORTEST_SECRET)
        )

    def apart(self) -> Redactor:
        """Return another that knows what this one knows; what either learns, the other does not."""
        # What is learnt makes a new dictionary and pattern, so that nothing is shared that changes.
        return copy.copy(self)

    def text(self, value: str) -> str:
        """Return a text without its secrets."""
        if self._known is not None:
            value = self._known.sub(lambda match: f"[redacted: {self._values[match[0]]}]", value)
        for family in FAMILIES:
            if family.hint in value and family.sign.search(value):
                for rule in family.rules:
                    value = _replaced(rule.pattern, rule.kind, value)
        for pattern in self._patterns:
            value = _replaced(pattern, "custom pattern", value)
        return value

    def data(self, value: Any) -> Any:
        """Return plain data, as JSON has it, without its secrets; the same object when it has none."""
        return self._cleaned(value)

    def trace(self, trace: Trace) -> Trace:
        """Return a trace without secrets in any of its texts; the same object when it has none.

        Of what refers to itself, or is nested too deep to be searched, a mark is left.
        """
        try:
            cleaned: Trace = self._cleaned(trace)
        except RecursionError:
            cleaned = self._cleaned(_unfolded(trace, ()))
        return cleaned

    def _cleaned(self, value: Any) -> Any:
        texts: list[str] = []
        if not _collect(value, texts) and not self._suspects(texts):
            return value
        # What stands under the name of a secret may recur where nothing says what it is.
        self.learn(*named_secrets(value))
        return self._redacted(value)

    def _add(self, values: Iterable[tuple[str, str]]) -> None:
        known = dict(self._values)
        for value, kind in values:
            # A value may recur as it stands, in a URL, or escaped in JSON.
            for form in (value, quote(value, safe=""), to_json_text(value)):
                known.setdefault(form, kind)
        if len(known) > len(self._values):
            # The longest first: one secret may start with another.
            longest = sorted(known, key=len, reverse=True)
            self._values, self._known = known, re.compile("|".join(map(re.escape, longest)))

    def _suspects(self, texts: list[str]) -> bool:
        whole = "\n".join(texts)
        for value in self._values:
            if value in whole:
                return True
        signed = (family for family in FAMILIES if family.hint in whole and family.sign.search(whole))
        if any(rule.pattern.search(whole) for family in signed for rule in family.rules):
            return True
        return any(pattern.search(text) for pattern in self._patterns for text in texts)

    def _redacted(self, value: Any) -> Any:
        """Copy what has a secret in it; return everything else itself."""
        if type(value) is str:
            return self.text(value)
        if isinstance(value, BaseModel):
            fields = {**vars(value), **(value.__pydantic_extra__ or {})}
            changed = self._changed(fields)
            return value.model_copy(update=changed) if changed else value
        if isinstance(value, dict):
            changed = self._changed(value)
            texts = {key: self.text(key) for key in value if type(key) is str}
            if not changed and all(key == text for key, text in texts.items()):
                return value
            return {texts.get(key, key): changed.get(key, item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            items = [self._redacted(item) for item in value]
            if all(new is old or new == old for new, old in zip(items, value, strict=True)):
                return value
            return items
        if type(value) in _PLAIN_TYPES:
            return value
        jsonable = _jsonable(value)
        redacted = self._redacted(jsonable)
        return value if redacted == jsonable else redacted

    def _changed(self, fields: Mapping[Any, Any]) -> dict[Any, Any]:
        changed = {}
        for key, item in fields.items():
            new = f"[redacted: {key}]" if _holds_secret(key, item) else self._redacted(item)
            if new is not item and new != item:
                changed[key] = new
        return changed


def to_json_text(value: str) -> str:
    """Return a text as it stands within the quotes of a JSON string."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _collect(value: Any, texts: list[str]) -> bool:
    """Gather every text of a value; return True as soon as a field named like a secret is met."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is str:
                if _holds_secret(key, item):
                    return True
                if not _is_name(key):
                    texts.append(key)
        return _collect_all(value.values(), texts)
    if kind is list or kind is tuple:
        return _collect_all(value, texts)
    if hasattr(kind, "__pydantic_fields__"):
        extra = value.__pydantic_extra__
        return _collect_all(vars(value).values(), texts) or (bool(extra) and _collect(extra, texts))
    if kind is str or kind in _PLAIN_TYPES:
        return _collect_all((value,), texts)
    return _collect(_jsonable(value), texts)


def _collect_all(values: Iterable[Any], texts: list[str]) -> bool:
    # Most are texts, and to call a function for each would take longer than all else here.
    for value in values:
        kind = type(value)
        if kind is str:
            texts.append(value)
        elif kind not in _PLAIN_TYPES and _collect(value, texts):
            return True
    return False


def named_secrets(value: Any) -> Iterator[str]:
    """Yield the values of all fields that are named like secrets."""
    if isinstance(value, BaseModel):
        value = {**vars(value), **(value.__pydantic_extra__ or {})}
    if isinstance(value, dict):
        for key, item in value.items():
            if _holds_secret(key, item):
                yield item
            else:
                yield from named_secrets(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from named_secrets(item)


@lru_cache(maxsize=4096)
def _is_name(key: str) -> bool:
    """Say whether a key is words in lower case, as the names of fields are and secrets are not."""
    return key.replace("_", "").isalpha() and key.islower()


def _holds_secret(key: Any, value: Any) -> bool:
    return (
        type(value) is str
        and type(key) is str
        and len(key) > 5
        and key.lower().replace("-", "_") in SECRET_FIELDS
        and bool(value)
        and not value.startswith("[redacted")
    )


def _unfolded(value: Any, around: tuple[int, ...]) -> Any:
    """Copy a value down to a depth; ``around`` are the ids of its containers."""
    is_model = isinstance(value, BaseModel)
    if not is_model and not isinstance(value, dict | list | tuple):
        return value
    if id(value) in around or len(around) > _DEEPEST:
        return "<nested too deep>"
    inside = (*around, id(value))
    if isinstance(value, list | tuple):
        return [_unfolded(item, inside) for item in value]
    fields = {**vars(value), **(value.__pydantic_extra__ or {})} if is_model else value
    copied = {key: _unfolded(item, inside) for key, item in fields.items()}
    return value.model_copy(update=copied) if is_model else copied


def _jsonable(value: Any) -> Any:
    try:
        return to_jsonable_python(value, fallback=str, serialize_unknown=True)
    except ValueError:
        # It refers to itself, or is no text in UTF-8.
        return str(value)


def _replaced(pattern: re.Pattern[str], kind: str, value: str) -> str:
    group = "secret" if "secret" in pattern.groupindex else 0

    def mark(match: re.Match[str]) -> str:
        start, end = (position - match.start() for position in match.span(group))
        if start < 0 or start == end:
            return match[0]
        return f"{match[0][:start]}[redacted: {kind}]{match[0][end:]}"

    return pattern.sub(mark, value)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise ConfigError(
            f"redaction pattern {pattern!r} is not a regular expression ({exc}); correct or remove it"
        ) from None
