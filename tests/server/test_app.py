"""What a server loads before it answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """\
import asyncio, json, sys
from pathlib import Path
from pytest_kaizen.config import load_config
from pytest_kaizen.server.app import create_app
from pytest_kaizen.store.workspaces import Workspaces

workspaces = Workspaces.open(Path(sys.argv[1]))
app = create_app(load_config(Path(sys.argv[1]), env={}), workspaces)
before = set(sys.modules)
document = json.loads(app.state.openapi)
proxy = app.state.proxy
assert app.state.proxy is proxy
asyncio.run(app.state.close())
workspaces.close()
print(*before)
print(*sys.modules)
print(len(document["paths"]))
"""


def test_a_server_starts_without_the_http_clients_of_its_proxy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    before, after, paths = done.stdout.splitlines()
    late = {"aiohttp", "httpx", "pytest_kaizen.server.proxy.forward"}
    assert (late | {"cryptography", "jinja2"}).isdisjoint(before.split())
    assert late <= set(after.split())
    assert int(paths) > 40
