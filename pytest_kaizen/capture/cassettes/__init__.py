"""Recorded calls, replayed without a network: the cassette of one test, in a file beside the tests."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CassetteError, ReplayError
from ...files import replace_text
from ..wire import Exchange
from .layout import FOLDER, cassette_path, parse, render
from .record import Matcher, Question, Record, difference, nearest, record_of

FORMAT = 1
_MARK = "kaizen_cassette"
_CURE = "take it back from version control, or delete it and record anew with --kaizen-record=new"

Prompts = Mapping[str, tuple[int, str]]


@dataclass
class CassetteFile:
    """What a file holds.

    Attributes:
        test: The test's name within its module: ``TestTickets::test_summary[lamp]``.
        records: In the order in which they stand there.
    """

    test: str
    records: list[Record] = field(default_factory=list)


def read_cassette(path: Path, matcher: Matcher) -> CassetteFile | None:
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


def write_cassette(path: Path, file: CassetteFile) -> None:
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


class Mode(StrEnum):
    """What is done with a call."""

    LIVE = "live"
    REPLAY = "replay"
    NEW = "new"
    ALL = "all"


class _Asked(NamedTuple):
    """A request that was sent on, and where its answer will be found."""

    exchange: Exchange
    question: Question
    sample: int
    prompts: Prompts


class Cassette:
    """The records of one test, for one execution of it; safe to use from several threads.

    The file is read when the first request comes, and written by ``finish``.

    Args:
        path: The file.
        name: What the file is called in messages and on spans.
        test: The test's name within its module.
        mode: What is done with calls; never ``LIVE``, for which there is no cassette.
        matcher: Says which requests are the same.

    Attributes:
        misses: What could not be replayed, as messages.
    """

    def __init__(self, path: Path, name: str, test: str, mode: Mode, matcher: Matcher) -> None:
        self.misses: list[str] = []
        self._path = path
        self._name = name
        self._test = test
        self._mode = mode
        self._matcher = matcher
        self._lock = threading.Lock()
        self._kept: list[Record] | None = None
        self._waiting: dict[tuple[int, str], deque[Record]] = {}
        self._counts: dict[tuple[int, str], int] = {}
        self._asked: list[_Asked] = []

    def tape(self, sample: int, prompts: Prompts) -> Tape:
        """Return what one sample sees of the cassette.

        Args:
            sample: Its number.
            prompts: The prompt versions that it has fetched; looked at with every call.
        """
        return Tape(self, sample, prompts)

    def take(
        self, request: Any, exchange: Exchange, secrets: set[str], sample: int, prompts: Prompts
    ) -> Record | None:
        """Find the answer to a request; see ``Tape.take``."""
        try:
            with self._lock:
                return self._take(request, exchange, secrets, sample, prompts)
        except CassetteError as exc:
            raise self._missed(str(exc)) from None
        except Exception as exc:
            # Nothing may go over the network because of a mistake of ours.
            raise self._missed(f"cannot be replayed: {type(exc).__name__}: {exc}") from exc

    def finish(self, *, complete: bool) -> None:
        """Write what is new.

        Args:
            complete: The test ran to its end. Of one that did not, answers that failed are not kept,
                as they may be why it did not; and nothing that was kept is dropped.

        Raises:
            CassetteError: The file cannot be read or written.
        """
        with self._lock:
            new = [record for record in map(self._recorded, self._asked) if record is not None]
            if not complete:
                new = [record for record in new if not record.has_failed]
            if self._mode is Mode.REPLAY or not (new or (self._mode is Mode.ALL and complete)):
                return
            old = self._load()
            records = _merged(old, new, replace=self._mode is Mode.ALL, drop=complete)
            if records != old:
                write_cassette(self._path, CassetteFile(self._test, records))

    def _take(
        self, request: Any, exchange: Exchange, secrets: set[str], sample: int, prompts: Prompts
    ) -> Record | None:
        self._matcher.redactor.learn(*secrets)
        question = self._matcher.of_request(request)
        place = sample, question.key
        number = self._counts.get(place, 0)
        self._counts[place] = number + 1
        exchange.cassette = f"{self._name}#{question.digest(sample)}.{number}"
        if self._mode is not Mode.ALL:
            self._load()
            waiting = self._waiting.get(place)
            if waiting:
                exchange.record = waiting.popleft()
                return exchange.record
            if self._mode is Mode.REPLAY:
                raise self._missed(self._explanation(question, sample, number))
        self._asked.append(_Asked(exchange, question, sample, prompts))
        return None

    def _load(self) -> list[Record]:
        if self._kept is None:
            file = read_cassette(self._path, self._matcher)
            if file is not None and file.test != self._test:
                raise CassetteError(
                    f"holds the records of {file.test}, not of {self._test}; rename one of the tests, or "
                    "delete the file and record anew with --kaizen-record=new",
                    path=self._path,
                )
            self._kept = file.records if file else []
            for record in self._kept:
                self._waiting.setdefault((record.sample, record.question.key), deque()).append(record)
        return self._kept

    def _recorded(self, asked: _Asked) -> Record | None:
        redactor = self._matcher.redactor
        return record_of(asked.exchange, asked.sample, asked.question, asked.prompts, redactor)

    def _missed(self, message: str) -> ReplayError:
        self.misses.append(message)
        return ReplayError(message)

    def _explanation(self, question: Question, sample: int, number: int) -> str:
        records = self._load()
        lines = [f"no record of this request in {self._name}: {question.method} {question.url}"]
        closest = nearest(question, records)
        if closest is None:
            lines.append("the cassette is empty" if self._path.exists() else "there is no such cassette yet")
        elif closest.question.key != question.key:
            lines.append(f"the nearest of {len(records)} recorded:")
            lines += difference(closest.question, question)
        elif number:
            lines.append(f"it is recorded {number} time{'s' * (number > 1)}, and this is one more")
        else:
            lines.append(f"it is recorded for sample {closest.sample}, and this is sample {sample}")
        lines.append("to record what is missing, run once with --kaizen-record=new")
        return "\n".join(lines)


class Tape:
    """What one sample sees of a cassette."""

    def __init__(self, cassette: Cassette, sample: int, prompts: Prompts) -> None:
        self._cassette = cassette
        self._sample = sample
        self._prompts = prompts

    def take(self, request: Any, exchange: Exchange, secrets: set[str]) -> Record | None:
        """Find the answer to a request.

        Args:
            request: A request of httpx or httpx2 whose body has been read.
            exchange: Is to hold what comes of it.
            secrets: The request's credentials.

        Returns:
            The record to answer with; None when the request is to be sent, and its answer kept.

        Raises:
            ReplayError: There is no record, and none is to be made; or the cassette is broken.
        """
        return self._cassette.take(request, exchange, secrets, self._sample, self._prompts)


def _merged(old: list[Record], new: list[Record], *, replace: bool, drop: bool) -> list[Record]:
    """Join old and new records by sample; what was there before keeps its place.

    Args:
        old: The records of the file.
        new: The records of this run, in the order in which their requests were sent.
        replace: A new record takes the place of the old one of the same request.
        drop: Of the old ones, only those that are replaced stay.
    """
    if not replace:
        return sorted([*old, *new], key=lambda record: record.sample)
    places = {identity: place for place, (identity, _) in enumerate(_identified(old))}
    rest = dict(_identified(old))
    joined: list[tuple[int, int, Record]] = []
    for number, (identity, record) in enumerate(_identified(new)):
        rest.pop(identity, None)
        joined.append((record.sample, places.get(identity, len(old) + number), record))
    if not drop:
        joined += [(record.sample, places[identity], record) for identity, record in rest.items()]
    return [record for _, _, record in sorted(joined, key=lambda item: item[:2])]


def record_names(cassette: str, records: list[Record]) -> list[str]:
    """Name the records of a file as the spans do that were made of them: ``metadata["records"]``."""
    return [
        f"{cassette}#{record.question.digest(record.sample)}.{identity[-1]}"
        for identity, record in _identified(records)
    ]


def _identified(records: list[Record]) -> list[tuple[tuple[int, str, int], Record]]:
    """Name each record by its sample, its request, and how many equal ones come before it."""
    counts: dict[tuple[int, str], int] = {}
    named = []
    for record in records:
        place = record.sample, record.question.key
        named.append(((*place, counts.get(place, 0)), record))
        counts[place] = counts.get(place, 0) + 1
    return named


__all__ = [
    "FOLDER",
    "Cassette",
    "CassetteFile",
    "Matcher",
    "Mode",
    "Record",
    "Tape",
    "cassette_path",
    "read_cassette",
    "record_names",
]
