"""Weak cases → a better prompt: evaluator protocol, engines, acceptance on held-out cases, cost."""

from __future__ import annotations

from .acceptance import Standard, accept, look_level
from .budget import Budget, CappedLLM, Meter
from .cases import Split, TaskCase, split_cases
from .engines import DEFAULT_ENGINE, ENGINES, Engine, Estimate
from .estimate import CostEstimate
from .evaluator import Evaluator
from .improve import Improve, Improved, Plan, estimate_improve, improve, plan_improve
from .ledger import Ledger, MemoryLedger
from .llm_reflector import LLMReflector, SpanReader
from .reflector import (
    Failure,
    Lesson,
    Lessons,
    ReflectionRequest,
    Reflector,
    RelateRequest,
    Relation,
    Relations,
    Rewrite,
    RewriteRequest,
)
from .search import Candidate, Event, OnEvent, SearchJob

__all__ = [
    "DEFAULT_ENGINE",
    "ENGINES",
    "Budget",
    "Candidate",
    "CappedLLM",
    "CostEstimate",
    "Engine",
    "Estimate",
    "Evaluator",
    "Event",
    "Failure",
    "Improve",
    "Improved",
    "LLMReflector",
    "Ledger",
    "Lesson",
    "Lessons",
    "MemoryLedger",
    "Meter",
    "OnEvent",
    "Plan",
    "ReflectionRequest",
    "Reflector",
    "RelateRequest",
    "Relation",
    "Relations",
    "Rewrite",
    "RewriteRequest",
    "SearchJob",
    "SpanReader",
    "Split",
    "Standard",
    "TaskCase",
    "accept",
    "estimate_improve",
    "improve",
    "look_level",
    "plan_improve",
    "split_cases",
]
