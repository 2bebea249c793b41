"""A process that stores traces in groups: ``group_writer.py STORE WORKSPACE``.

Each is announced when it is acknowledged, until the process is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from pytest_kaizen.models import Span, Trace, new_span_id
from pytest_kaizen.store import Store
from pytest_kaizen.store.workspaces import OpenWorkspace, Tending, Workspaces

NOW = datetime.now(UTC)


def adding(number: int) -> Callable[[Store], list[str]]:
    trace = Trace(
        id=f"t{number}",
        name="killed",
        created_at=NOW,
        output=f"{number}",
        spans=[Span(id=new_span_id(), name="chat", started_at=NOW)],
    )
    return lambda store: store.shelf.add([trace])


async def client(workspace: OpenWorkspace, numbers: itertools.count[int]) -> None:
    while True:
        number = next(numbers)
        await workspace.writer.submit(adding(number))
        print(number, flush=True)


async def clients(workspace: OpenWorkspace) -> None:
    numbers = itertools.count()
    await asyncio.gather(*(client(workspace, numbers) for _ in range(16)))


def main() -> None:
    workspaces = Workspaces.open(sys.argv[1])
    with Tending(workspaces):
        asyncio.run(clients(workspaces.get(sys.argv[2])))


if __name__ == "__main__":
    main()
