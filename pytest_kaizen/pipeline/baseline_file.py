"""The baseline file: JSON that is committed beside the tests, in a stable order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ConfigError
from ..models import TaskBaseline
from ..wholefile import replace_text

FORMAT = 1
# A quote inside a string is escaped, so that this fits nothing but the object of a score.
_MEAN = re.compile(r'\{\s+"mean": (\S+),\s+"samples": (\d+)\s+\}')
_CURE = "put it back from version control, or delete it and save it anew with --kaizen-save-baseline"


class _File(BaseModel, defer_build=True):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    tasks: dict[str, TaskBaseline]


def read_baseline(path: Path) -> dict[str, TaskBaseline]:
    """Read a baseline file.

    Returns:
        The baselines by task.

    Raises:
        ConfigError: It is missing, unreadable or malformed: with the place and the cure.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            "no such file; save a baseline with --kaizen-save-baseline, or correct --kaizen-baseline",
            path=path,
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot be read: {exc}", path=path) from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ConfigError(f"not valid JSON: {exc.msg}; {_CURE}", path=path, line=exc.lineno) from None
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT or isinstance(found, bool):
        raise ConfigError(
            f"expected a baseline with 'format': {FORMAT} (found {found!r}); a higher number is of a newer "
            f"release of pytest-kaizen; else {_CURE}",
            path=path,
        )
    try:
        return _File.model_validate(data).tasks
    except ValidationError as exc:
        details = exc.errors()[0]
        where = ".".join(str(part) for part in details["loc"])
        raise ConfigError(f"{where}: {details['msg']}; {_CURE}", path=path) from None


def write_baseline(path: Path, tasks: Mapping[str, TaskBaseline]) -> None:
    """Write a baseline file; what was there stays whole until the new one is.

    Raises:
        OSError: It cannot be written.
    """
    values = {task: baseline.model_dump(mode="json") for task, baseline in tasks.items()}
    text = json.dumps({"format": FORMAT, "tasks": values}, indent=2, sort_keys=True)
    # A line a score, so that a change reads as one.
    text = _MEAN.sub(r'{"mean": \1, "samples": \2}', text)
    replace_text(path, f"{text}\n")
