"""``kaizen integrations configure``: the settings of a connection, asked for one by one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from getpass import getpass
from typing import Any, NamedTuple

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.plain import plain
from pytest_kaizen.store.sealed import is_masked, masked


class Field(NamedTuple):
    """What is asked for.

    Attributes:
        key: Its name in the settings.
        question: What the user reads.
        default: Where nothing is answered, and nothing was set before.
        choices: The answers that are taken; all where there are none.
        secret: It is not shown, not while it is typed either.
    """

    key: str
    question: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False


_KEY = Field("apiKey", "API key", secret=True)
_PROJECT = Field("projectName", "project")
FIELDS: Mapping[str, tuple[Field, ...]] = {
    "mlflow": (
        Field("trackingUri", "tracking URI"),
        Field("authType", "authentication", "none", ("none", "basic", "bearer", "databricks")),
        Field("username", "username"),
        Field("token", "token or password", secret=True),
        Field("experimentName", "experiment"),
    ),
    "langsmith": (Field("apiUrl", "API URL", "https://api.smith.langchain.com"), _KEY, _PROJECT),
    "braintrust": (Field("apiUrl", "API URL", "https://api.braintrust.dev"), _KEY, _PROJECT),
}
#: Which of them a way of authentication has no use for.
_UNUSED = {"none": ("username", "token"), "bearer": ("username",), "databricks": ("username",)}


def ask(name: str, before: Mapping[str, Any]) -> dict[str, str]:
    """Ask for the settings of an integration and return those that are to change.

    Without a terminal each line of standard input is an answer.

    Args:
        name: The integration.
        before: What is set.

    Raises:
        UsageError: An answer cannot be right.
    """
    given: dict[str, str] = {}
    for field in FIELDS[name]:
        way = given.get("authType") or before.get("authType")
        if field.key in _UNUSED.get(str(way), ()):
            continue
        there = without_secrets(name, before).get(field.key)
        kept = there or field.default
        choices = f" ({', '.join(field.choices)})" if field.choices else ""
        answer = _answer(plain(f"{field.question}{choices}{f' [{kept}]' if kept else ''}: "), field)
        if answer or (field.default and not there):
            given[field.key] = answer or field.default or ""
    return given


def without_secrets(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they may be shown, whatever the server that they come from has masked."""
    secrets = {field.key for field in FIELDS.get(name, ()) if field.secret}
    return {
        key: masked(str(value)) if value and key in secrets and not is_masked(str(value)) else value
        for key, value in settings.items()
    }


def _answer(question: str, field: Field) -> str:
    if field.secret and sys.stdin.isatty():
        return getpass(question, sys.stderr).strip()
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if answer and field.choices and answer not in field.choices:
        raise UsageError(f"{field.question}: expected {', '.join(field.choices)} (found {answer!r})")
    return answer
