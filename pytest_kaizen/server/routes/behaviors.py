"""Kalmia's behaviours and annotations."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from pydantic import BaseModel
from starlette.types import ASGIApp

from ... import models
from ...platforms.kalmia.wire import (
    Annotation,
    AnnotationCreate,
    AnnotationList,
    Behavior,
    BehaviorCreate,
    BehaviorList,
)
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal


class AnnotationQuery(BaseModel, defer_build=True):
    """What may be asked of the list."""

    trace_id: str | None = None
    label: str | None = None


async def create_behavior(call: Call, body: BehaviorCreate) -> Behavior | ASGIApp:
    """Define a behaviour in plain language; its label must be new."""
    given = call.state.redactor.apart().data({"label": body.label, "description": body.description})
    return await call.once(partial(_add_behavior, models.Behavior(**given, created_at=datetime.now(UTC))))


def list_behaviors(call: Call) -> BehaviorList:
    """List behaviours, the newest first."""
    return BehaviorList(behaviors=[Behavior.of(known) for known in call.store.annotations.behaviors()])


async def create_annotation(call: Call, body: AnnotationCreate) -> Annotation | ASGIApp:
    """Say that a trace shows a behaviour, which may be one that nobody has defined."""
    redactor = call.state.redactor.apart()
    annotation = models.Annotation(
        trace_id=body.trace_id,
        label=redactor.text(body.label),
        confidence=body.confidence,
        notes=None if body.notes is None else redactor.text(body.notes),
        created_at=datetime.now(UTC),
    )
    return await call.once(partial(_annotate, annotation))


def list_annotations(call: Call, query: AnnotationQuery) -> AnnotationList:
    """List annotations, the newest first: all, or those of a trace, with a label, or both."""
    found = call.store.annotations.newest(trace_id=query.trace_id, label=query.label)
    return AnnotationList(annotations=[Annotation.of(known) for known in found])


def _add_behavior(behavior: models.Behavior, store: Store) -> Behavior:
    if not store.annotations.add_behavior(behavior):
        raise Refusal(409, f"there is a behaviour {behavior.label!r} already")
    return Behavior.of(behavior)


def _annotate(annotation: models.Annotation, store: Store) -> Annotation:
    if not store.annotations.add(annotation):
        raise Refusal(404, f"there is no trace {annotation.trace_id!r}")
    return Annotation.of(annotation)


OPERATIONS = (
    Operation("POST", "/api/behaviors", Access.WRITE, create_behavior, status=201, errors=(409,)),
    Operation("GET", "/api/behaviors", Access.READ, list_behaviors),
    Operation("POST", "/api/annotations", Access.WRITE, create_annotation, status=201, errors=(404,)),
    Operation("GET", "/api/annotations", Access.READ, list_annotations),
)
