"""``kaizen integrations``, against servers on this machine."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_kaizen.store import Store, sealed
from tests.pipeline.integrations.place import SECRET
from tests.pipeline.integrations.places import LangsmithPlace, MlflowPlace

from .conftest import Cli, Served


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)
    monkeypatch.setenv("OUR_TOKEN", SECRET)


@pytest.fixture
def mlflow() -> Iterator[MlflowPlace]:
    with MlflowPlace() as place:
        place.authorization = f"Bearer {SECRET}"
        yield place


def test_from_nothing_to_traces(cli: Cli, mlflow: MlflowPlace, project: Path) -> None:
    assert cli("integrations", "list")[1].count("not set") == 3
    settings = (f"trackingUri={mlflow.url}", "authType=bearer", "experimentName=support", "enabled=true")
    assert cli("integrations", "set", "mlflow", *settings, "--secret", "OUR_TOKEN") == (0, "", "")
    status, out, _ = cli("integrations", "list")
    assert status == 0
    assert re.search(r"^mlflow +on .*token=tok-\*{4}cret", out, re.MULTILINE)
    known = json.loads(cli("integrations", "list", "--json")[1])
    assert known == {
        "mlflow": {
            "enabled": True,
            "trackingUri": mlflow.url,
            "authType": "bearer",
            "token": "tok-****cret",
            "experimentName": "support",
        },
        "langsmith": {},
        "braintrust": {},
    }
    assert cli("integrations", "test", "mlflow") == (
        0,
        "mlflow: connected (MLflow 3.17.2, 1 experiment)\n",
        "",
    )
    assert (
        cli("integrations", "projects", "mlflow", "--json")[1]
        == json.dumps([{"id": "1", "name": "support"}], indent=2) + "\n"
    )
    assert cli("integrations", "projects", "mlflow")[1].splitlines()[-1].split() == ["1", "support"]
    assert cli("integrations", "import", "mlflow", "--since", "2026-11-22T12:02", "--limit", "5") == (
        0,
        "2 traces, 2 of them new\n",
        "",
    )
    status, out, _ = cli("integrations", "import", "mlflow", "--project", "1", "--json")
    done = json.loads(out)
    assert (status, done["traces"], done["new"]) == (0, 3, 1)
    assert "completed" in cli("status", done["jobId"])[1]
    assert len(json.loads(cli("traces", "list", "--json")[1])) == 3
    assert cli("integrations", "forget", "mlflow") == (0, "", "")
    assert cli("integrations", "list")[1].count("not set") == 3
    there = b"".join(file.read_bytes() for file in (project / ".kaizen").iterdir() if file.is_file())
    assert SECRET.encode() not in there


def test_the_same_on_a_server(cli: Cli, mlflow: MlflowPlace, served: Served, project: Path) -> None:
    def there(*arguments: str) -> tuple[int, str, str]:
        return cli("integrations", *arguments, "--server", served.url)

    settings = (f"trackingUri={mlflow.url}", "authType=bearer", "experimentName=support")
    assert there("set", "mlflow", *settings, "--secret", "OUR_TOKEN") == (0, "", "")
    assert there("projects", "mlflow")[1].splitlines()[-1].split() == ["1", "support"]
    assert json.loads(there("projects", "mlflow", "--json")[1]) == [{"id": "1", "name": "support"}]

    status, out, err = there("import", "mlflow", "--since", "2026-11-22T12:02", "--limit", "5")
    job = out.removeprefix("job ").removesuffix(" started\n")
    assert (status, out) == (0, f"job {job} started\n")
    assert err == f"to wait for it: kaizen status {job} --wait --server {served.url}\n"
    assert cli("status", job, "--wait", "--interval", "0.05", "--server", served.url)[0] == 0
    # One that ended may hold its place for a moment more.
    status, out, err = there("import", "mlflow", "--wait")
    assert (status, out, err) == (0, "3 traces, 1 of them new\n", "")
    status, out, err = there("import", "mlflow", "--wait", "--json")
    done = json.loads(out)
    assert (status, done["traces"], done["new"], set(done), err) == (
        0,
        3,
        0,
        {"jobId", "traces", "new", "leftOut", "reasons"},
        "",
    )
    assert len(json.loads(cli("traces", "list", "--server", served.url, "--json")[1])) == 3

    assert there("forget", "mlflow") == (0, "", "")
    assert there("list")[1].count("not set") == 3
    status, out, err = there("import", "mlflow", "--project", "support", "--wait")
    assert (status, out) == (1, "")
    assert err.endswith(" failed: mlflow is not set up: trackingUri is not set\n")
    status, out, err = there("projects", "mlflow")
    assert (status, out) == (1, "")
    assert err == f"kaizen: {served.url}/api: 422: mlflow is not set up: trackingUri is not set\n"
    assert not (project / ".kaizen").exists()


def test_braintrust_on_a_server(cli: Cli, served: Served) -> None:
    given = ("braintrust", "projectName=shop", "--secret", "OUR_TOKEN", "--server", served.url)
    assert cli("integrations", "set", *given) == (0, "", "")
    known = json.loads(cli("integrations", "list", "--json", "--server", served.url)[1])
    assert known["braintrust"] == {"apiKey": "tok-****cret", "projectName": "shop"}


def test_what_cannot_be_read_is_named(cli: Cli, mlflow: MlflowPlace) -> None:
    mlflow.authorization = None
    mlflow.traces[f"tr-{2:032x}"]["spans"][0]["span_id"] = "!"
    cli("integrations", "set", "mlflow", f"trackingUri={mlflow.url}", "experimentName=support")
    status, out, err = cli("integrations", "import", "mlflow")
    assert (status, out) == (0, "2 traces, 2 of them new\n")
    assert f"1 could not be read:\ntr-{2:032x}: " in err


def test_a_connection_that_fails(cli: Cli, mlflow: MlflowPlace) -> None:
    cli("integrations", "set", "mlflow", f"trackingUri={mlflow.url}")
    status, out, err = cli("integrations", "test", "mlflow")
    assert (status, out) == (1, "")
    assert err.startswith("kaizen: mlflow: POST ")
    status, out, _ = cli("integrations", "test", "mlflow", "--json")
    assert (status, json.loads(out)["connected"]) == (1, False)
    status, _, err = cli("integrations", "import", "mlflow", "--project", "support")
    assert status == 1
    assert err.startswith("kaizen: mlflow: GET ")
    assert ": 401: " in err


def test_a_connection_without_figures(cli: Cli) -> None:
    with LangsmithPlace() as place:
        cli("integrations", "set", "langsmith", f"apiUrl={place.url}", "--secret", "OUR_TOKEN")
        assert cli("integrations", "test", "langsmith") == (0, "langsmith: connected\n", "")


def test_a_secret_from_a_pipe(cli: Cli, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\nmore\n"))
    assert cli("integrations", "set", "langsmith", "--secret", "-") == (0, "", "")
    with Store.open(project / ".kaizen" / "kaizen.db") as store:
        secret = store.sealed.open("integration", "langsmith", "api_key")
    assert secret is not None
    assert secret.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ("mlflow", "token=hunter2-hunter2"),
            "token: lists of processes would show it; give it with --secret",
        ),
        (
            ("mlflow", "tracking"),
            "expected KEY=VALUE, with one of enabled, trackingUri, authType, username, ",
        ),
        (("langsmith", "x=1"), "expected KEY=VALUE, with one of enabled, apiUrl, projectName (found 'x=1')"),
        (("mlflow", "authType=kerberos"), "mlflow: authType: Input should be 'none', 'basic'"),
        (("mlflow", "trackingUri=databricks"), "mlflow: trackingUri must be an address that starts with"),
        (("mlflow", "--secret", "NOT_SET"), "--secret: $NOT_SET is not set"),
        (("mlflow", "--secret", "-"), "--secret: nothing was given"),
    ],
)
def test_what_cannot_be_set(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], problem: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    status, _, err = cli("integrations", "set", *arguments)
    assert status == 2
    assert problem in err
    assert "hunter2" not in err
    assert cli("integrations", "list")[1].count("not set") == 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("import", "mlflow"), "mlflow: say which project, or set experimentName"),
        (("import", "mlflow", "--project", "x"), "mlflow is not set up: trackingUri is not set"),
        (("import", "mlflow", "--since", "monday"), "expected a time such as 2026-01-31 (found 'monday')"),
        (("projects", "langsmith"), "langsmith: apiKey is not set"),
    ],
)
def test_what_cannot_be_asked(cli: Cli, arguments: tuple[str, ...], problem: str) -> None:
    status, _, err = cli("integrations", *arguments)
    assert status == 2
    assert problem in err


def test_an_import_is_gone_on_with_by_importing_again(cli: Cli) -> None:
    cli("integrations", "import", "mlflow", "--project", "x")
    status, _, err = cli("insights", "generate", "--resume", "last")
    assert status == 2
    assert "go on with it: `kaizen integrations import mlflow`" in err
