"""What a model call costs.

The table that ships is ``prices.yaml`` beside this module; a user's own table, of the same format,
stands on top of it, model by model.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from .errors import ConfigError
from .files import read_yaml
from .models import Usage

SHIPPED = Path(__file__).with_name("prices.yaml")

# A dated snapshot of a model costs what the model costs: claude-haiku-4-5-20251001, gpt-4o-2024-08-06,
# claude-haiku-4-5@20251001. Any other ending names another model.
_SNAPSHOT = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


class Rates(BaseModel, defer_build=True):
    """Prices in USD per million tokens; None where none is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cache_read: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    cache_write: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def cost(self, usage: Usage) -> float | None:
        """Return the cost of a call in USD, None when a price or a count that it needs is missing."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        parts = (
            (usage.cache_read_tokens or 0, self.cache_read),
            (usage.cache_write_tokens or 0, self.cache_write),
        )
        fresh = usage.input_tokens - sum(tokens for tokens, _ in parts)
        if fresh < 0:
            return None
        total = fresh * self.input + usage.output_tokens * self.output
        for tokens, price in parts:
            if tokens:
                if price is None:
                    return None
                total += tokens * price
        return total / 1_000_000


class LongPromptRates(Rates):
    """The rates of a whole request whose input is above a number of tokens."""

    above: int = Field(gt=0)


class ModelPrice(Rates):
    """One model's entry.

    Attributes:
        long_prompt: Other rates for long prompts, where the provider has them.
        taken: The date on which the prices were looked up.
    """

    long_prompt: LongPromptRates | None = None
    taken: date | None = None

    def rates_for(self, usage: Usage) -> Rates:
        """Return the rates that apply to a call."""
        long = self.long_prompt
        return long if long is not None and (usage.input_tokens or 0) > long.above else self


class PriceTable(BaseModel, defer_build=True):
    """A whole price file: ``models``, by the name that the provider's API uses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, ModelPrice]


class Prices:
    """Prices by model.

    Args:
        user: Entries that stand on top of the table that ships.
    """

    def __init__(self, user: PriceTable | None = None) -> None:
        self._user = user

    @cached_property
    def _models(self) -> dict[str, ModelPrice]:
        # Read on the first question only: parsing takes milliseconds that most sessions need not pay.
        shipped = read_yaml(SHIPPED, error=ConfigError).parse(PriceTable)
        return {**shipped.models, **(self._user.models if self._user else {})}

    def find(self, model: str) -> ModelPrice | None:
        """Return a model's entry: its own, else that of the model it is a dated snapshot of."""
        return self._models.get(model) or self._models.get(_SNAPSHOT.sub("", model))

    def cost(self, model: str, usage: Usage) -> float | None:
        """Return what a call cost, in USD.

        Args:
            model: The name of the model that answered.
            usage: Its tokens; ``input_tokens`` counts all input, the cached part too. A cache
                figure that the provider did not report counts as no tokens.

        Returns:
            None when the model or a price that applies is unknown, or when the counts are missing
            or contradict each other; never 0 for "unknown".
        """
        price = self.find(model)
        return None if price is None else price.rates_for(usage).cost(usage)


def load_prices(user: Path | None = None) -> Prices:
    """Make the price table.

    Args:
        user: The user's own price file. It is read at once, so that a mistake in it shows before
            anything ran; the table that ships is read when the first cost is asked for.

    Raises:
        ConfigError: The user's file is missing or wrong, with file and line.
    """
    return Prices(None if user is None else read_yaml(user, error=ConfigError).parse(PriceTable))


__all__ = ["LongPromptRates", "ModelPrice", "PriceTable", "Prices", "Rates", "load_prices"]
