"""The errors that pytest-kaizen raises, as one tree.

::

    KaizenError                  everything below; catch this one
    ├── UsageError               the user's input is wrong: carries file, line and cure
    │   ├── ConfigError          an option, an ini key, an environment variable or kaizen.yaml
    │   ├── MarkerError          the arguments of a marker
    │   ├── RubricError          a rubric file
    │   ├── PromptError          a prompt file, its variables, kaizen.lock
    │   └── CassetteError        a cassette file: broken, of a newer release, not writable
    ├── CaptureError             a request to something that cannot be captured or is not being captured
    ├── LLMError                 a model call of our own (judge, reflection) failed
    │   └── BudgetExceeded       the spend cap was reached before the call
    ├── ScoreError               a scorer could not give a score
    ├── StoreError               the database: cannot be opened, written or understood
    │   └── StoreBusy            too many writes are waiting; later there may be room
    ├── JobError                 a job cannot be had: another one is active, or another process has it
    ├── WorkerError              a process that runs a suite's cases could not start, died or hung
    ├── ProposalError            git or the git host refused a step on the way to a pull request
    └── PlatformError            a platform cannot be reached, refused, or answered what it never promised
        ├── CTError              Kaizen CT
        │   ├── CTAuthError          401: the key is unknown
        │   ├── CTNotFoundError      404
        │   ├── CTValidationError    422, or arguments that were not sent because they cannot be right
        │   └── CTServerError        5xx
        ├── KaybaAPIError        Kayba: carries a code
        ├── KalmiaError          Kalmia
        └── KateError            Kate

    ReplayError                  a request that a cassette cannot answer; no Exception, as it says there
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class KaizenError(Exception):
    """Base class of all errors raised on purpose by pytest-kaizen."""


class UsageError(KaizenError):
    """The user's input is wrong.

    Args:
        message: What is wrong and what to do about it.
        path: The file the mistake is in, if it is in a file.
        line: Its line, counted from 1.

    ``str(error)`` is ``path:line: message``, the form that editors and CI systems turn into links.
    """

    def __init__(self, message: str, *, path: Path | str | None = None, line: int | None = None) -> None:
        self.message = message
        self.path = Path(path) if path is not None else None
        self.line = line
        place = "" if self.path is None else f"{self.path}:" if line is None else f"{self.path}:{line}:"
        super().__init__(f"{place} {message}" if place else message)


class ConfigError(UsageError):
    """An option, an ini key, an environment variable or ``kaizen.yaml`` is wrong."""


class MarkerError(UsageError):
    """A ``kaizen…`` marker has arguments that it does not take."""


class RubricError(UsageError):
    """A rubric file is missing, is not YAML or does not say what a rubric must say."""


class PromptError(UsageError):
    """A prompt is missing, was edited after it was locked, or does not fit its variables."""


class CassetteError(UsageError):
    """A cassette cannot be read, is no cassette, is of a newer release or cannot be written."""


class CaptureError(KaizenError):
    """Something was asked of the capture that it cannot give."""


class LLMError(KaizenError):
    """A model call made by pytest-kaizen itself failed.

    Args:
        message: What happened.
        status: The HTTP status, when there was an answer.
        transient: Whether the same call may succeed later.
        unsent: Whether nothing was sent, so that the call cost nothing.
    """

    def __init__(
        self, message: str, *, status: int | None = None, transient: bool = False, unsent: bool = False
    ) -> None:
        self.status = status
        self.transient = transient
        self.unsent = unsent
        super().__init__(message)


class BudgetExceeded(LLMError):  # noqa: N818 - it names what happened, as the SDKs do
    """A model call was refused because the spend cap would have been passed."""


class ScoreError(KaizenError):
    """A scorer could not give a score; the sample stays unscored, which is neither 0 nor a pass.

    Args:
        message: What happened.
        transient: Whether the same scorer may give one later.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        self.transient = transient
        super().__init__(message)


class StoreError(KaizenError):
    """The store cannot be opened, written or understood.

    Args:
        message: What happened and what to do about it.
        path: The database file, or on which server the database is, without its password.
        transient: Whether the same may succeed later, as after a lock or a lost connection.
    """

    def __init__(self, message: str, *, path: Path | str | None = None, transient: bool = False) -> None:
        self.path = path
        self.transient = transient
        super().__init__(f"{self.path}: {message}" if self.path is not None else message)


class StoreBusy(StoreError):  # noqa: N818 - it names what happened
    """More writes are waiting than the store takes; the same may succeed later."""

    def __init__(self, message: str, *, path: Path | str | None = None) -> None:
        super().__init__(message, path=path, transient=True)


class JobError(KaizenError):
    """A job cannot be started, gone on with or written: another is active, or another process has it."""


class WorkerError(KaizenError):
    """A process that runs a suite's cases under candidate prompts could not start, died or hung."""


class ProposalError(KaizenError):
    """A proposal cannot be brought to its repository: git or the git host refused a step.

    Args:
        message: What happened.
        status: The HTTP status of a git host's answer, when it was an error.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class PlatformError(KaizenError):
    """A platform cannot be reached, refused a call, or answered something else than it promises.

    No part of it holds the key.

    Args:
        message: What was asked and what came of it.
        status_code: The HTTP status, when there was an answer.
        detail: What the platform said about it: its ``detail``, else its error as it came.
        transient: Whether the same call may succeed later as it is.
        retry_after: Seconds to wait before that, when the platform said so.
    """

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        detail: Any = None,
        *,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.message = message
        self.status_code = status_code
        self.detail = detail
        self.transient = transient
        self.retry_after = retry_after
        super().__init__(message)


class CTError(PlatformError):
    """A call to Kaizen CT failed."""


class CTAuthError(CTError):
    """Kaizen CT does not know the key (401)."""


class CTNotFoundError(CTError):
    """Kaizen CT does not have what was asked for (404)."""


class CTValidationError(CTError):
    """Kaizen CT found the request wrong (422), or it was not sent because it cannot be right."""


class CTServerError(CTError):
    """Kaizen CT failed (5xx)."""


class KaybaAPIError(PlatformError):
    """A call to Kayba failed.

    Args:
        code: Kayba's own code, or ``AUTH_MISSING`` (no key is set), ``API_ERROR`` (an error without
            structure), ``UNKNOWN`` (an error without a code), ``HTTP_ERROR`` (an answer that is not
            the promised JSON), ``CONNECTION_ERROR``, ``TIMEOUT``, ``INVALID_REQUEST`` (not sent).
        message: What Kayba said, else what happened.
        status_code: The HTTP status, when there was an answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status_code: int | None = None,
        detail: Any = None,
        *,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.code = code
        super().__init__(message, status_code, detail, transient=transient, retry_after=retry_after)
        # What another process makes it of again.
        self.args = (code, message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class KalmiaError(PlatformError):
    """A call to Kalmia failed."""


class KateError(PlatformError):
    """A call to Kate failed."""


class ReplayError(BaseException):
    """A request is to be replayed and cannot be.

    It is no ``Exception``, as what ``pytest.fail`` raises is none: an SDK would take it for a lost
    connection, try again and report that; and a program's own ``except Exception`` would hide it.
    """
