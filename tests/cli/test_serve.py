"""``kaizen serve`` and ``kaizen keys``, as an operator uses them."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.config import ServerConfig
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.store.workspaces import Workspaces

TIMEOUT_S = 120


@contextmanager
def serving(root: Path, rest: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process and stop it as an operator does; ``rest`` gets what it said last."""
    command = [sys.executable, "-m", "pytest_kaizen.cli", "--root", str(root), "serve", "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KAIZEN_SERVER_STORE": ""},
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            rest += process.communicate(timeout=TIMEOUT_S)


def line_of(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(pattern, line.rstrip("\n"))
    assert found is not None, line
    return found[1]


def bearer(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S)


def test_a_fresh_server_shows_its_first_key_once(tmp_path: Path) -> None:
    url = r"kaizen serves (http://127\.0\.0\.1:\d+) \(web page: http://127\.0\.0\.1:\d+/ui/; stop: Ctrl-C\)"
    first_key = r"key of the workspace 'default', shown this once: (kz_[\w-]{43})"
    rest: list[str] = []
    with serving(tmp_path, rest) as process:
        place, key = line_of(process, url), line_of(process, first_key)
        with bearer(place, key) as client:
            assert client.get("/health").json() == {"status": "ok"}
            assert client.get("/api/v1/traces").json() == {"traces": [], "next_cursor": None}
            sent = client.post("/api/v1/traces/ingest", json={"id": "t1", "output": "kept"})
            assert sent.json() == {"rejected": []}
    assert process.returncode == 0
    with serving(tmp_path, rest) as process:
        place = line_of(process, url)
        with bearer(place, key) as client:
            assert [trace["output"] for trace in client.get("/api/v1/traces").json()["traces"]] == ["kept"]
    assert process.returncode == 0
    assert rest == ["", "", "", ""]


def test_jobs_are_done_by_the_server_and_by_a_worker_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key for the model they fail, with that reason."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    rest: list[str] = []
    with serving(tmp_path, rest) as process:
        place = line_of(process, r"kaizen serves (http://\S+) .*")
        key = line_of(process, r"key of .*: (kz_\S+)")
        with bearer(place, key) as client:
            upload = {"traces": [{"filename": "a.md", "content": "# a", "fileType": "md"}]}
            assert client.post("/api/traces", json=upload).status_code == 200
            job = client.post("/api/insights/generate", json={}).json()["jobId"]
            end = time.monotonic() + TIMEOUT_S
            while (shown := client.get(f"/api/jobs/{job}").json())["status"] != "failed":
                assert time.monotonic() < end, shown
                time.sleep(0.05)
    assert "set ANTHROPIC_API_KEY" in shown["error"]
    assert process.returncode == 0

    workspaces = Workspaces.open(tmp_path / ".kaizen" / "server")
    workspace = workspaces.get(workspaces.central.workspaces()[0].id)
    left = jobs.create(workspace.store, jobs.INSIGHTS, "default", workspace.store.jobs.one(job).settings)
    command = [sys.executable, "-m", "pytest_kaizen.cli", "--root", str(tmp_path), "worker"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        try:
            end = time.monotonic() + TIMEOUT_S
            while not workspace.store.jobs.one(left.id).status.final:
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            worker.send_signal(signal.SIGTERM)
            said = worker.communicate(timeout=TIMEOUT_S)
    assert worker.returncode == 0
    assert said[0] == "kaizen does the jobs of the store (stop: Ctrl-C)\n"
    assert "set ANTHROPIC_API_KEY" in (workspace.store.jobs.one(left.id).error or "")
    workspaces.close()


def test_elsewhere_it_needs_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path), "serve", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert capsys.readouterr().err == (
        "kaizen: --host 0.0.0.0: other machines can reach it, and there is no key yet; "
        "make one first: `kaizen keys create`\n"
    )
    # It was held off while the server was made ready.
    assert gc.isenabled()


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--root", str(tmp_path), "serve", "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert not (tmp_path / ".kaizen").exists()


def test_without_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pytest_kaizen.server.app", None)
    assert main(["--root", str(tmp_path), "serve"]) == 2
    assert "which an extra brings: pip install 'pytest-kaizen[server]'" in capsys.readouterr().err


def run(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str, code: int = 0) -> str:
    assert main(["--root", str(root), "keys", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made: dict[str, Any] = json.loads(
        run(capsys, tmp_path, "create", "--label", "ci", "--scope", "write", "--days", "2", "--json")
    )
    assert made["key"].startswith("kz_")
    assert (made["label"], made["scopes"]) == ("ci", ["write"])
    plain = run(capsys, tmp_path, "create", "--workspace", "other").strip()
    with_secrets = Workspaces.open(tmp_path / ".kaizen" / "server")
    found = with_secrets.central.keys.find(plain)
    with_secrets.close()
    assert found is not None
    assert found.scopes == ("read", "write")
    listed = json.loads(run(capsys, tmp_path, "list", "--json"))
    assert [key["id"] for key in listed] == [made["id"], found.id]
    assert run(capsys, tmp_path, "revoke", made["id"]) == ""
    lines = run(capsys, tmp_path, "list").splitlines()
    assert lines[0].split() == ["id", "workspace", "label", "key", "scopes", "state", "expires"]
    assert lines[2].split()[:6] == [made["id"], "default", "ci", f"{made['start']}…", "write", "revoked"]
    assert lines[3].split() == [found.id, "other", f"{found.start}…", "read", "write", "active"]
    assert plain not in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revoke", "key_none"), "there is no key 'key_none'"),
        (("create", "--days", "0"), "--days: give a number above 0 and up to 36500 (found 0)"),
        (("create", "--days", "nan"), "--days: give a number above 0"),
        (("list", "--store", "mysql://u:secret@h/d"), "no store there: the URL begins with 'mysql'"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    said = run(capsys, tmp_path, *arguments, code=2)
    assert message in said
    assert "secret" not in said


def test_the_readme_names_all_that_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for command in (["serve"], ["keys", "create"], ["keys", "list"], ["keys", "revoke"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        for option in re.findall(r"^  (--[a-z]+)", capsys.readouterr().out, re.MULTILINE):
            assert f"`{option}" in readme or f"[{option}" in readme, option
    for name in ServerConfig.model_fields:
        assert f"`{name}`" in readme, name
