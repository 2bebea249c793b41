"""``kaizen doctor``: what is installed, set and owed."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from pytest_kaizen.errors import ConfigError, PlatformError
from pytest_kaizen.pipeline.checkup import check_up, installation
from pytest_kaizen.report.checkup import checkup_text

from .context import config_for
from .desk import open_server_desk
from .target import add_target_options, target_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Say what is installed, which store is worked on, what is owed to platforms, which settings come "
        "from where, and which keys are set, never what they are. Exits 1 where something is broken."
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    try:
        found = check_up(config_for(args), os.environ)
        _ask_server(args, found)
    except ConfigError as exc:
        # A wrong setting is what a doctor is asked about.
        found = installation()
        found["errors"].append(str(exc))
    print(json.dumps(found, indent=2) if args.json else checkup_text(found))
    return int(bool(found["errors"]))


def _ask_server(args: argparse.Namespace, found: dict[str, Any]) -> None:
    """See whether the server that was named answers, and takes the key."""
    try:
        target = target_of(args, "kayba")
        if target is None:
            return
        found |= {"target": f"the server {target.url}", "server": {"key_from": target.key_from}}
        with open_server_desk(target) as desk:
            desk.list_prompts()
    except PlatformError as exc:
        found["errors"].append(str(exc))
