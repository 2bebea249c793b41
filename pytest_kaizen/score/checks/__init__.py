"""Deterministic checks: criteria that need no model."""

from .base import Check, CheckModel, CheckResult
from .registry import CHECKS

__all__ = ["CHECKS", "Check", "CheckModel", "CheckResult"]
