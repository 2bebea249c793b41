"""Where the commands on traces, insights and jobs find them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from .context import config_for
from .target import Target, target_of

if TYPE_CHECKING:
    from pytest_kaizen.pipeline.desk import LocalDesk
    from pytest_kaizen.pipeline.server_desk import ServerDesk

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
    from pytest_kaizen.pipeline.desk import LocalDesk
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
    from pytest_kaizen.pipeline.server_desk import ServerDesk
    from pytest_kaizen.platforms.kayba.client import KaybaClient

    with target.speaking(), KaybaClient(target.key, target.url) as client:
        yield ServerDesk(client)
