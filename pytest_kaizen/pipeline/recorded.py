"""What of the recorded calls is of use still."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..capture import Redactor
from ..capture.cassettes import FOLDER, CassetteFile, Matcher, Mode, Record, read_cassette, record_names
from ..config import Config
from ..errors import CassetteError, PromptError
from ..models import Case
from ..prompts import PromptLibrary
from ..store import Store

#: How many runs are looked at for the last one of each test.
RUNS = 20


@dataclass(frozen=True)
class Finding:
    """Something about a cassette that calls for a look.

    Attributes:
        path: The file, from the project's folder.
        exchange: Which of its exchanges, counted from 0 as they stand there; None for the whole file.
        problem: What is the matter, as a sentence without its subject.
    """

    path: str
    exchange: int | None
    problem: str


class CassetteCheck:
    """Looks through the cassettes of a project.

    Args:
        config: The project's configuration.
        store: Its store; None where there is none yet.

    Attributes:
        files: How many cassettes there are.
        runs: How many runs of the store replayed or recorded; without one, nothing is said to be unused.
    """

    def __init__(self, config: Config, store: Store | None) -> None:
        self._config = config
        self._library = PromptLibrary(config)
        ignored = config.cassettes
        redactor = Redactor(os.environ, config.redact)
        self._matcher = Matcher(redactor, ignored.ignore_fields, ignored.ignore_text)
        self.files = 0
        self.runs = 0
        self._cases: list[Case] = []
        for run in store.runs(RUNS) if store is not None else ():
            on = run.config.get("record", Mode.LIVE) != Mode.LIVE
            found = [case for case in store.cases(run.id) if case.complete] if store is not None else []
            used = [case for case in found if on or _used(case)]
            self.runs += bool(used)
            self._cases += used

    def findings(self) -> Iterator[Finding]:
        """Yield what calls for a look, file by file."""
        for path in cassette_files(self._config.root):
            name = path.relative_to(self._config.root).as_posix()
            try:
                file = read_cassette(path, self._matcher)
            except CassetteError as exc:
                self.files += 1
                yield Finding(name, None, exc.message)
                continue
            if file is not None:
                self.files += 1
                yield from self._of_file(path, name, file)

    def _of_file(self, path: Path, name: str, file: CassetteFile) -> Iterator[Finding]:
        gone = _is_gone(path, file.test)
        if gone:
            yield Finding(name, None, f"is of no use: {gone}")
            return
        used = self._used_of(path, file.test)
        if used is None and self.runs:
            yield Finding(name, None, f"was not used: {file.test} is in none of the last {RUNS} runs")
        for number, (record, known_as) in enumerate(
            zip(file.records, record_names(name, file.records), strict=True)
        ):
            problems = list(self._outdated(record))
            if used is not None and known_as not in used:
                problems.append("was not used by the last run of its test")
            if problems:
                yield Finding(name, number, "; ".join(problems))

    def _used_of(self, path: Path, test: str) -> set[str] | None:
        """Find what the last run of a test used; None when there was none."""
        ending = f"{path.parent.name}.py::{test}"
        for case in self._cases:
            case_id = case.id.partition("@")[0] if "@" not in test else case.id
            if case_id == ending or case_id.endswith(f"/{ending}"):
                return _used(case)
        return None

    def _outdated(self, record: Record) -> Iterator[str]:
        for task, (version, sha256) in record.prompts.items():
            try:
                active = self._library.get(task)
            except PromptError:
                yield f"was recorded under prompt '{task}', which is not there any more"
                continue
            if active.sha256 != sha256:
                yield (
                    f"was recorded under version {version} of prompt '{task}' ({sha256[:8]}); active is "
                    f"version {active.version} ({active.sha256[:8]})"
                )


def cassette_files(root: Path) -> Iterator[Path]:
    """Yield the cassettes below a folder, in the order of their names.

    Hidden folders and virtual environments are left out.
    """
    for folder, subfolders, names in os.walk(root):
        place = Path(folder)
        if "pyvenv.cfg" in names:
            subfolders.clear()
            continue
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "node_modules")))
        if place.parent.name == FOLDER:
            yield from (place / name for name in sorted(names) if name.endswith(".json"))


def _used(case: Case) -> set[str]:
    spans = (span for sample in case.samples for span in sample.trace.spans)
    return {name for span in spans for name in span.metadata.get("records", ())}


def _is_gone(path: Path, test: str) -> str | None:
    """Say why a test is certainly not there any more; None when it may be."""
    folder, module = path.parent.parent.parent, path.parent.name
    if not any(folder.glob(f"{module}.*")):
        return f"there is no {module}.py any more"
    function = test.partition("[")[0].rpartition("::")[2]
    try:
        text = (folder / f"{module}.py").read_text(encoding="utf-8")
        inherits = any(isinstance(node, ast.ClassDef) and node.bases for node in ast.walk(ast.parse(text)))
    except (OSError, SyntaxError, ValueError):
        return None
    # A test that is not written there may be inherited.
    return None if inherits or function in text else f"there is no {function} in {module}.py any more"
