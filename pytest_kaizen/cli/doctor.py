"""``kaizen doctor``: what is installed, set and owed."""

from __future__ import annotations

import argparse
import json
import os

from pytest_kaizen.errors import ConfigError
from pytest_kaizen.pipeline.checkup import check_up, installation
from pytest_kaizen.report.checkup import checkup_text

from .context import config_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Say what is installed, which store is worked on, what is owed to platforms, which settings come "
        "from where, and which keys are set, never what they are. Exits 1 where something is broken."
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    try:
        found = check_up(config_for(args), os.environ)
    except ConfigError as exc:
        # A wrong setting is what a doctor is asked about.
        found = installation()
        found["errors"].append(str(exc))
    print(json.dumps(found, indent=2) if args.json else checkup_text(found))
    return int(bool(found["errors"]))
