"""The file of a cassette: JSON that is committed beside the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CassetteError
from ...wholefile import replace_text
from .layout import parse, render
from .matching import Matcher
from .record import Record

FORMAT = 1
_MARK = "kaizen_cassette"
_CURE = "take it back from version control, or delete it and record anew with --kaizen-record=new"


@dataclass
class CassetteFile:
    """What a file holds.

    Attributes:
        test: The test's name within its module: ``TestTickets::test_summary[lamp]``.
        records: In the order in which they stand there.
    """

    test: str
    records: list[Record] = field(default_factory=list)


def read(path: Path, matcher: Matcher) -> CassetteFile | None:
    """Read a cassette; None where there is no such file.

    Raises:
        CassetteError: It cannot be read, is no cassette or has a newer format: with the cure.
    """
    try:
        # Line ends need no translation: JSON takes them all alike. A few pages need no buffer.
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib takes twice as long
            text = file.read().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise CassetteError(f"cannot be read: {exc}; {_CURE}", path=path) from None
    try:
        data = parse(text)
    except json.JSONDecodeError as exc:
        raise CassetteError(f"not valid JSON: {exc.msg}; {_CURE}", path=path, line=exc.lineno) from None
    except (TypeError, RecursionError) as exc:
        raise CassetteError(f"not understood: {exc}; {_CURE}", path=path) from None
    found = data.get(_MARK) if isinstance(data, dict) else None
    if type(found) is int and found > FORMAT:
        raise CassetteError(
            f"its format is {found}, and this release of pytest-kaizen reads up to {FORMAT}; install the "
            "release that wrote it, or delete it and record anew with --kaizen-record=new",
            path=path,
        )
    if found != FORMAT:
        raise CassetteError(f"expected '{_MARK}': {FORMAT} (found {found!r}); {_CURE}", path=path)
    return CassetteFile(test=str(data.get("test")), records=_records(data, path, matcher))


def write(path: Path, file: CassetteFile) -> None:
    """Write a cassette as a whole; without records there is to be no file.

    Raises:
        CassetteError: It cannot be written.
    """
    try:
        if not file.records:
            path.unlink(missing_ok=True)
            return
        exchanges = [record.to_json() for record in file.records]
        text = render({_MARK: FORMAT, "test": file.test, "exchanges": exchanges})
        replace_text(path, text + "\n")
    except OSError as exc:
        raise CassetteError(
            f"cannot be written: {exc}; make the folder writable, or run without recording "
            "(--kaizen-record=replay or live)",
            path=path,
        ) from None


def _records(data: dict[str, Any], path: Path, matcher: Matcher) -> list[Record]:
    exchanges = data.get("exchanges")
    if not isinstance(exchanges, list):
        raise CassetteError(f"'exchanges' must be a list; {_CURE}", path=path)
    records = []
    for number, written in enumerate(exchanges):
        try:
            records.append(Record.from_json(written, matcher))
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            problem = f"{exc} is missing" if isinstance(exc, KeyError) else str(exc)
            raise CassetteError(f"exchanges.{number}: {problem}; {_CURE}", path=path) from None
    return records
