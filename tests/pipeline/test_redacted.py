"""Secrets in rollouts reach neither the ledger nor the reflector."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_kaizen.capture import Redactor
from pytest_kaizen.models import Feedback, Scored
from pytest_kaizen.pipeline.rollouts import RedactedEvaluator

KEY = "sk-ant-api03-" + "aB3dE6gH9jK2" * 4


class Leaky:
    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> list[Scored]:
        reason = f"says {KEY}"
        return [
            Scored(
                case_id=case,
                sample=sample,
                score=0.5,
                output=f"{prompt}: {KEY}",
                feedback=(Feedback(criterion="good", score=0.5, observed=KEY, reason=reason),),
                objectives={"good": 0.5},
                trace_id="0123456789abcdef0123456789abcdef",
                cost_usd=0.1,
            )
            for case in cases
            for sample in samples
        ]


def test_secrets_go_and_everything_else_stays() -> None:
    [plain] = Leaky().evaluate("p", ["t.py::test"], [1])
    [scored] = RedactedEvaluator(Leaky(), Redactor({})).evaluate("p", ["t.py::test"], [1])
    assert KEY not in scored.model_dump_json()
    assert scored.output is not None
    assert scored.output.startswith("p: [redacted: ")
    kept = {"case_id", "sample", "score", "objectives", "trace_id", "cost_usd", "error"}
    assert scored.model_dump(include=kept) == plain.model_dump(include=kept)
    assert scored.feedback[0].criterion == "good"
