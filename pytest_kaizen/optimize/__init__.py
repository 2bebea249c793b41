"""Weak cases → a better prompt."""
from __future__ import annotations
from .budget import *
from .cases import TaskCase, split_cases, Split
from .engines import *
from .ledger import MemoryLedger
from .reflector import *
from .reflector import Lesson, Lessons, ReflectionRequest, RelateRequest, Relation, Relations, Rewrite, RewriteRequest
from .search import SearchJob, Candidate
