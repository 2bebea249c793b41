"""A process with a worker, for a test that kills it: the store's place is its argument."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pytest_kaizen.config import Config
from pytest_kaizen.server.work.worker import Worker
from pytest_kaizen.store.workspaces import Workspaces

if __name__ == "__main__":
    workspaces = Workspaces.open(sys.argv[1])
    with Worker(Config(root=Path(), store=Path("unused.db")), workspaces):
        while True:
            time.sleep(1)
