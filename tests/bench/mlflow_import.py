"""The import from a real MLflow server.

``python tests/bench/mlflow_import.py [--python PYTHON] [--traces N]``

Without ``--python``, an interpreter that has ``mlflow[auth]``, it installs that into a folder that it
deletes. It starts a tracking server without and one with basic authentication, has MLflow's own client
log traces (an agent with a tool and a call to a model, one that fails, assessments), imports them as a user
does, twice, and says how long that took. What is not as expected ends it with an error.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx

from pytest_kaizen.capture import Redactor
from pytest_kaizen.models import SpanKind
from pytest_kaizen.pipeline.integrations import importing, settings
from pytest_kaizen.pipeline.integrations.importing import Importer
from pytest_kaizen.platforms.kayba import MlflowConfig
from pytest_kaizen.store import Store

USER, PASSWORD = "boss", "a-long-password-4711"
START_S = 300.0

LOG = """
import sys
import mlflow
from mlflow.entities import AssessmentSource, SpanType

mlflow.set_experiment("support")

@mlflow.trace(span_type=SpanType.AGENT)
def agent(q):
    with mlflow.start_span("search", span_type=SpanType.TOOL) as span:
        span.set_inputs({"q": q})
        span.set_outputs(["a"])
    with mlflow.start_span("chat", span_type=SpanType.CHAT_MODEL) as span:
        messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": q}]
        span.set_inputs({"model": "gpt-4o-mini", "messages": messages})
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        span.set_attribute("mlflow.chat.tokenUsage", usage)
        answer = {"role": "assistant", "content": "hi " + q}
        span.set_outputs({"choices": [{"message": answer, "finish_reason": "stop"}]})
    return "hi " + q

@mlflow.trace
def broken(x):
    raise ValueError("bad")

for number in range(int(sys.argv[1])):
    agent(f"q{number}")
judged = mlflow.get_last_active_trace_id()
try:
    broken(1)
except ValueError:
    pass
mlflow.flush_trace_async_logging()
person = AssessmentSource(source_type="HUMAN", source_id="me")
mlflow.log_feedback(trace_id=judged, name="polite", value=0.5, rationale="so so", source=person)
mlflow.log_feedback(trace_id=judged, name="right", value=True)
mlflow.log_expectation(trace_id=judged, name="expected_response", value="hello")
"""


@contextmanager
def interpreter(given: str | None) -> Iterator[Path]:
    """Give an interpreter that has MLflow."""
    if given is not None:
        yield Path(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "mlflow[auth]"], check=True)
        yield python


@contextmanager
def tracking_server(python: Path, folder: Path, *, auth: bool) -> Iterator[str]:
    """Run a tracking server; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = folder / ("auth" if auth else "open")
    place.mkdir()
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{place}/ml.db"]
    command += ["--default-artifact-root", f"{place}/files", *(["--app-name", "basic-auth"] if auth else [])]
    secret = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "k" * 16, "MLFLOW_AUTH_CONFIG_PATH": str(place / "auth.ini")}
    config = {
        "default_permission": "READ",
        "database_uri": f"sqlite:///{place}/auth.db",
        "admin_username": USER,
        "admin_password": PASSWORD,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
    }
    lines = ["[mlflow]", *(f"{key} = {value}" for key, value in config.items()), ""]
    (place / "auth.ini").write_text("\n".join(lines))
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **secret},
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_S
        while not _is_up(url):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((place / "log").read_text(errors="replace")[-4000:])
            time.sleep(0.2)
        yield url
    finally:
        # Its workers too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def check(python: Path, folder: Path, *, auth: bool, traces: int) -> str:
    """Import from a server; return what came of it.

    Raises:
        AssertionError: It is not as expected.
    """
    with tracking_server(python, folder, auth=auth) as url:
        who = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD} if auth else {}
        environ = {**os.environ, "MLFLOW_TRACKING_URI": url, **who}
        subprocess.run([python, "-c", LOG, str(traces)], check=True, capture_output=True, env=environ)
        with Store.open(folder / f"kaizen-{auth}.db") as store:
            return _imported(store, url, auth=auth, traces=traces)


def _imported(store: Store, url: str, *, auth: bool, traces: int) -> str:
    given = {"trackingUri": url, "experimentName": "support", "authType": "basic" if auth else "none"}
    if auth:
        settings.change(store, "mlflow", MlflowConfig.model_validate(given))
        settings.change(store, "mlflow", MlflowConfig(username=USER, token="wrong"))
        refused = settings.tested(store, "mlflow", allow_private=True)
        assert not refused.connected, refused
        assert ": 401: " in (refused.error or ""), refused
        given["token"] = PASSWORD
    settings.change(store, "mlflow", MlflowConfig.model_validate(given))
    tested = settings.tested(store, "mlflow", allow_private=True)
    assert tested.connected, tested
    assert tested.experiment_count == 2, tested
    seconds = []
    for new in (traces + 1, 0):
        job = importing.start(store, importing.planned(store, "mlflow", None, None, None))
        began = time.perf_counter()
        importer = Importer(store, Redactor({}), lambda *_: None, allow_private=True, pause=lambda _: None)
        importer.run(job)
        seconds.append(time.perf_counter() - began)
        assert job.result == {"traces": traces + 1, "new": new, "leftOut": 0, "reasons": []}, job.result
    _look(store, traces)
    return (
        f"MLflow {tested.mlflow_version}, {'basic' if auth else 'no'} authentication: {traces + 1} traces in "
        f"{seconds[0]:.2f} s, again in {seconds[1]:.2f} s"
    )


def _look(store: Store, traces: int) -> None:
    """See that what was imported is what was logged."""
    found = [store.trace(trace_id) for trace_id in store.shelf.ids()]
    assert len(found) == traces + 1
    failed, judged = found[0], found[1]
    assert failed.error == "ValueError: bad", failed
    assert (judged.input, judged.output) == (f"q{traces - 1}", f"hi q{traces - 1}"), judged
    assert judged.reference == "hello", judged
    scores = {score.name: (score.value, score.source.value, score.reason) for score in judged.scores}
    assert scores == {"polite": (0.5, "human", "so so"), "right": (1.0, "sdk", None)}, scores
    agent, tool, call = judged.spans
    assert [span.kind for span in judged.spans] == [SpanKind.AGENT, SpanKind.TOOL, SpanKind.LLM]
    assert tool.parent_id == call.parent_id == agent.id
    assert (call.model, call.usage.input_tokens, call.usage.output_tokens) == ("gpt-4o-mini", 10, 5)
    assert [message.text for message in call.input] == ["be brief", f"q{traces - 1}"]
    assert call.text == f"hi q{traces - 1}"


def main() -> None:
    """Install MLflow where none is given, and check both kinds of server."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", metavar="PYTHON", help="an interpreter that has mlflow[auth]")
    parser.add_argument("--traces", type=int, default=200, metavar="N", help="so many (default: %(default)s)")
    args = parser.parse_args()
    with interpreter(args.python) as python, tempfile.TemporaryDirectory() as folder:
        for auth in (False, True):
            print(check(python, Path(folder), auth=auth, traces=args.traces), flush=True)


if __name__ == "__main__":
    main()
