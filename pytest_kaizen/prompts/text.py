"""The text of a prompt: brought into one form, hashed, its variables found and filled in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
# Braces round something that starts like a name and is none: `{{ user.name }}`, `{{ name | upper }}`.
# Braces round anything else (`{{"a": 1}}`) are plain text.
_ALMOST_VARIABLE = re.compile(r"\{\{[ \t]*[^\W\d][^{}\n]*\}\}")


def normalise(text: str) -> str:
    """Bring a text into the form that is hashed and sent.

    Line ends become LF and blank lines around the text go, so that neither git's ``autocrlf`` nor
    an editor's final newline changes a hash. Everything else stays as it is written.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    return "\n".join(lines[first:])


def sha256_of(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def variables_in(text: str) -> tuple[str, ...]:
    """Return the names of the variables ``{{ name }}`` of a text, in the order they first occur."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def fill(text: str, values: Mapping[str, object]) -> str:
    """Put values in the place of variables.

    A value is inserted as ``str(value)`` and not looked at again: ``{{ x }}`` inside it stays.

    Raises:
        ValueError: A variable has no value, a value has no variable, or something in double
            braces looks like a variable and is none.
    """
    names = variables_in(text)
    missing = [name for name in names if name not in values]
    unknown = [name for name in values if name not in names]
    if missing or unknown:
        faults = [f"missing: {', '.join(missing)}"] if missing else []
        faults += [f"unknown: {', '.join(unknown)}"] if unknown else []
        has = f"the prompt's variables are {', '.join(names)}" if names else "the prompt has no variables"
        raise ValueError(f"{'; '.join(faults)} ({has})")
    for match in _ALMOST_VARIABLE.finditer(text):
        if not _VARIABLE.fullmatch(match[0]):
            raise ValueError(
                f"{match[0]!r} is not a variable: a name is letters a-z, digits and '_'; "
                "to send it as it stands, give it as the value of a variable"
            )
    return _VARIABLE.sub(lambda match: str(values[match[1]]), text)
