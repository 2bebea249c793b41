"""Text from models and files, made harmless for a terminal and for a CI system's log."""

from __future__ import annotations

import re

from .plain import plain

# GitHub reads `::error …` at the beginning of a line, after any white space, as a command.
_LINE_COMMAND = re.compile(r"^([^\S\n]*):(?=:[\w-])", re.MULTILINE)
# GitHub, Azure Pipelines and TeamCity read `##[…]`, `##vso[…]` and `##teamcity[…]` anywhere in a line.
_BRACKET_COMMAND = re.compile(r"#(?=#(?:vso|teamcity)?\[)", re.IGNORECASE)


def safe_text(text: str) -> str:
    """Neutralise what a terminal or a CI log would act on; line feeds and tabs stay.

    Control characters are shown as escapes; a space breaks workflow commands (``: :error``,
    ``# #[group]``). Give it whole outputs, last: a command counts by its place in a line.
    """
    text = plain(text.replace("\r\n", "\n"))
    return _BRACKET_COMMAND.sub("# ", _LINE_COMMAND.sub(r"\1: ", text))
