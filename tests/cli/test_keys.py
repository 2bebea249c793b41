"""``kaizen keys status`` and ``bootstrap``, where the store is and over a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_kaizen.config import Config
from pytest_kaizen.store.central import Scope
from pytest_kaizen.store.workspaces import Workspaces
from tests.cli.conftest import Cli, Served

SAID = "this server has had a key; `kaizen keys create` makes another\n"


@pytest.fixture
def empty(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server that has never had a key; its store is the project's."""
    import uvicorn

    from pytest_kaizen.server.app import create_app, listen, url_of

    monkeypatch.setenv("KAIZEN_API_KEY", "kz_of_another_server")
    workspaces = Workspaces.open(project / ".kaizen/server")
    app = create_app(Config(root=project, store=project / "unused.db"), workspaces)
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield url_of(listener)
    server.should_exit = True
    thread.join()
    workspaces.close()


@pytest.fixture(params=["here", "there"])
def where(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "here":
        return []
    return ["--server", request.getfixturevalue("empty")]


def test_the_first_key(cli: Cli, project: Path, where: list[str]) -> None:
    none = "no keys; make the first: `kaizen keys bootstrap`\n"
    assert cli("keys", "status", *where) == (0, none, "")
    status, out, err = cli("keys", "bootstrap", "--label", "me", *where)
    assert (status, err, out.count("\n")) == (0, "", 1)
    workspaces = Workspaces.open(project / ".kaizen/server")
    try:
        key = workspaces.central.keys.find(out.strip())
        (place,) = workspaces.central.workspaces()
    finally:
        workspaces.close()
    assert key is not None
    assert (key.label, set(key.scopes), key.workspace, place.name) == ("me", set(Scope), place.id, "default")

    assert cli("keys", "status", *where) == (0, "1 key\n", "")
    assert json.loads(cli("keys", "status", "--json", *where)[1]) == {"has_keys": True, "count": 1}
    status, out, err = cli("keys", "bootstrap", *where)
    assert (status, out, err.endswith(SAID)) == (1, "", True)
    # What is sent is the key that was named, not the one of the environment.
    assert "does not let the key do this" not in err


def test_json_of_the_first_key(cli: Cli, where: list[str]) -> None:
    status, out, _ = cli("keys", "bootstrap", "--json", *where)
    made = json.loads(out)
    assert (status, made["label"], made["key"].startswith("kz_")) == (0, "", True)


def test_a_closed_key_does_not_count_and_was_one(cli: Cli) -> None:
    cli("keys", "bootstrap")
    (key,) = json.loads(cli("keys", "list", "--json")[1])
    cli("keys", "revoke", key["id"])
    status, out, _ = cli("keys", "status", "--json")
    assert (status, json.loads(out)) == (0, {"has_keys": False, "count": 0})
    assert cli("keys", "bootstrap")[2].endswith(SAID)


def test_the_store_is_not_named_with_a_server(cli: Cli, served: Served) -> None:
    for command in ("status", "bootstrap"):
        status, out, err = cli("keys", command, "--server", served.url, "--store", "x")
        assert (status, out) == (2, "")
        assert err == "kaizen: --store: only where the server's store is, without --server\n"


def test_a_key_that_is_given_is_sent(cli: Cli, served: Served) -> None:
    """One that may not is refused, in its own words."""
    status, _, err = cli("keys", "bootstrap", "--server", served.url, "--api-key", served.key)
    assert status == 1
    assert f"{served.url} does not let the key do this (--api-key): " in err
