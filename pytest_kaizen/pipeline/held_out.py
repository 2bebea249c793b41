"""Which stored traces no reflection may read: an optimisation proves its prompts on their inputs."""

from __future__ import annotations

from ..config import Config
from ..models import Trace
from ..optimize.cases import input_text, is_held_out
from .suite_measure import case_input


def is_kept_back(trace: Trace, config: Config) -> bool:
    """Return whether a trace's input is held out, as a case of a suite or as logged feedback has it.

    A file that somebody put in is no case, and what is of no task is of no optimisation.

    Args:
        trace: The trace.
        config: Says how the cases of its task are split.
    """
    if trace.task is None or trace.file is not None:
        return False
    forms = {case_input(trace)} | ({input_text(trace.input)} if trace.input is not None else set())
    shares = config.task(trace.task).optimize.shares
    return any(is_held_out(form, search=shares.search, validation=shares.validation) for form in forms)
