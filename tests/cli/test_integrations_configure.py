"""``kaizen integrations configure``: what is asked, stored and tried, here and on a server."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.platforms.kayba.client import KaybaClient
from pytest_kaizen.store import sealed
from tests.pipeline.integrations.place import SECRET as TOKEN
from tests.pipeline.integrations.places import MlflowPlace

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

Cli = Callable[..., tuple[int, str, str]]
AT = ["--server", "http://127.0.0.1:9", "--api-key", "k"]
SECRET = "lsv2-0123456789-wxyz"


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What the server has; ``error`` of an integration is what keeps it from connecting."""
    kept: dict[str, dict[str, Any]] = {"mlflow": {}, "langsmith": {}}

    def update(_client: KaybaClient, name: str, config: dict[str, Any]) -> dict[str, Any]:
        kept[name].update(config)
        return kept[name]

    def test(_client: KaybaClient, name: str) -> dict[str, Any]:
        if "error" in kept[name]:
            return {"connected": False, "error": kept[name]["error"]}
        more = {"mlflowVersion": "3.4", "experimentCount": 1} if name == "mlflow" else {}
        return {"connected": True, **more}

    monkeypatch.setattr(KaybaClient, "get_integrations", lambda _client: kept)
    monkeypatch.setattr(KaybaClient, "update_integration", update)
    monkeypatch.setattr(KaybaClient, "test_integration", test)
    return kept


def answers(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_from_nothing_to_a_connection(
    cli: Cli, stored: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("integrations", "list", *AT)[1].splitlines()[2].split() == ["mlflow", "not", "set"]
    answers(monkeypatch, "", SECRET, "bot")
    status, out, err = cli("integrations", "configure", "langsmith", *AT)
    assert (status, out) == (0, "langsmith: connected\n")
    assert err == "API URL [https://api.smith.langchain.com]: API key: project: "
    assert stored["langsmith"] == {
        "enabled": True,
        "apiUrl": "https://api.smith.langchain.com",
        "apiKey": SECRET,
        "projectName": "bot",
    }
    # What is not answered stays; a key is not sent back in the form in which it is shown.
    answers(monkeypatch, "https://eu.api.smith.langchain.com")
    status, _, err = cli("integrations", "configure", "langsmith", *AT)
    assert (status, "API key [lsv2****wxyz]: project [bot]: " in err) == (0, True)
    assert (stored["langsmith"]["apiUrl"], stored["langsmith"]["apiKey"]) == (
        "https://eu.api.smith.langchain.com",
        SECRET,
    )
    status, out, _ = cli("integrations", "list", *AT)
    row = next(line for line in out.splitlines() if line.startswith("langsmith"))
    assert row.split() == [
        "langsmith",
        "on",
        "apiUrl=https://eu.api.smith.langchain.com,",
        "apiKey=lsv2****wxyz,",
        "projectName=bot",
    ]
    shown = json.loads(cli("integrations", "list", "--json", *AT)[1])
    assert shown == {"mlflow": {}, "langsmith": {**stored["langsmith"], "apiKey": "lsv2****wxyz"}}
    stored["langsmith"]["apiKey"] = "short"
    assert json.loads(cli("integrations", "list", "--json", *AT)[1])["langsmith"]["apiKey"] == "****"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("http://h:5000", "", "exp"), {"authType": "none", "experimentName": "exp"}),
        (("http://h:5000", "bearer", "t0ken"), {"authType": "bearer", "token": "t0ken"}),
        (
            ("http://h:5000", "basic", "me", "word"),
            {"authType": "basic", "username": "me", "token": "word"},
        ),
    ],
)
def test_only_what_a_way_of_authentication_needs_is_asked(
    lines: tuple[str, ...],
    expected: dict[str, str],
    cli: Cli,
    stored: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers(monkeypatch, *lines)
    status, out, _ = cli("integrations", "configure", "mlflow", *AT)
    assert (status, out) == (0, "mlflow: connected (MLflow 3.4, 1 experiment)\n")
    assert stored["mlflow"] == {"enabled": True, "trackingUri": "http://h:5000", **expected}


def test_an_answer_that_cannot_be(
    cli: Cli, stored: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "http://h", "kerberos")
    status, _, err = cli("integrations", "configure", "mlflow", *AT)
    assert (status, stored["mlflow"]) == (2, {})
    assert "authentication: expected none, basic, bearer, databricks (found 'kerberos')" in err


def test_no_connection(cli: Cli, stored: dict[str, dict[str, Any]]) -> None:
    stored["mlflow"] = {"error": "no route to \x1b[2J host"}
    status, out, err = cli("integrations", "test", "mlflow", *AT)
    assert (status, out, err) == (1, "", "kaizen: mlflow: no route to \\x1b[2J host\n")
    status, out, _ = cli("integrations", "test", "mlflow", "--json", *AT)
    assert (status, json.loads(out)) == (1, {"connected": False, "error": "no route to \x1b[2J host"})
    assert cli("integrations", "test", "langsmith", *AT) == (0, "langsmith: connected\n", "")
    assert cli("integrations", "test", "phoenix", *AT)[0] == 2


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowPlace]:
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)
    with MlflowPlace() as place:
        place.authorization = f"Bearer {TOKEN}"
        yield place


def test_here_and_on_a_server_of_ours(
    cli: Cli, at: list[str], mlflow: MlflowPlace, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    answers(monkeypatch, mlflow.url, "bearer", TOKEN, "support")
    status, out, err = cli("integrations", "configure", "mlflow", *at)
    assert (status, out) == (0, "mlflow: connected (MLflow 3.17.2, 1 experiment)\n")
    ways = "(none, basic, bearer, databricks) [none]"
    assert err == f"tracking URI: authentication {ways}: token or password: experiment: "
    known = json.loads(cli("integrations", "list", "--json", *at)[1])["mlflow"]
    assert known == {
        "enabled": True,
        "trackingUri": mlflow.url,
        "authType": "bearer",
        "token": "tok-****cret",
        "experimentName": "support",
    }
    assert json.loads(cli("integrations", "test", "mlflow", "--json", *at)[1])["connected"] is True

    answers(monkeypatch, "", "", "", "other")
    assert cli("integrations", "configure", "mlflow", *at)[0] == 0
    changed = json.loads(cli("integrations", "list", "--json", *at)[1])["mlflow"]
    assert changed == {**known, "experimentName": "other"}
    assert cli("integrations", "set", "mlflow", "experimentName=third", *at) == (0, "", "")
    assert "experimentName=third" in cli("integrations", "list", *at)[1]

    mlflow.authorization = "Bearer another"
    status, out, err = cli("integrations", "test", "mlflow", *at)
    assert (status, out, err.startswith("kaizen: mlflow: ")) == (1, "", True)
    assert (project / ".kaizen").exists() is not bool(at)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_token_is_not_shown_while_it_is_typed(
    cli: Cli, mlflow: MlflowPlace, start: Callable[..., Terminal]
) -> None:
    terminal = start("integrations", "configure", "mlflow")
    for question, given in (
        ("tracking URI: ", mlflow.url),
        ("[none]: ", "bearer"),
        ("token or password: ", TOKEN),
        ("experiment: ", "support"),
    ):
        terminal.wait_for(question)
        terminal.type(f"{given}\n")
    assert terminal.end() == 0
    assert "mlflow: connected" in terminal.text
    assert TOKEN not in terminal.text
    assert json.loads(cli("integrations", "list", "--json")[1])["mlflow"]["token"] == "tok-****cret"
