"""The judge of a session, made when it is first needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..capture import Redactor
from ..config import Config
from ..pipeline import Calibrations, StoredAnswers
from ..store import Store

if TYPE_CHECKING:
    from ..llm import AnthropicLLM
    from ..prices import Prices
    from ..score import Judge


class SessionJudge:
    """Makes the session's judge once, at the first call, and then returns it.

    Args:
        config: Which model judges.
        prices: What its calls cost; the configured table by default.
    """

    def __init__(self, config: Config, prices: Prices | None = None) -> None:
        self._config = config
        self._prices = prices
        self._lock = threading.Lock()
        self._llm: AnthropicLLM | None = None
        self._judge: Judge | None = None
        self._cache: StoredAnswers | None = None
        self._calibrations: Calibrations | None = None

    def use(self, store: Store, redactor: Redactor) -> None:
        """Keep answers in a store, unless that is off, and know the calibrations in it.

        To be called before the judge is made.

        Args:
            store: The session's store.
            redactor: Takes secrets out of what is kept.
        """
        self._calibrations = Calibrations(store, self._config.judge)
        if self._config.judge_cache:
            self._cache = StoredAnswers(store, redactor)

    def __call__(self) -> Judge:
        """Return the judge."""
        # Not above: a suite without a judge need not wait for it.
        from ..llm import AnthropicLLM
        from ..prices import load_prices
        from ..score import Judge

        with self._lock:
            if self._judge is None:
                settings = self._config.judge
                prices = self._prices or load_prices(self._config.prices)
                self._llm = AnthropicLLM(prices=prices, timeout_s=settings.timeout_s)
                self._judge = Judge(
                    self._llm,
                    settings.model,
                    settings.max_tokens,
                    votes=settings.votes,
                    cache=self._cache,
                    refusal=self._calibrations.refusal if self._calibrations else None,
                )
            return self._judge

    def close(self) -> None:
        """Close the connections of the judge, if there is one."""
        if self._llm is not None:
            self._llm.close()
