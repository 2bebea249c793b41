"""One run's way to the disk: its store, and every sample written at once.

Nothing is lost when the disk fails for a while.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from ..capture import Redactor
from ..config import Config
from ..errors import StoreError
from ..models import Case, Run, Sample
from ..prompts import PromptLibrary
from ..store import Store


def open_store(config: Config) -> Store:
    """Open the store; what is stored through it is owed to the backends in use.

    Raises:
        StoreError: It cannot be opened.
    """
    if not config.upload_to:
        return Store.open(config.store)
    # A run that uploads nothing need not wait for it.
    from .upload import recipients

    return Store.open(config.store, recipients=recipients(config))


class RunWriter:
    """Writes what a process runs of a run; safe to use from several threads.

    A store that fails in the middle of a run (a full disk) changes no verdict: what could not be
    written is kept in memory and written again with the next sample and at the end.

    Args:
        store: Where to.
        library: Has the texts of the prompt versions that samples used.
        redactor: Takes secrets out of them.

    Attributes:
        unstored: Why something is not on disk; None when everything is.
        edited: Lines on prompt versions that were edited since an earlier run recorded them.
    """

    def __init__(self, store: Store, library: PromptLibrary, redactor: Redactor) -> None:
        self._store = store
        self._library = library
        self._redactor = redactor
        self._lock = threading.RLock()
        self._pending: list[Callable[[], None]] = []
        self._begun: dict[str, Case] = {}
        self._recorded_prompts: set[tuple[str, int]] = set()
        self.unstored: str | None = None
        self.edited: list[str] = []

    def add_sample(self, case: Case, sample: Sample) -> None:
        """Store a sample, and the prompt versions it used; the first one of an attempt begins its case."""
        with self._lock:
            begins = self._begins(case)
            self._write(partial(self._store_sample, case.model_copy(), sample, begins))

    def finish_case(self, case: Case, sample: Sample | None = None) -> None:
        """Store a case's outcome and gates, with a sample of it that is not stored yet, in one go."""
        with self._lock:
            self._write(partial(self._store_case, case, sample, self._begins(case)))

    def finish_run(self, run: Run, weak: Sequence[str] = ()) -> None:
        """Store what the run has become, and which tasks backends are to find a better prompt for."""
        with self._lock:
            self._write(partial(self._store.finish_run, run, weak=weak))

    def flush(self) -> None:
        """Try again to write what could not be written."""
        with self._lock:
            while self._pending:
                try:
                    self._pending[0]()
                except StoreError as exc:
                    self.unstored = str(exc)
                    return
                del self._pending[0]
            self.unstored = None

    def _begins(self, case: Case) -> bool:
        """Whether this attempt at a case is new to the store; a rerun is a case object of its own."""
        begins = self._begun.get(case.id) is not case
        self._begun[case.id] = case
        return begins

    def _write(self, operation: Callable[[], None]) -> None:
        self._pending.append(operation)
        self.flush()

    def _store_sample(self, case: Case, sample: Sample, begins: bool) -> None:
        self._record_prompts(sample)
        self._store.add_sample(case, sample, begins=begins)

    def _store_case(self, case: Case, sample: Sample | None, begins: bool) -> None:
        if sample is not None:
            self._record_prompts(sample)
        self._store.finish_case(case, begins=begins, sample=sample)

    def _record_prompts(self, sample: Sample) -> None:
        for task, (number, sha256) in sample.prompts.items():
            if (task, number) in self._recorded_prompts:
                continue
            recorded = {version.version: version.sha256 for version in self._store.prompts(task)}
            if recorded.get(number, sha256) == sha256:
                versions = self._library.versions(task)
                self._store.save_prompts(
                    version.model_copy(update={"text": self._redactor.text(version.text)})
                    for version in versions
                    if version.version == number
                )
            else:
                # The sample says by its hash what it used; the record of the version stays as it is.
                self.edited.append(
                    f"prompt '{task}' v{number} was edited since an earlier run recorded it (sha256 "
                    f"{recorded[number][:8]} then, {sha256[:8]} now); scores under one number no longer "
                    f"mean one text: put the text back and make a new version: `kaizen prompts new {task}`"
                )
            self._recorded_prompts.add((task, number))
