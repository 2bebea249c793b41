"""A process between a worker and an agent's program, so that the program does not outlive the worker.

It is run by its path and imports nothing of the package. Its arguments are the length of the input, the
most bytes of the answer, the most of standard error, and the words of the program. Standard input brings
the program's input and stays open: its end, which also ``kill -9`` brings about, says that the program is
to be ended, with all that it has started. Standard output has in the end a line of JSON, then the answer.

On POSIX the program has a session of its own, which is ended as a whole; what leaves that session is not
ended. On Linux the program also dies with this process. On Windows the program alone is ended, without
what it has started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, NoReturn

_CHUNK = 1 << 16
#: What the program wrote before its end is read in much less; whoever left its session may hold the pipe.
_DRAIN_S = 10.0
_PR_SET_PDEATHSIG = 1


class _Answer:
    """Standard output of the program, as long as it is not too long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.kept = bytearray()
        self.too_long = False

    def read(self, source: IO[bytes], on_excess: Callable[[], None]) -> None:
        """Read to the end, or until it is too long."""
        while chunk := os.read(source.fileno(), _CHUNK):
            if len(self.kept) + len(chunk) > self._most:
                self.too_long = True
                on_excess()
                return
            self.kept += chunk


class _LastWords:
    """The end of standard error of the program."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.kept = b""
        self.size = 0

    def read(self, source: IO[bytes]) -> None:
        """Read to the end."""
        while chunk := os.read(source.fileno(), _CHUNK):
            self.size += len(chunk)
            self.kept = (self.kept + chunk)[-self._most :]


def main(size: int, most_answer: int, most_error: int, words: list[str]) -> None:
    """Run the program and report what came of it."""
    given = sys.stdin.buffer.read(size)
    if len(given) < size:
        # The worker is gone already.
        return
    try:
        program = _started(words, given)
    except (OSError, ValueError) as exc:
        _report({"refused": str(exc)})
    threading.Thread(target=_end_with_the_worker, args=(program,), daemon=True).start()
    answer, last_words = _Answer(most_answer), _LastWords(most_error)
    assert program.stdout is not None
    assert program.stderr is not None
    readers = [
        threading.Thread(target=answer.read, args=(program.stdout, lambda: _end(program)), daemon=True),
        threading.Thread(target=last_words.read, args=(program.stderr,), daemon=True),
    ]
    for reader in readers:
        reader.start()
    status = program.wait()
    # What it has left behind would hold the pipes, and nobody would end it.
    _end(program)
    for reader in readers:
        reader.join(_DRAIN_S)
    said = {"said": last_words.kept.decode("utf-8", "replace"), "said_bytes": last_words.size}
    _report({"status": status, "too_long": answer.too_long, **said}, bytes(answer.kept))


def _started(words: list[str], given: bytes) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() as to:
        to.write(given)
        to.seek(0)
        return subprocess.Popen(
            words,
            stdin=to,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            # Nothing else runs in this process yet, so that it is safe.
            preexec_fn=_dying_with_this_process(),
        )


def _dying_with_this_process() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    warden = os.getpid()

    def die_with_it() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != warden:
            os._exit(1)

    return die_with_it


def _end_with_the_worker(program: subprocess.Popen[bytes]) -> NoReturn:
    sys.stdin.buffer.read()
    _end(program)
    os._exit(1)


def _end(program: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        program.kill()
    else:
        # There may be nothing left; macOS says so of what nobody has waited for in other words.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(program.pid, signal.SIGKILL)


def _report(found: dict[str, object], answer: bytes = b"") -> NoReturn:
    sys.stdout.buffer.write(json.dumps(found).encode() + b"\n" + answer)
    sys.stdout.buffer.flush()
    # Not by the interpreter's own end, which waits for whoever reads standard input.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
