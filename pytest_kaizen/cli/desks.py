"""Where commands find what they work on: the store of the project, or a server that was named.

Each platform's part is opened by a call of its own, and both places answer the same calls.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ..errors import PlatformError
from ..models.job import FINAL
from ..report.text import safe_text
from .configuration import config_for
from .options import Target, target_of
from .terminal import progress

if TYPE_CHECKING:
    from ..pipeline.desks.kalmia import LocalKalmia
    from ..pipeline.desks.kayba import LocalDesk
    from ..pipeline.desks.servers import ServerDesk, ServerKalmia
    from ..pipeline.desks.tasks_agents import LocalCT, LocalKate
    from ..platforms.kaizen_ct.client import CTClient
    from ..platforms.kate.client import KateClient


#: A call may be long, as files are uploaded by slow lines too; a server that is silent is not waited for.
_KAYBA_TIMEOUTS_S = {"connect": 5.0, "read": 60.0, "total": 600.0}

#: Both have the same calls, but for how a job is done.
Desk: TypeAlias = "LocalDesk | ServerDesk"

Kalmia: TypeAlias = "LocalKalmia | ServerKalmia"
CT: TypeAlias = "LocalCT | CTClient"
Kate: TypeAlias = "LocalKate | KateClient"

T = TypeVar("T")
#: Seconds for a call: some have a model read many traces, for which a server of ours waits 600 seconds.
_KALMIA_TIMEOUT_S = 660.0


@contextmanager
def open_desk(args: argparse.Namespace, *, readonly: bool = False, uploads: bool = False) -> Iterator[Desk]:
    """Open the store of the project that a command works on, or speak to the server that was named.

    Args:
        args: The parsed arguments, with those of ``add_target_options``.
        readonly: Only read; a store that is not there is an error then.
        uploads: Traces that are stored here are owed to the backends in use.

    Raises:
        KaizenError: A setting is wrong, the store cannot be opened, or a call to the server failed.
    """
    target = target_of(args, "kayba")
    if target is not None:
        with open_server_desk(target) as desk:
            yield desk
        return
    # Not what `kaizen prompts list` and `kaizen traces list` should wait for.
    from ..capture import Redactor
    from ..pipeline.desks.kayba import LocalDesk
    from ..store import Store

    config = config_for(args)
    if uploads:
        from ..pipeline.writer import open_store

        opened = open_store(config)
    else:
        opened = Store.open(config.store, readonly=readonly)
    with opened as store:
        yield LocalDesk(config, store, Redactor(os.environ, config.redact))


@contextmanager
def open_server_desk(target: Target) -> Iterator[ServerDesk]:
    """Speak Kayba's API to a server.

    Raises:
        PlatformError: A call in the block failed.
    """
    from ..pipeline.desks.servers import ServerDesk
    from ..platforms import Timeouts
    from ..platforms.kayba.client import KaybaClient

    with target.speaking(), KaybaClient(target.key, target.url, Timeouts(**_KAYBA_TIMEOUTS_S)) as client:
        yield ServerDesk(client)


def wait_for_job(desk: Desk, job_id: str, interval_s: float, again: str) -> dict[str, Any]:
    """Wait until a job that others do has come to an end, and return how it stands.

    Args:
        desk: Where the job is.
        job_id: The job.
        interval_s: Seconds between two looks at it.
        again: The command that waits again, for whoever has enough of waiting.

    Raises:
        KaizenError: There is no such job, or the server does not say.
    """
    job = desk.get_job(job_id)
    try:
        with progress(f"job {job_id}") as say:
            while job["status"] not in FINAL:
                say(": ".join(filter(None, (job["status"], job.get("step")))))
                time.sleep(interval_s)
                job = desk.get_job(job["jobId"])
    except (KeyboardInterrupt, PlatformError):
        print(safe_text(f"job {job['jobId']} goes on; to wait again: {again}"), file=sys.stderr)
        raise
    return job


@contextmanager
def open_kalmia(
    args: argparse.Namespace, *, readonly: bool = False, on_step: Callable[[str], object] = str
) -> Iterator[Kalmia]:
    """Open the place of experiments, behaviours, annotations and ratings.

    Args:
        args: The parsed arguments, with those of ``add_target_options``.
        readonly: Only read; a store that is not there is an error then.
        on_step: Is told how far long work is that this process does.

    Raises:
        KaizenError: A setting is wrong, the store cannot be opened, or a call to the server failed.
    """
    target = target_of(args, "kalmia")
    if target is not None:
        from ..pipeline.desks.servers import ServerKalmia

        with target.speaking(), ServerKalmia(target.key, target.url, _KALMIA_TIMEOUT_S) as server:
            yield server
        return
    from ..capture import Redactor
    from ..pipeline.desks.kalmia import LocalKalmia
    from ..store import Store

    config = config_for(args)
    with Store.open(config.store, readonly=readonly) as store:
        yield LocalKalmia(config, store, Redactor(os.environ, config.redact), on_step)


@contextmanager
def open_kate(args: argparse.Namespace, *, readonly: bool = False) -> Iterator[Kate]:
    """Open the place of agents and their runs; its calls are run by ``ask``. Raises as ``open_kalmia``."""
    target = target_of(args, "kate")
    if target is not None:
        from ..platforms.connections import BACKGROUND
        from ..platforms.kate.client import KateClient

        with target.speaking():
            client = KateClient(target.key, target.url)
            try:
                yield client
            finally:
                BACKGROUND.run(client.close())
        return
    from ..capture import Redactor
    from ..pipeline.desks.tasks_agents import LocalKate
    from ..store import Store

    config = config_for(args)
    with Store.open(config.store, readonly=readonly) as store:
        yield LocalKate(config, store, Redactor(os.environ, config.redact))


@contextmanager
def open_ct(args: argparse.Namespace, *, readonly: bool = False) -> Iterator[CT]:
    """Open the place of tasks, feedback and scores; raises as ``open_kalmia``."""
    target = target_of(args, "kaizen-ct")
    if target is not None:
        with ct_client(target) as client:
            yield client
        return
    from ..pipeline.desks.tasks_agents import LocalCT
    from ..store import Store

    with Store.open(config_for(args).store, readonly=readonly) as store:
        yield LocalCT(store)


@contextmanager
def ct_client(target: Target) -> Iterator[CTClient]:
    """Speak Kaizen CT's API to a server.

    Raises:
        PlatformError: A call in the block failed.
    """
    from ..platforms.kaizen_ct.client import CTClient

    with target.speaking(), CTClient(target.key, target.url) as client:
        yield client


@contextmanager
def reading(args: argparse.Namespace) -> Iterator[Kalmia]:
    """Open the same place for a model to read traces, and show how far that is; raises as it does."""
    try:
        with progress("reading traces") as say, open_kalmia(args, on_step=say) as kalmia:
            yield kalmia
    except KeyboardInterrupt:
        print("broken off; the same command goes on with it", file=sys.stderr)
        raise


def ask(call: Coroutine[Any, Any, T]) -> T:
    """Wait for a call of Kate's and return its answer."""
    from ..platforms.connections import BACKGROUND

    return BACKGROUND.run(call)


def show(args: argparse.Namespace, found: T, text: Callable[[T], str]) -> int:
    """Print what a command found and return its exit status: with ``--json`` as JSON, else as text.

    A platform's answer is JSON as the platform has it, a list of them a bare array.
    """
    print(json.dumps(_plain(found), indent=2) if args.json else text(found))
    return 0


def _plain(found: Any) -> Any:
    if isinstance(found, list):
        return [_plain(item) for item in found]
    return found.to_json() if hasattr(found, "to_json") else found
