"""How many samples a case needs."""

from __future__ import annotations

from collections.abc import Sequence

from ..gate import SequentialTest, gate_draw, gate_test
from ..models import GateSpec, Sample


class SampleSize:
    """Says whether a case needs another sample.

    A case has at least ``samples``. Where a gate states a ``confidence``, drawing goes on until each
    such gate has its verdict or there are ``max_samples``. Samples enter a gate's test in the order
    of their numbers, whatever order they end in, so that quick ones do not decide early.

    Args:
        samples: The least number of samples.
        max_samples: The greatest.
        gates: The case's gates.
        family: The number of gates whose error is controlled together; each is then decided at the
            stricter level ``(1 - confidence) / family``.
    """

    def __init__(self, samples: int, max_samples: int, gates: Sequence[GateSpec], family: int = 1) -> None:
        self._samples = samples
        self._max_samples = max(samples, max_samples)
        self._family = family
        self._tests: list[tuple[GateSpec, SequentialTest]] = [
            (spec, gate_test(spec)) for spec in gates if spec.confidence is not None and spec.max_drop is None
        ]
        self._waiting: dict[int, Sample] = {}
        self._entered = 0

    def wants(self, begun: int) -> bool:
        """Whether another sample is to begin when so many have."""
        if begun < self._samples:
            return True
        return begun < self._max_samples and not all(self._decided(*pair) for pair in self._tests)

    def add(self, number: int, sample: Sample) -> None:
        """Take in a finished sample."""
        self._waiting[number] = sample
        while (following := self._waiting.pop(self._entered, None)) is not None:
            self._entered += 1
            for spec, test in self._tests:
                value = following.metrics.get(spec.metric)
                if value is not None and not self._decided(spec, test):
                    test.update(gate_draw(spec, value))

    def _decided(self, spec: GateSpec, test: SequentialTest) -> bool:
        assert spec.confidence is not None
        return min(test.p_pass, test.p_fail) <= (1 - spec.confidence) / self._family
