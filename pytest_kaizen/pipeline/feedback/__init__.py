"""Tasks that have no suite: their logged feedback is what candidates are measured with.

A scored trace may be such feedback, and a task's ``evaluator_config`` makes the rubric that scores
the outputs of logged inputs:

::

    {"type": "judge"}                                  the task's rubric in kaizen.yaml, else one question
    {"type": "judge", "criteria": [...]}               as in a rubric's file; plain texts too
    {"type": "exact_match"}                            the output is the good answer that was logged
    {"type": "custom_fn"}                              the function that kaizen.yaml names for the task
    {"type": "composite", "evaluators": [{..., "weight": 2}, ...]}

Such a configuration may come from anywhere, so it can name no Python code, and its checks have a time
limit.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ...config import KAIZEN_YAML, Config
from ...errors import RubricError
from ...files import YamlFile
from ...models import AUTO_EVAL, UNNAMED, FeedbackEntry, Score, ScoreSource, Task, Trace
from ...score import Criterion, Rubric, load_rubric, parse_rubric
from ...score.check import as_text
from ...score.guarded import guarded

#: Where an error says that a rubric is from which is in no file.
_PLACE = Path("evaluator_config")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")

_SOURCES = {ScoreSource.JUDGE: AUTO_EVAL, ScoreSource.HUMAN: "user_rating"}


class _Part(BaseModel, defer_build=True):
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class _Judge(_Part):
    type: Literal["judge"]
    criteria: Annotated[list[str | dict[str, Any]], Field(min_length=1)] | None = None


class _ExactMatch(_Part):
    type: Literal["exact_match"]


class _CustomFunction(_Part):
    model_config = ConfigDict(extra="allow")

    type: Literal["custom_fn"]


class _Composite(_Part):
    type: Literal["composite"]
    evaluators: Annotated[list[_Evaluator], Field(min_length=1)]


_Evaluator = Annotated[_Judge | _ExactMatch | _CustomFunction | _Composite, Field(discriminator="type")]
_Composite.model_rebuild()
_CONFIG: TypeAdapter[_Judge | _ExactMatch | _CustomFunction | _Composite] = TypeAdapter(_Evaluator)


def check_evaluator(config: dict[str, Any]) -> None:
    """Make sure that a configuration can be used, before it is stored.

    Raises:
        RubricError: It cannot; says where and why.
    """
    _check(_parse(config))


def scoring_rubric(task: Task, config: Config) -> Rubric:
    """Return what scores the outputs of a task, as one rubric.

    Args:
        task: The task.
        config: Has the task's rubric and its ``custom_fn``, if any.

    Raises:
        RubricError: The configuration or the rubric cannot be used.
    """
    return _rubric(_parse(task.evaluator_config or {"type": "judge"}), task, config)


def _parse(config: dict[str, Any]) -> Any:
    try:
        return _CONFIG.validate_python(config)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RubricError(f"{place}: {first['msg']}" if place else first["msg"], path=_PLACE) from None


def _check(part: Any) -> None:
    if isinstance(part, _Composite):
        for inner in part.evaluators:
            _check(inner)
    elif isinstance(part, _CustomFunction) and part.model_extra:
        raise RubricError(
            f"custom_fn.{min(part.model_extra)}: Python code is named in {KAIZEN_YAML} only: "
            "tasks.<name>.custom_fn: module:function",
            path=_PLACE,
        )
    elif isinstance(part, _Judge) and part.criteria is not None:
        _judged(part.criteria)


def _rubric(part: Any, task: Task, config: Config) -> Rubric:
    local = config.task(task.name)
    if isinstance(part, _Composite):
        return _merged(part, [_rubric(inner, task, config) for inner in part.evaluators])
    if isinstance(part, _ExactMatch):
        return parsed_rubric(
            "exact_match", [{"name": "exact_match", "check": {"equals": {"reference": True}}}]
        )
    if isinstance(part, _CustomFunction):
        if local.custom_fn is None:
            raise RubricError(
                f"'custom_fn' names no function here: write tasks.{task.name}.custom_fn: module:function",
                path=config.root / KAIZEN_YAML,
            )
        return parsed_rubric("custom_fn", [{"name": "custom_fn", "check": {"python": local.custom_fn}}])
    if part.criteria is not None:
        return _judged(part.criteria)
    if local.rubric is not None:
        return load_rubric(config.root / local.rubric)
    what = task.description or task.name.replace("_", " ")
    asked = f"The output does, fully and correctly, what the task asks for: {what}"
    return parsed_rubric("judge", [{"name": "fulfilled", "description": asked, "scale": [1, 5]}])


def _judged(criteria: list[str | dict[str, Any]]) -> Rubric:
    entries: list[dict[str, Any]] = []
    for number, entry in enumerate(criteria, 1):
        if isinstance(entry, str):
            short = _NO_NAME.sub("_", entry).strip("_")[:24]
            entry = {"name": f"c{number}_{short}".rstrip("_"), "description": entry}
        check = entry.get("check")
        if isinstance(check, dict) and "python" in check:
            raise RubricError(
                f"criteria.{number - 1}.check: Python code is named in {KAIZEN_YAML} only: "
                "use the evaluator custom_fn",
                path=_PLACE,
            )
        entries.append(entry)
    rubric = parsed_rubric("judge", entries)
    watched = (
        criterion if criterion.check is None else replace(criterion, check=guarded(criterion.check))
        for criterion in rubric.criteria
    )
    return replace(rubric, criteria=tuple(watched))


def parsed_rubric(name: str, criteria: list[dict[str, Any]]) -> Rubric:
    """Make a rubric of criteria as a rubric's file has them."""
    text = json.dumps({"name": name, "criteria": criteria}, ensure_ascii=False)
    return parse_rubric(YamlFile(text, _PLACE, error=RubricError))


def _merged(part: _Composite, rubrics: list[Rubric]) -> Rubric:
    total = math.fsum(inner.weight for inner in part.evaluators)
    shares = [inner.weight / total for inner in part.evaluators]
    criteria: dict[str, Criterion] = {}
    for share, rubric in zip(shares, rubrics, strict=True):
        for criterion in rubric.criteria:
            if criterion.name in criteria:
                raise RubricError(f"two evaluators have a criterion '{criterion.name}'", path=_PLACE)
            criteria[criterion.name] = replace(criterion, weight=criterion.weight * share)
    parts = repr([(rubric.sha256, share) for rubric, share in zip(rubrics, shares, strict=True)])
    demanded = [rubric.min_kappa for rubric in rubrics if rubric.min_kappa is not None]
    return Rubric(
        name="composite",
        description="",
        path=_PLACE,
        sha256=hashlib.sha256(parts.encode()).hexdigest(),
        criteria=tuple(criteria.values()),
        votes=max((rubric.votes for rubric in rubrics if rubric.votes), default=None),
        min_kappa=max(demanded, default=None),
    )


def entry_of_trace(trace: Trace, score: Score, task: Task) -> FeedbackEntry:
    """Return the feedback that a scored trace is. An input that is no mapping is named ``input``."""
    inputs = trace.input if isinstance(trace.input, dict | None) else {UNNAMED: trace.input}
    return FeedbackEntry(
        task_id=task.id,
        inputs=inputs,
        output=None if trace.output is None else as_text(trace.output),
        score=score.value,
        source=_SOURCES.get(score.source, "sdk"),
        trace_id=trace.id,
        created_at=trace.created_at,
    )
