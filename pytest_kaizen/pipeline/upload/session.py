"""What a session uploads: backends opened at its start, lines at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ...config import Config
from ...errors import PlatformError
from ...report.plain import plain
from ...store import Store
from .backend import Follows
from .dispatch import new_loop
from .lines import uploads
from .registry import open_backend
from .uploader import Uploader


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
