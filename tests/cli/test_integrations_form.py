"""``kaizen integrations`` of this machine and of a server: asked for, stored, shown and tried."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.cli.integrations_form import without_secrets
from pytest_kaizen.store import secret_key
from tests.pipeline.integrations.places import SECRET, MlflowPlace

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(secret_key.VARIABLE, raising=False)


@pytest.fixture
def mlflow() -> Iterator[MlflowPlace]:
    with MlflowPlace() as place:
        place.authorization = f"Bearer {SECRET}"
        yield place


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put lines on standard input."""

    def put(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return put


def test_from_nothing_to_a_connection(
    cli: Cli, at: list[str], mlflow: MlflowPlace, answer: Callable[..., None], project: Path
) -> None:
    answer(mlflow.url, "bearer", SECRET, "support")
    status, out, err = cli("integrations", "configure", "mlflow", *at)
    assert (status, out) == (0, "connected: MLflow 3.17.2, 1 experiments\n")
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

    # What is not answered stays; the form in which a token is shown is not taken for one.
    answer("", "", "", "other")
    status, _, err = cli("integrations", "configure", "mlflow", *at)
    assert (status, "token or password [tok-****cret]: experiment [support]: " in err) == (0, True)
    changed = json.loads(cli("integrations", "list", "--json", *at)[1])["mlflow"]
    assert changed == {**known, "experimentName": "other"}
    assert cli("integrations", "set", "mlflow", "experimentName=third", *at) == (0, "", "")
    assert "third" in cli("integrations", "list", *at)[1]
    assert (project / ".kaizen").exists() is not bool(at)


def test_no_connection(cli: Cli, at: list[str], mlflow: MlflowPlace, answer: Callable[..., None]) -> None:
    answer(mlflow.url, "none")
    status, out, _ = cli("integrations", "configure", "mlflow", *at)
    assert (status, out.startswith("not connected: mlflow: POST ")) == (1, True)
    assert cli("integrations", "test", "mlflow", *at)[:2] == (1, out)


@pytest.mark.parametrize(
    ("name", "lines", "asked", "expected"),
    [
        (
            "mlflow",
            ("http://h", "basic", "me", "word"),
            ["tracking URI", "authentication", "username", "token or password", "experiment"],
            {"trackingUri": "http://h", "authType": "basic", "username": "me", "token": "****"},
        ),
        (
            "mlflow",
            ("http://h", "", "exp"),
            ["tracking URI", "authentication", "experiment"],
            {"trackingUri": "http://h", "authType": "none", "experimentName": "exp"},
        ),
        (
            "langsmith",
            ("", SECRET, "bot"),
            ["API URL", "API key", "project"],
            {
                "apiUrl": "https://api.smith.langchain.com",
                "apiKey": "tok-****cret",
                "projectName": "bot",
            },
        ),
    ],
)
def test_only_what_is_of_use_is_asked(
    name: str,
    lines: tuple[str, ...],
    asked: list[str],
    expected: dict[str, Any],
    cli: Cli,
    answer: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "pytest_kaizen.pipeline.desk.LocalDesk.test_integration", lambda *_given: {"connected": True}
    )
    answer(*lines)
    status, out, err = cli("integrations", "configure", name)
    assert (status, out) == (0, "connected\n")
    assert [question.partition(" (")[0].partition(" [")[0] for question in err.split(": ")[:-1]] == asked
    stored = json.loads(cli("integrations", "list", "--json")[1])[name]
    assert stored == {"enabled": True, **expected}


def test_an_answer_that_cannot_be(cli: Cli, answer: Callable[..., None]) -> None:
    answer("http://h", "kerberos")
    status, _, err = cli("integrations", "configure", "mlflow")
    assert status == 2
    assert "authentication: expected none, basic, bearer, databricks (found 'kerberos')" in err
    assert cli("integrations", "list")[1] == "nothing is set up\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_token_is_not_shown_while_it_is_typed(
    cli: Cli, mlflow: MlflowPlace, start: Callable[..., Terminal]
) -> None:
    terminal = start("integrations", "configure", "mlflow")
    for question, given in (
        ("tracking URI: ", mlflow.url),
        ("[none]: ", "bearer"),
        ("token or password: ", SECRET),
        ("experiment: ", "support"),
    ):
        terminal.wait_for(question)
        terminal.type(f"{given}\n")
    assert terminal.end() == 0
    assert "connected: MLflow" in terminal.text
    assert SECRET not in terminal.text
    assert json.loads(cli("integrations", "list", "--json")[1])["mlflow"]["token"] == "tok-****cret"


def test_what_a_server_did_not_mask_is_masked() -> None:
    settings = {"apiKey": SECRET, "apiUrl": "https://h", "projectName": None}
    assert without_secrets("langsmith", settings) == {**settings, "apiKey": "tok-****cret"}
    assert without_secrets("langsmith", {"apiKey": "short"}) == {"apiKey": "****"}
    assert without_secrets("langsmith", {"apiKey": "tok-****cret"}) == {"apiKey": "tok-****cret"}
