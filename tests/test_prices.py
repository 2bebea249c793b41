from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen import prices as prices_module
from pytest_kaizen.errors import ConfigError
from pytest_kaizen.files import read_yaml
from pytest_kaizen.models import Usage
from pytest_kaizen.prices import SHIPPED, ModelPrice, Prices, PriceTable, load_prices

MILLION = 1_000_000


def tokens(
    input_tokens: int | None = 0,
    output_tokens: int | None = 0,
    read: int | None = None,
    write: int | None = None,
) -> Usage:
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=write,
    )


@pytest.fixture
def table() -> Prices:
    models = {
        "alpha": ModelPrice(input=2, output=10, cache_read=0.5, cache_write=3),
        "alpha-2024-05-13": ModelPrice(input=4, output=20),
        "plain": ModelPrice(input=1, output=1),
        "plain-b": ModelPrice(input=1, output=1),
        "tiered": ModelPrice.model_validate(
            {
                "input": 1,
                "output": 2,
                "cache_read": 0.1,
                "long_prompt": {"above": 1000, "input": 10, "output": 20, "cache_read": 1},
            }
        ),
        "free": ModelPrice(input=0, output=0),
    }
    return Prices(PriceTable(models=models))


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (tokens(MILLION, 0), 2.0),
        (tokens(0, MILLION), 10.0),
        (tokens(MILLION, MILLION), 12.0),
        (tokens(MILLION, 0, read=MILLION), 0.5),
        (tokens(MILLION, 0, write=MILLION), 3.0),
        (tokens(4 * MILLION, MILLION, read=MILLION, write=MILLION), 2 * 2 + 0.5 + 3 + 10),
        (tokens(0, 0), 0.0),
    ],
)
def test_cost_prices_each_kind_of_token_once(table: Prices, usage: Usage, cost: float) -> None:
    assert table.cost("alpha", usage) == pytest.approx(cost, abs=1e-12)


@pytest.mark.parametrize(
    "usage",
    [
        tokens(None, 5),
        tokens(5, None),
        tokens(5, 5, read=6),
        tokens(5, 5, read=3, write=3),
    ],
)
def test_missing_or_contradictory_counts_have_no_cost(table: Prices, usage: Usage) -> None:
    assert table.cost("alpha", usage) is None


def test_a_cache_price_that_is_not_known_is_not_taken_for_zero(table: Prices) -> None:
    assert table.cost("plain", tokens(10, 0, read=1)) is None
    assert table.cost("plain", tokens(10, 0, write=1)) is None
    assert table.cost("plain", tokens(10, 0, read=0, write=0)) == pytest.approx(10 / MILLION)


def test_a_model_that_is_free_costs_zero_and_an_unknown_one_nothing_at_all(table: Prices) -> None:
    assert table.cost("free", tokens(10, 10)) == 0.0
    assert table.cost("unheard-of", tokens(10, 10)) is None


def test_long_prompts_have_their_own_rates_for_the_whole_request(table: Prices) -> None:
    assert table.cost("tiered", tokens(1000, 100)) == pytest.approx((1000 * 1 + 100 * 2) / MILLION)
    assert table.cost("tiered", tokens(1001, 100)) == pytest.approx((1001 * 10 + 100 * 20) / MILLION)
    # Cached input counts towards the length of the prompt.
    assert table.cost("tiered", tokens(1001, 0, read=1001)) == pytest.approx(1001 * 1 / MILLION)


@pytest.mark.parametrize(
    ("model", "input_price"),
    [
        ("alpha", 2),
        ("alpha-20240101", 2),
        ("alpha-2024-01-01", 2),
        ("alpha@20240101", 2),
        ("alpha-latest", 2),
        ("alpha-2024-05-13", 4),
    ],
)
def test_a_dated_snapshot_has_its_models_price_unless_it_has_its_own(
    table: Prices, model: str, input_price: int
) -> None:
    assert table.cost(model, tokens(MILLION, 0)) == input_price


@pytest.mark.parametrize(
    "model",
    ["alph", "alpha2", "alpha.1", "alpha-1", "alpha-mini", "alpha-20240101-x", "x-alpha", "plain-20240101-b"],
)
def test_another_family_is_never_matched(table: Prices, model: str) -> None:
    assert table.cost(model, tokens(1, 1)) is None


@given(st.text(alphabet="abc-.@0123456789", max_size=24))
def test_a_model_is_found_by_its_own_name_or_by_a_name_that_a_date_follows(ending: str) -> None:
    prices = Prices(PriceTable(models={"alpha": ModelPrice(input=1, output=1)}))
    digits = ending[1:].replace("-", "")
    dated = ending[:1] in ("-", "@") and digits.isdecimal() and len(digits) == 8
    found = prices.find(f"alpha{ending}") is not None
    assert not found or ending == "" or dated


def test_the_shipped_table_knows_the_default_judge_and_keeps_families_apart() -> None:
    prices = load_prices()
    assert prices.cost("claude-haiku-4-5", tokens(MILLION, MILLION)) == pytest.approx(6.0)
    assert prices.cost("claude-haiku-4-5-20251001", tokens(MILLION, MILLION)) == pytest.approx(6.0)
    assert prices.cost("gpt-4.1", tokens(MILLION, 0)) == pytest.approx(2.0)
    assert prices.cost("gpt-4.1-mini-2025-04-14", tokens(MILLION, 0)) == pytest.approx(0.4)
    assert prices.cost("gpt-4", tokens(MILLION, 0)) is None
    assert prices.cost("gpt-5.5", tokens(MILLION, 0)) is None


def test_every_shipped_price_is_dated_and_plausible() -> None:
    table = read_yaml(SHIPPED, error=ConfigError).parse(PriceTable)
    assert len(table.models) > 30
    for model, price in table.models.items():
        assert price.taken is not None, model
        assert date(2026, 1, 1) < price.taken, model
        assert 0 < price.input < price.output, model
        assert price.cache_read is None or price.cache_read < price.input, model
        assert price.cache_write is None or price.cache_write > price.input, model
        if price.long_prompt is not None:
            assert price.long_prompt.above >= 100_000, model
            assert price.long_prompt.input > price.input, model
            assert price.long_prompt.output > price.output, model


@pytest.fixture
def user_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "prices.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_users_table_stands_on_top_of_the_shipped_one(user_file: Callable[[str], Path]) -> None:
    prices = load_prices(
        user_file("models:\n  gpt-4o: {input: 100, output: 200}\n  mine: {input: 1, output: 2}\n")
    )
    assert prices.cost("gpt-4o", tokens(MILLION, 0)) == 100
    assert prices.cost("mine", tokens(MILLION, MILLION)) == 3
    assert prices.cost("gpt-4o-mini", tokens(MILLION, 0)) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models:\n  m: {input: 1}\n", "2: 'models.m.output' is missing"),
        ("models:\n  m:\n    input: -1\n    output: 2\n", "3: models.m.input: input should be greater than"),
        ("models:\n  m: {input: .nan, output: 1}\n", "2: models.m.input: input should be"),
        ("models:\n  m: {input: cheap, output: 1}\n", "2: models.m.input: input should be a valid number"),
        (
            "models:\n  m:\n    input: 1\n    output: 1\n    cach_read: 1\n",
            "5: unknown key 'models.m.cach_read' (did you mean 'cache_read'?); "
            "valid: cache_read, cache_write, input, long_prompt, output, taken",
        ),
        ("models: {}\nmodel: {}\n", "2: unknown key 'model' (did you mean 'models'?); valid: models"),
    ],
)
def test_a_mistake_in_the_users_table_shows_when_it_is_loaded(
    user_file: Callable[[str], Path], text: str, message: str
) -> None:
    path = user_file(text)
    with pytest.raises(ConfigError) as caught:
        load_prices(path)
    assert f"{path}:{message}" in str(caught.value)


def test_a_user_table_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_prices(tmp_path / "nowhere.yaml")


def test_the_shipped_table_is_read_on_the_first_question_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []

    def spy(path: Path, *, error: type[ConfigError]) -> object:
        reads.append(path)
        return read_yaml(path, error=error)

    monkeypatch.setattr(prices_module, "read_yaml", spy)
    prices = load_prices()
    assert reads == []
    prices.cost("gpt-4o", tokens(1, 1))
    prices.cost("gpt-4o", tokens(1, 1))
    assert reads == [SHIPPED]
