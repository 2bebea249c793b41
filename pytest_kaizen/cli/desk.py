"""Where the commands on traces, insights and jobs find them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.models.job import FINAL
from pytest_kaizen.report.text import safe_text

from .context import config_for
from .progress import progress
from .target import Target, target_of

if TYPE_CHECKING:
    from pytest_kaizen.pipeline.desks.kayba import LocalDesk
    from pytest_kaizen.pipeline.desks.kayba_server import ServerDesk

#: A call may be long, as files are uploaded by slow lines too; a server that is silent is not waited for.
_TIMEOUTS_S = {"connect": 5.0, "read": 60.0, "total": 600.0}

#: Both have the same calls, but for how a job is done.
Desk: TypeAlias = "LocalDesk | ServerDesk"


@contextmanager
def open_desk(args: argparse.Namespace, *, readonly: bool = False) -> Iterator[Desk]:
    """Open the store of the project that a command works on, or speak to the server that was named.

    Args:
        args: The parsed arguments, with those of ``add_target_options``.
        readonly: Only read; a store that is not there is an error then.

    Raises:
        KaizenError: A setting is wrong, the store cannot be opened, or a call to the server failed.
    """
    target = target_of(args, "kayba")
    if target is not None:
        with open_server_desk(target) as desk:
            yield desk
        return
    # Not what `kaizen prompts list` and `kaizen traces list` should wait for.
    from pytest_kaizen.capture import Redactor
    from pytest_kaizen.pipeline.desks.kayba import LocalDesk
    from pytest_kaizen.store import Store

    config = config_for(args)
    with Store.open(config.store, readonly=readonly) as store:
        yield LocalDesk(config, store, Redactor(os.environ, config.redact))


@contextmanager
def open_server_desk(target: Target) -> Iterator[ServerDesk]:
    """Speak Kayba's API to a server.

    Raises:
        PlatformError: A call in the block failed.
    """
    from pytest_kaizen.pipeline.desks.kayba_server import ServerDesk
    from pytest_kaizen.platforms.base.timeouts import Timeouts
    from pytest_kaizen.platforms.kayba.client import KaybaClient

    with target.speaking(), KaybaClient(target.key, target.url, Timeouts(**_TIMEOUTS_S)) as client:
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
