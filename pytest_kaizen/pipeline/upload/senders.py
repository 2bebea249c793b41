"""Who sends what is owed, a session in its background or ``kaizen sync``, and what they say about it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Bound at import, so that a test which stops the clock cannot hang us.
from time import monotonic
from typing import Any

from ...config import Config
from ...errors import ConfigError, PlatformError
from ...models import BackendState
from ...report.text import plain
from ...store import Store
from . import BACKENDS, Backend, Follows, open_backend
from .dispatch import Dispatch, new_loop

_NEXT = "they go with the next run or `kaizen sync`"

#: Seconds to wait for the writing lock of the store, which is held for less than a millisecond.
_LOCK_S = 5.0
#: Seconds for a cancelled upload to note what arrived.
_GRACE_S = 0.5

#: Seconds between two looks at what has changed, for whoever watches.
_LOOK_S = 1.0
#: Seconds that a command waits, at most, for a server that has asked for a pause.
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Upload:
    """How far the upload to one backend has come.

    Attributes:
        state: Of its outbox.
        sent: Parcels that this process sent.
        why: Why something is still owed, where that is known.
    """

    state: BackendState
    sent: int = 0
    why: str | None = None

    @property
    def line(self) -> str:
        """The line that a session ends with."""
        state, aside = self.state, [f"{self.state.set_aside} set aside"] if self.state.set_aside else []
        if state.owed:
            counts = ", ".join([f"{state.owed} owed, {self.sent} sent", *aside])
            why = f": {self.why}" if self.why else ""
            return plain(f"{state.backend}: {counts} ({_NEXT}){why}")
        counts = ", ".join([f"{self.sent} sent" if self.sent else "nothing owed", *aside])
        why = f": {state.refused[0]}" if state.refused else ""
        return plain(f"{state.backend}: {counts}{why}")

    @property
    def status(self) -> str:
        """The line of ``kaizen sync --status``."""
        state = self.state
        line = f"{state.backend}: {state.owed} owed, {state.acknowledged} sent, {state.set_aside} set aside"
        if state.owed and state.reason:
            until = f" (next attempt {state.next_at:%Y-%m-%d %H:%M:%S} UTC)" if state.next_at else ""
            line += f"; last attempt: {state.reason}{until}"
        if state.set_aside:
            line += " (to send that again: `kaizen sync --set-aside`)"
        return plain("\n  set aside: ".join([line, *state.refused]))

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {**self.state.model_dump(mode="json"), "sent": self.sent, "why": self.why}


def uploads(
    dispatch: Dispatch | None,
    states: Iterable[BackendState],
    names: Iterable[str],
    unopened: Mapping[str, str] | None = None,
) -> list[Upload]:
    """Say how far the upload to each backend has come.

    Args:
        dispatch: What sent; None when it never began.
        states: How the backends stand now.
        names: The backends in use.
        unopened: Why a backend could not be used at all.
    """
    known = {state.backend: state for state in states}
    found = []
    for name in names:
        state = known.get(name, BackendState(backend=name))
        courier = dispatch.couriers.get(name) if dispatch else None
        why = (unopened or {}).get(name) or (courier.stopped if courier else None) or state.reason
        if not dispatch and why is None:
            why = "there was no time to begin"
        if dispatch and dispatch.elsewhere:
            why = "another process is sending them"
        found.append(Upload(state, courier.sent if courier else 0, why))
    return found


class Uploader:
    """Sends what is owed from a daemon thread with an event loop and a store connection of its own.

    Whatever a server does, the process can end: nothing is waited for but within ``close``.

    Args:
        path: The store's file.
        backends: Where to.
        timeout_s: Seconds that ``close`` waits at most.
    """

    def __init__(self, path: Path, backends: Sequence[Backend], timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._backends = backends
        self._lines: list[str] = []
        self._failed: str | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.dispatch: Dispatch | None = None
        self._thread = threading.Thread(target=self._work, name="kaizen-upload", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self, *, at_once: bool = False) -> list[str]:
        """Send what there is time for, and return the lines that backends have to say.

        It takes half a second more at most, for noting what arrived.

        Args:
            at_once: Send nothing more.
        """
        if self._thread.ident is None:
            return []
        try:
            deadline = monotonic() + (0.0 if at_once else self._timeout_s)
            # The thread is there after a few milliseconds, or on a machine that has no time for it.
            self._ready.wait(max(_GRACE_S, deadline - monotonic()))
            self._call("closing")
            self._thread.join(max(0.0, deadline - monotonic()))
            if self._thread.is_alive():
                self._call("cancel")
                self._thread.join(_GRACE_S)
        except KeyboardInterrupt:
            self._call("cancel")
        return [*self._lines, *([f"upload: {self._failed}"] if self._failed else [])]

    def _call(self, what: str) -> None:
        loop, dispatch, task = self._loop, self.dispatch, self._task
        if loop is None or dispatch is None or task is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(dispatch.closing.set if what == "closing" else task.cancel)
        except RuntimeError:
            # It was closed in this moment: everything is sent.
            return

    def _work(self) -> None:
        try:
            with (
                Store.open(self._path, timeout=_LOCK_S) as store,
                asyncio.Runner(loop_factory=new_loop) as runner,
            ):
                runner.run(self._send(store))
        except asyncio.CancelledError:
            return
        except Exception as exc:
            # A thread has nobody to raise to, and no upload may break a session.
            self._failed = str(exc) or type(exc).__name__
        finally:
            self._ready.set()

    async def _send(self, store: Store) -> None:
        self.dispatch = Dispatch(store, self._backends, self._lines.append, longest_pause_s=self._timeout_s)
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._ready.set()
        await self.dispatch.run()


class SessionUpload:
    """Uploads the run of a session, and what earlier ones still owe.

    Args:
        config: Says where to.
        env: Has the keys.

    Raises:
        ConfigError: A key is missing, or a setting cannot be right; nothing was sent.
    """

    def __init__(self, config: Config, env: Mapping[str, str]) -> None:
        self._config = config
        self._env = env
        backends = [open_backend(name, config, env) for name in config.upload_to]
        self._uploader = Uploader(config.store, backends, config.upload_timeout_s)

    def start(self) -> None:
        """Begin to send in the background."""
        self._uploader.start()

    def finish(self, store: Store, *, interrupted: bool) -> list[str]:
        """Come to an end within the upload timeout, at once if the session was broken off.

        Returns:
            What there is to say, line by line.
        """
        lines = self._uploader.close(at_once=interrupted)
        found = uploads(self._uploader.dispatch, store.outbox.states(), self._config.upload_to)
        return [*map(plain, lines), *(upload.line for upload in found)]

    def stop(self) -> None:
        """End it at once; what did not arrive is owed."""
        self._uploader.close(at_once=True)

    def follow(self, store: Store, run_id: str, say: Callable[[str], None]) -> None:
        """Wait for the work that was begun at the platforms for a run."""
        for name in self._config.upload_to:
            backend = open_backend(name, self._config, self._env)
            if isinstance(backend, Follows) and (remote := store.outbox.remote(name, run_id)):
                with asyncio.Runner(loop_factory=new_loop) as runner:
                    try:
                        runner.run(backend.follow(remote, lambda line: say(plain(line))))
                    except KeyboardInterrupt:
                        say(f"{name}: not waited for any longer; the work there goes on")
                        return
                    except PlatformError as exc:
                        say(plain(f"{name}: not followed any more: {exc}"))
                    finally:
                        runner.run(backend.aclose())


class Sync:
    """Sends to the backends in use, and to those that earlier runs owe something.

    A backend that cannot be used (its key is missing) is told so, and the others are served.

    Args:
        config: The project's configuration.
        store: Its store.
        env: Has the keys.
        say: Tells the user a line.
    """

    def __init__(
        self, config: Config, store: Store, env: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._store = store
        self._say = say
        owed = [state.backend for state in store.outbox.states() if state.owed and state.backend in BACKENDS]
        self._names = tuple(dict.fromkeys((*config.upload_to, *owed)))
        self._unopened: dict[str, str] = {}
        self._backends: list[Backend] = []
        self._dispatch: Dispatch | None = None
        for name in self._names:
            try:
                self._backends.append(open_backend(name, config, env))
            except ConfigError as exc:
                self._unopened[name] = exc.message

    @property
    def uploads(self) -> list[Upload]:
        """How far the upload to each backend has come."""
        return uploads(self._dispatch, self._store.outbox.states(), self._names, self._unopened)

    def once(self) -> None:
        """Send what is owed now, whatever pauses an earlier session began.

        Raises:
            StoreError: The outbox cannot be read or written.
        """
        self._run(patient=False, watch=False)

    def watch(self) -> None:
        """Send what is owed as it comes, until interrupted; say when something was sent.

        Raises:
            StoreError: The outbox cannot be read or written.
        """
        self._run(patient=True, watch=True)

    def _run(self, *, patient: bool, watch: bool) -> None:
        async def run() -> None:
            self._dispatch = Dispatch(
                self._store,
                self._backends,
                lambda line: self._say(plain(line)),
                patient=patient,
                longest_pause_s=_LONGEST_PAUSE_S,
            )
            if not watch:
                self._dispatch.closing.set()
                await self._dispatch.run()
                return
            telling = asyncio.create_task(self._tell())
            try:
                await self._dispatch.run()
            finally:
                telling.cancel()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(run())

    async def _tell(self) -> None:
        told: list[str] = []
        while True:
            lines = [upload.line for upload in self.uploads]
            for line in lines:
                if line not in told:
                    self._say(line)
            told = lines
            await asyncio.sleep(_LOOK_S)
