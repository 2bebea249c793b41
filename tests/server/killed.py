"""A process with a worker, for a test that kills it.

Its arguments: the store's place, and after how many seconds without a sign of life a job is dead.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pytest_kaizen.config import Config
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.server import worker
from pytest_kaizen.store.workspaces import Workspaces

if __name__ == "__main__":
    jobs.LEASE_S = float(sys.argv[2])
    worker._SWEEP_S = 0.5
    workspaces = Workspaces.open(sys.argv[1])
    with worker.Worker(Config(root=Path(), store=Path("unused.db")), workspaces):
        while True:
            time.sleep(1)
