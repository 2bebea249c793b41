"""What is kept with a test item while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ..models import Case, GateResult
from ..pipeline import CasePlan, LiveSample


@dataclass
class CaseState:
    """One item under way.

    Attributes:
        started: The store knows of the case.
        failures: The gates because of which the test fails.
    """

    plan: CasePlan
    case: Case
    live: LiveSample
    started: bool = False
    failures: list[GateResult] = field(default_factory=list)


STATE = pytest.StashKey[CaseState]()
