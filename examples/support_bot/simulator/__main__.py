"""Run a command with the simulator in the model's place: ``python -m simulator kaizen optimize …``."""

from __future__ import annotations

import os
import subprocess
import sys

from . import simulated_model


def main() -> int:
    """Run the command given as arguments and return its exit status."""
    print("support_bot: answers come from a model SIMULATOR", file=sys.stderr)
    with simulated_model() as llm:
        return subprocess.run(sys.argv[1:], env={**os.environ, **llm.environ}, check=False).returncode


sys.exit(main())
