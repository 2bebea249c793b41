"""The meter: caps hold before anything is spent."""

from __future__ import annotations

import pytest

from pytest_kaizen.errors import BudgetExceeded, LLMError
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import Usage
from pytest_kaizen.optimize import Budget, CappedLLM, Meter
from pytest_kaizen.prices import ModelPrice, Prices, PriceTable

PRICES = Prices(PriceTable(models={"m": ModelPrice(input=1, output=10)}))
REQUEST = LLMRequest(model="m", system="s", prompt="p" * 998, max_tokens=100)
#: 999 bytes and the overhead of a request in, 100 tokens out.
MOST = (999 + len("None") + 2000 + 100 * 10) / 1e6


class FakeLLM:
    def __init__(self) -> None:
        self.calls = 0
        self.fails = False

    def complete(self, request: LLMRequest) -> Completion:
        self.calls += 1
        if self.fails:
            raise LLMError("cut short")
        usage = Usage(input_tokens=300, output_tokens=50)
        return Completion(text="hi", model=request.model, usage=usage, cost_usd=PRICES.cost("m", usage))


def test_rollouts_fit_exactly_or_not_at_all() -> None:
    meter = Meter(Budget(rollouts=3))
    meter.require_rollouts(3)
    meter.count_rollout("a", 0.1, paid=True)
    with pytest.raises(BudgetExceeded, match="3 more rollouts do not fit: 1 of 3 are used"):
        meter.require_rollouts(3)
    meter.require_rollouts(2)


def test_a_rollout_counts_once_and_is_paid_for_or_not() -> None:
    meter = Meter()
    meter.count_rollout("a", 0.1, paid=True)
    meter.count_rollout("a", 0.1, paid=True)
    meter.count_rollout("b", 0.2, paid=False)
    meter.count_rollout("c", None, paid=True)
    assert [meter.used.rollouts, meter.used.usd] == pytest.approx([3, 0.3])
    assert [meter.paid.rollouts, meter.paid.usd] == pytest.approx([2, 0.1])
    assert meter.unpriced == 1
    assert meter.knows("b")
    assert not meter.knows("d")


def test_money_is_reserved_at_the_dearest_rollout_and_grows_with_the_prompt() -> None:
    meter = Meter(Budget(usd=1.0))
    meter.count_rollout("a", 0.1, paid=True)
    meter.require_rollouts(8)
    with pytest.raises(BudgetExceeded, match=r"\$0.1 of \$1 is used"):
        meter.require_rollouts(9)
    with pytest.raises(BudgetExceeded):
        meter.require_rollouts(8, growth=1.1)


def test_what_is_held_back_is_there_afterwards() -> None:
    meter = Meter(Budget(rollouts=5))
    with meter.held(3):
        meter.require_rollouts(2)
        with pytest.raises(BudgetExceeded, match="3 are kept for the comparison"):
            meter.require_rollouts(3)
    meter.require_rollouts(5)


def test_a_call_is_refused_before_it_can_pass_the_cap() -> None:
    llm, meter = FakeLLM(), Meter(Budget(usd=MOST + 0.0004))
    capped = CappedLLM(llm, meter, PRICES)
    capped.complete(REQUEST)
    assert meter.used.usd == pytest.approx(0.0008)
    with pytest.raises(BudgetExceeded):
        capped.complete(REQUEST)
    assert llm.calls == meter.used.calls == 1


def test_calls_are_capped_too() -> None:
    llm = FakeLLM()
    capped = CappedLLM(llm, Meter(Budget(calls=2)), PRICES)
    capped.complete(REQUEST)
    capped.complete(REQUEST)
    with pytest.raises(BudgetExceeded, match="all 2 calls"):
        capped.complete(REQUEST)
    assert llm.calls == 2


def test_a_call_that_failed_counts_as_the_most_it_can_have_cost() -> None:
    llm, meter = FakeLLM(), Meter(Budget(usd=1))
    llm.fails = True
    with pytest.raises(LLMError, match="cut short"):
        CappedLLM(llm, meter, PRICES).complete(REQUEST)
    assert meter.used.usd == pytest.approx(MOST)


def test_a_call_that_was_never_sent_cost_nothing() -> None:
    class NoKey:
        def complete(self, request: LLMRequest) -> Completion:
            raise LLMError(f"no key for {request.model}", unsent=True)

    meter = Meter(Budget(usd=1))
    with pytest.raises(LLMError, match="no key for m"):
        CappedLLM(NoKey(), meter, PRICES).complete(REQUEST)
    assert meter.used.usd == meter.paid.usd == pytest.approx(0, abs=1e-12)


def test_a_cap_in_money_refuses_a_model_without_a_price() -> None:
    request = LLMRequest(model="unknown", system="", prompt="p")
    with pytest.raises(LLMError, match="'unknown' has no known price"):
        CappedLLM(FakeLLM(), Meter(Budget(usd=1)), PRICES).complete(request)
    CappedLLM(FakeLLM(), Meter(), PRICES).complete(REQUEST)
