"""A stand-in for the model, so that the example runs without a key and at no cost.

It is no language model. It knows how to summarise a support ticket badly, reads the system prompt
for the instructions that it understands, and mostly does what it is told; it grades summaries by
looking at their text; and asked how to improve a prompt, it turns what the failed runs are said to
lack into rules. Every choice depends on a hash, so that a run can be repeated.
"""

from __future__ import annotations

from pytest_kaizen.scripted import Request, ScriptedLLM

from .grader import grade
from .reflector import draw_lessons, relate_rules
from .writer import write_summary

__all__ = ["draw_lessons", "grade", "relate_rules", "simulated_model", "write_summary"]


def simulated_model() -> ScriptedLLM:
    """Return a local model server that summarises, grades and reflects; it is still to be started."""
    llm = ScriptedLLM()
    llm.reply(_answer)
    return llm


def _answer(request: Request) -> str:
    wanted = (request.schema or {}).get("properties", {})
    if "lessons" in wanted:
        return draw_lessons(request.last_user_text)
    if "relations" in wanted:
        return relate_rules(request.last_user_text)
    if request.schema is not None:
        return grade(request.last_user_text, request.schema)
    return write_summary(request.system, request.last_user_text)
