"""A process that asks for the first key of a server with several threads at once: ``first_key.py STORE``.

It says when it is ready, begins when it is told to, and prints each key that it got.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_kaizen.store.workspaces import Workspaces


def main() -> None:
    where = sys.argv[1]
    workspaces = Workspaces.open(where if where.startswith("postgresql:") else Path(where))
    with ThreadPoolExecutor(4) as pool:
        print("ready", flush=True)
        sys.stdin.readline()
        for made in pool.map(lambda label: workspaces.central.keys.first("default", label=label), "abcd"):
            if made is not None:
                print(made[1], flush=True)
    workspaces.close()


if __name__ == "__main__":
    main()
