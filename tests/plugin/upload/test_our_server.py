"""A session that uploads to ``kaizen serve``: our backends and our server agree."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_kaizen import CTClient, KalmiaClient, KateClient, KaybaClient
from pytest_kaizen.store.workspaces import Workspaces

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


class Served(NamedTuple):
    """A server that runs, the key of its workspace, and where its store is."""

    url: str
    key: str
    folder: Path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    command = [sys.executable, "-m", "pytest_kaizen.cli", "serve", "--port", "0", "--store", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        yield Served(re.findall(r"http://\S+", said)[0], re.findall(r"kz_\S+", said)[0], tmp_path)
        process.terminate()


def test_every_sample_arrives(suite: Suite, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {
        "KAIZEN_BASE_URL": served.url,
        "KAYBA_API_URL": f"{served.url}/api",
        "KALMIA_BASE_URL": served.url,
        "KATE_API_URL": served.url,
        "KATE_AGENT_ID": "greeter",
        "OTEL_EXPORTER_OTLP_ENDPOINT": served.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={served.key}",
        **{f"{name}_API_KEY": served.key for name in ("KAIZEN", "KAYBA", "KALMIA", "KATE")},
    }
    for name, value in addresses.items():
        monkeypatch.setenv(name, value)
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.parametrize("who", ["ada", "ben"])
        def test_it(kaizen, ask, who):
            ask(f"hello {who}")
            kaizen.score("warm", 0.75)
    """)
    names = ("kaizen", "kaizen-ct", "kayba", "kalmia", "kate", "otlp")
    suite.run(
        *(f"--kaizen-backend={name}" for name in names), "--kaizen-upload-timeout=120", passed=2, code=0
    )
    said = rf"kaizen: ({'|'.join(names)}): \d+ (.*)"
    sent = [found for line in suite.result.outlines if (found := re.fullmatch(said, line))]
    assert [(line[1], line[2]) for line in sent] == [(name, "sent") for name in names]

    with CTClient() as ct:
        [task] = ct.list_tasks()
    assert (task.name, task.feedback_count) == ("greet", 2)
    with KaybaClient() as kayba:
        files = [trace["filename"] for trace in kayba.list_traces()["traces"]]
    assert len([name for name in files if name.endswith(".md")]) == 2
    with KalmiaClient() as kalmia:
        [experiment] = kalmia.list_experiments()
        metrics = kalmia.get_experiment(experiment.id).metrics
    assert metrics is not None
    assert metrics.traces == 2

    async def runs_of_kate() -> list[tuple[str, int]]:
        async with KateClient() as kate:
            runs = await kate.runs.list()
            spans = [(await kate.runs.spans(run_id=run.id)).spans for run in runs]
        calls = [sum(span.span_kind == "LLM" for span in found) for found in spans]
        return [(run.status, count) for run, count in zip(runs, calls, strict=True)]

    assert asyncio.run(runs_of_kate()) == [("completed", 2)]

    # The whole run is there, each trace once, whichever way it came first.
    with closing(Workspaces.open(served.folder)) as workspaces:
        store = workspaces.get(workspaces.central.workspaces()[0].id).store
        (run,) = store.runs()
        assert run == suite.stored_run
        theirs = {case.id: case for case in store.cases(run.id)}
        ours = {case.id: case for case in suite.cases.values()}
        assert theirs.keys() == ours.keys()
        for name, case in ours.items():
            assert [kept.trace.id for kept in theirs[name].samples] == [
                kept.trace.id for kept in case.samples
            ]
            assert theirs[name].samples[0].metrics == case.samples[0].metrics
            assert (theirs[name].outcome, theirs[name].gates) == (case.outcome, case.gates)
