"""Sends what is owed without a session: ``kaizen sync``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ...config import Config
from ...errors import ConfigError
from ...report.plain import plain
from ...store import Store
from .backend import Backend
from .dispatch import Dispatch, new_loop
from .lines import Upload, uploads
from .registry import BACKENDS, open_backend

#: Seconds between two looks at what has changed, for whoever watches.
_LOOK_S = 1.0
#: Seconds that a command waits, at most, for a server that has asked for a pause.
_LONGEST_PAUSE_S = 30.0


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
