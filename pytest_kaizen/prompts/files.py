"""Prompts and the files they stand in: ``<n>.md``, YAML front matter between ``---`` lines, then the text.

A text is brought into one form, hashed, and its variables are found and filled in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from ..errors import PromptError
from ..files import YamlFile

_VARIABLE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
# Braces round something that starts like a name and is none: `{{ user.name }}`, `{{ name | upper }}`.
# Braces round anything else (`{{"a": 1}}`) are plain text.
_ALMOST_VARIABLE = re.compile(r"\{\{[ \t]*[^\W\d][^{}\n]*\}\}")

_FENCE = "---"
_NUMBER = re.compile("[0-9]+")


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


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a task's prompt, as ``kaizen.prompt(task)`` gives it.

    Attributes:
        text: The prompt, without its front matter, line ends LF, no blank lines around it.
        version: Its number, counted from 1 within the task.
        sha256: Of ``text`` in UTF-8, in hex.
        path: The file it was read from.
        model: The model it was written for, as its front matter says.
        variables: The names of its variables, in the order they first occur.
        note: What its front matter says about it.
    """

    task: str
    version: int
    text: str
    sha256: str
    path: Path
    model: str | None = None
    variables: tuple[str, ...] = ()
    note: str | None = None

    def render(self, /, **variables: object) -> str:
        """Return the text with ``{{ name }}`` replaced by ``str(value)``, for every variable.

        Raises:
            PromptError: A variable has no value, or a value has no variable.
        """
        try:
            return fill(self.text, variables)
        except ValueError as exc:
            message = f"version {self.version} of '{self.task}' cannot be rendered: {exc}"
            raise PromptError(message, path=self.path) from None

    def __str__(self) -> str:
        return self.text


class FrontMatter(BaseModel, defer_build=True):
    """What may stand between the ``---`` lines of a prompt file.

    Attributes:
        model: The model that the prompt was written for.
        variables: The variables that the text uses; checked against it when given.
        note: What this version is about, for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    variables: tuple[str, ...] | None = None
    note: str | None = None


class Source(NamedTuple):
    """A prompt file, parsed; ``front`` is None when it has no front matter."""

    front: FrontMatter | None
    text: str


def parse_source(source: str, path: Path) -> Source:
    """Parse the content of a prompt file.

    Args:
        source: The content.
        path: The file it is from, for messages.

    Raises:
        PromptError: Front matter that is not closed, is not YAML, has unknown keys or declares
            other variables than the text uses; no text.
    """
    lines = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[start].rstrip() != _FENCE:
        return Source(None, _text(lines, path))
    end = next((i for i, line in enumerate(lines) if i > start and line.rstrip() == _FENCE), None)
    if end is None:
        message = "the front matter is not closed; end it with a line '---' before the text"
        raise PromptError(message, path=path, line=start + 1)
    text = _text(lines[end + 1 :], path)
    file = YamlFile("\n".join(lines[start + 1 : end]), path, error=PromptError, first_line=start + 2)
    front = file.parse(FrontMatter)
    if front.variables is not None:
        used = variables_in(text)
        faults = [f"'{name}' is declared but not used" for name in front.variables if name not in used]
        faults += [f"'{name}' is used but not declared" for name in used if name not in front.variables]
        if faults:
            message = f"variables: {', '.join(faults)}; declare what the text uses: [{', '.join(used)}]"
            raise file.fail(message, ("variables",))
    return Source(front, text)


def _text(lines: list[str], path: Path) -> str:
    text = normalise("\n".join(lines))
    if not text:
        raise PromptError("holds no text; write the prompt below the front matter", path=path)
    return text


def compose(front: FrontMatter, text: str) -> str:
    """Write the content of a prompt file; the opposite of ``parse_source``."""
    given = front.model_dump(exclude_none=True, mode="json")
    # Without a key, fences are needed only where the text would itself be taken for front matter.
    if not given and not text.startswith(_FENCE):
        return f"{text}\n"
    head = "".join(_yaml_line(key, value) for key, value in given.items())
    return f"{_FENCE}\n{head}{_FENCE}\n{text}\n"


def _yaml_line(key: str, value: object) -> str:
    if isinstance(value, list):
        return f"{key}: [{', '.join(value)}]\n"
    import yaml

    return yaml.safe_dump({key: value}, allow_unicode=True, width=10_000)


def version_paths(folder: Path) -> dict[int, Path]:
    """Find the version files of a folder, by number, ascending; none when there is no folder.

    Raises:
        PromptError: A ``.md`` file whose name is not a number, or two with one number.
    """
    found: dict[int, Path] = {}
    for path in _markdown_files(folder):
        number = _number(path)
        if number is None:
            message = "a prompt file is named by its version, '1.md', '2.md', …; rename it or move it away"
            raise PromptError(message, path=path)
        if number in found:
            message = (
                f"'{found[number].name}' and '{path.name}' are both version {number}; "
                f"keep one, and give the other the next free number"
            )
            raise PromptError(message, path=folder)
        found[number] = path
    return dict(sorted(found.items()))


def holds_versions(folder: Path) -> bool:
    """Whether a folder holds at least one file that is named as a version."""
    return any(_number(path) is not None for path in _markdown_files(folder))


def read_versions(task: str, folder: Path) -> dict[int, Prompt]:
    """Read all the versions of a task, by number, ascending.

    Raises:
        PromptError: As ``version_paths`` and ``parse_source``, or a file that cannot be read.
    """
    return {
        number: _prompt(task, number, path, read_source(path))
        for number, path in version_paths(folder).items()
    }


def read_source(path: Path) -> Source:
    """Read and parse a prompt file.

    Raises:
        PromptError: It cannot be read, or is not a prompt file.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise PromptError(f"cannot be read: {exc}", path=path) from None
    return parse_source(content, path)


def _prompt(task: str, number: int, path: Path, source: Source) -> Prompt:
    front = source.front or FrontMatter()
    return Prompt(
        task=task,
        version=number,
        text=source.text,
        sha256=sha256_of(source.text),
        path=path,
        model=front.model,
        variables=variables_in(source.text),
        note=front.note,
    )


def _markdown_files(folder: Path) -> Iterable[Path]:
    if not folder.is_dir():
        return []
    # Names with a leading dot are what editors leave behind.
    names = (p for p in folder.iterdir() if p.suffix.lower() == ".md" and not p.name.startswith("."))
    return sorted(path for path in names if not path.is_dir())


def _number(path: Path) -> int | None:
    number = int(path.stem) if _NUMBER.fullmatch(path.stem) else 0
    return number if number >= 1 else None
