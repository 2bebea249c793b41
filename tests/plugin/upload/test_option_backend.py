"""--kaizen-backend: where results go besides the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite
    from tests.plugin.upload.conftest import Collector, FakeCT

TWO = """
    import pytest

    @pytest.mark.kaizen("support", samples=2)
    @pytest.mark.parametrize("ticket", ["login", "refund"])
    def test_it(kaizen, ticket):
        kaizen.case(input={"ticket": ticket}, output=f"about {ticket}")
        kaizen.score("polite", 0.75)
"""


def test_feedback_for_each_sample(suite: Suite, ct: FakeCT) -> None:
    suite.write(TWO)
    suite.run("--kaizen-backend=kaizen-ct", passed=2, code=0)
    assert "kaizen: kaizen-ct: 5 sent" in suite.result.outlines
    ids = {sample.trace.id for case in suite.cases.values() for sample in case.samples}
    assert {entry.metadata["kaizen_id"] for entry in ct.feedback if entry.metadata} == ids
    assert len(ct.feedback) == 4
    assert {entry.task_id for entry in ct.feedback} == {str(ct.tasks["support"].id)}
    entry = min(ct.feedback, key=lambda entry: str(entry.inputs))
    assert (entry.inputs, entry.output, entry.score) == ({"ticket": "login"}, "about login", 0.75)
    assert entry.source == "sdk"
    assert entry.metadata is not None
    assert entry.metadata["case_id"] == "test_it.py::test_it[login]"
    assert entry.metadata["run_id"] == suite.stored_run.id


def test_a_task_that_is_made_there_never_starts_to_spend_by_itself(suite: Suite, ct: FakeCT) -> None:
    suite.write(TWO)
    suite.run("--kaizen-backend=kaizen-ct", passed=2, code=0)
    assert ct.tasks["support"].feedback_threshold == 1_000_000_000
    made = "kaizen: kaizen-ct: made the task support; its optimisations start only when they are asked for"
    assert made in suite.result.outlines
    suite.run("--kaizen-backend=kaizen-ct", passed=2, code=0)
    assert list(ct.tasks) == ["support"]
    assert "made the task" not in suite.text
    assert len(ct.feedback) == 8


def test_traces_to_a_collector(suite: Suite, collector: Collector) -> None:
    suite.write(TWO)
    suite.run("--kaizen-backend=otlp", passed=2, code=0)
    assert "kaizen: otlp: 4 sent" in suite.result.outlines
    ids = {sample.trace.id for case in suite.cases.values() for sample in case.samples}
    assert {span["traceId"] for span in collector.spans} == ids
    assert [event["name"] for event in collector.spans[0]["events"]] == ["gen_ai.evaluation.result"]


def test_headers_of_a_collector_are_sent_and_not_shown(
    suite: Suite, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush-hush,x-team=a")
    suite.write(TWO)
    collector.answers = [(403, {"message": "not for Bearer hush-hush"})]
    suite.run("--kaizen-backend=otlp", passed=2, code=0)
    assert collector.requests[0].headers["authorization"] == "Bearer hush-hush"
    assert collector.requests[0].headers["x-team"] == "a"
    assert "4 owed, 0 sent" in suite.text
    assert "not for [header]" in suite.text
    assert b"hush-hush" not in suite.database.read_bytes()


def test_what_a_collector_rejects_is_said(suite: Suite, collector: Collector) -> None:
    suite.write(TWO)
    collector.answers = [(200, {"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}})] * 4
    suite.run("--kaizen-backend=otlp", passed=2, code=0)
    assert "kaizen: otlp: the collector rejected 3 spans: too old" in suite.result.outlines


def test_several_at_once(suite: Suite, ct: FakeCT, collector: Collector) -> None:
    suite.write(TWO)
    suite.run("--kaizen-backend=otlp", "--kaizen-backend", "kaizen-ct", passed=2, code=0)
    lines = [line for line in suite.result.outlines if line.endswith(" sent")]
    assert lines == ["kaizen: otlp: 4 sent", "kaizen: kaizen-ct: 5 sent"]
    assert len(ct.feedback) == len(collector.spans) == 4


def test_local_uploads_nothing_and_needs_no_key(suite: Suite) -> None:
    suite.write("backends: {kaizen-ct: {}}", "kaizen.yaml")
    suite.write(TWO)
    suite.run("--kaizen-backend=local", passed=2, code=0)
    assert "kaizen-ct" not in suite.text
    with suite.store as store:
        assert store.outbox.states() == []


def test_without_a_key_nothing_runs(suite: Suite) -> None:
    suite.write("backends: {kaizen-ct: {key_env: TEAM_KEY}}", "kaizen.yaml")
    suite.write("""
        def test_it(ask):
            ask("hello")
    """)
    suite.run(code=4)
    assert (
        "backend 'kaizen-ct': no key: set TEAM_KEY in the environment; "
        "to upload nothing: --kaizen-backend local"
    ) in suite.errors
    assert suite.llm.record == []


def test_without_an_address_nothing_runs(suite: Suite) -> None:
    suite.write(TWO)
    suite.run("--kaizen-backend=otlp", code=4)
    assert "set backends.otlp.url in kaizen.yaml, or OTEL_EXPORTER_OTLP_ENDPOINT" in suite.errors


def test_an_unknown_name(suite: Suite) -> None:
    suite.write(TWO)
    suite.run("--kaizen-backend=kaizens", code=4)
    assert "--kaizen-backend: expected one of local, kaizen, kaizen-ct, kayba" in suite.errors


def test_with_xdist_the_controller_alone_uploads_once(suite: Suite, ct: FakeCT) -> None:
    suite.write("tasks: {support: {gate: [{metric: polite, min: 0.8}]}}", "kaizen.yaml")
    suite.write(TWO)
    suite.run_alone("-n2", "--kaizen-backend=kaizen-ct", "--kaizen-optimize=propose", passed=2, code=1)
    assert "kaizen: kaizen-ct: 5 sent" in suite.result.outlines
    ids = [entry.metadata["kaizen_id"] for entry in ct.feedback if entry.metadata]
    assert len(ids) == len(set(ids)) == 4
    assert len(ct.jobs) == 1
    assert len(ct.requests) == 1 + 1 + 4 + 1
