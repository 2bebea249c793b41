"""Checks that strangers wrote, run beside this process, which ends them when they take too long.

A regular expression may take longer than anybody lives, and Python's engine cannot be interrupted: while
it searches, no other thread runs. So the search is done by a helper process, which is killed for it. The
patterns of JSON schemas and JSON paths are such expressions too.
"""

from __future__ import annotations

import atexit
import pickle
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Any

from ..errors import ScoreError
from .check import Check, CheckResult
from .checks import JsonPath, JsonSchema, Regex

#: Seconds for one check, of which an honest one takes a thousandth.
LIMIT_S = 5.0
#: Seconds for the helper to start.
_START_S = 120.0
_LENGTH = 8


def guarded(check: Check) -> Check:
    """Return a check that ends in time."""
    return Guarded(check, LIMIT_S) if isinstance(check, Regex | JsonSchema | JsonPath) else check


class Guarded:
    """A check that is run by the helper process; see ``Check``.

    Args:
        check: The check.
        limit_s: Seconds that it may take.
    """

    def __init__(self, check: Check, limit_s: float) -> None:
        self._check = check
        self._limit_s = limit_s

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return self._check.expected

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002
        """Look at one output; see ``Check``.

        Raises:
            ScoreError: It took too long, or could not be carried out.
        """
        answer = _HELPER.ask((self._check, output, input, reference), self._limit_s)
        if isinstance(answer, CheckResult):
            return answer
        raise ScoreError(answer)


class _Helper:
    """The process, started when it is first asked and again after it was killed. One at a time asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask(self, question: Any, limit_s: float) -> Any:
        text = pickle.dumps(question)
        with self._lock:
            try:
                process = self._started()
                assert process.stdin is not None
                _write(process.stdin, text)
                answer = self._answers.get(timeout=limit_s)
            except queue.Empty:
                self.close()
                return f"the check took longer than {limit_s:g} s and was ended"
            except OSError:
                answer = None
            if answer is None:
                self.close()
                return "the process that runs checks ended"
            return answer

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(OSError):
                process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._answers = queue.SimpleQueue()
            command = [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._process = process
            assert process.stdout is not None
            read = (process.stdout, self._answers)
            threading.Thread(target=_read_all, args=read, name="kaizen-checks", daemon=True).start()
            self._answers.get(timeout=_START_S)
        return self._process


def serve() -> None:
    """Run checks for the process that started this one, until it closes the pipe."""
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    _write(answers, pickle.dumps("ready"))
    while (text := _read(given)) is not None:
        check, output, value, reference = pickle.loads(text)
        answer: Any
        try:
            answer = check.run(output, input=value, reference=reference)
        except ScoreError as exc:
            answer = str(exc)
        except Exception as exc:
            answer = f"the check broke: {type(exc).__name__}: {exc}"
        _write(answers, pickle.dumps(answer))


def _read_all(pipe: IO[bytes], answers: queue.SimpleQueue[Any]) -> None:
    with suppress(OSError, ValueError):
        while (text := _read(pipe)) is not None:
            answers.put(pickle.loads(text))
    answers.put(None)


def _read(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH)
    text = pipe.read(int.from_bytes(head)) if len(head) == _LENGTH else b""
    return text or None


def _write(pipe: IO[bytes], text: bytes) -> None:
    pipe.write(len(text).to_bytes(_LENGTH) + text)
    pipe.flush()


_HELPER = _Helper()
atexit.register(_HELPER.close)
