"""Which stored traces no reflection may read: an optimisation proves its prompts on their inputs."""

from __future__ import annotations

from ..models import Trace
from ..optimize.cases import input_text, is_held_out
from .suite_measure import case_input


def is_kept_back(trace: Trace) -> bool:
    """Return whether a trace's input is held out, as a case of a suite or as logged feedback has it.

    A file that somebody put in is no case, and what is of no task is of no optimisation.
    """
    if trace.task is None or trace.file is not None:
        return False
    forms = {case_input(trace)} | ({input_text(trace.input)} if trace.input is not None else set())
    return any(map(is_held_out, forms))
