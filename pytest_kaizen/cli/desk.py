"""Where the commands on traces, insights and jobs find them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .context import config_for

if TYPE_CHECKING:
    from pytest_kaizen.pipeline.desk import LocalDesk


@contextmanager
def open_desk(args: argparse.Namespace, *, readonly: bool = False) -> Iterator[LocalDesk]:
    """Open the store of the project that a command works on.

    Args:
        args: The parsed arguments.
        readonly: Only read; a store that is not there is an error then.

    Raises:
        KaizenError: A setting is wrong, or the store cannot be opened.
    """
    # Not what `kaizen prompts list` and `kaizen traces list` should wait for.
    from pytest_kaizen.capture import Redactor
    from pytest_kaizen.pipeline.desk import LocalDesk
    from pytest_kaizen.store import Store

    config = config_for(args)
    with Store.open(config.store, readonly=readonly) as store:
        yield LocalDesk(config, store, Redactor(os.environ, config.redact))
