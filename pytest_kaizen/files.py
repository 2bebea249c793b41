"""Files: texts that are replaced as a whole, and YAML that people wrote, whose errors name the line."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import UsageError

if TYPE_CHECKING:
    import yaml
    from pydantic_core import ErrorDetails

ModelT = TypeVar("ModelT", bound=BaseModel)
Location = tuple[str | int, ...]


def replace_text(path: Path, text: str) -> None:
    """Write a file, so that a reader sees the old content or the new, never a part.

    The folder is made if need be; a file that is there keeps its permissions. Of several processes
    that write at once, the last one's content stays.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name[:100]}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with new.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if path.exists():
            new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


class YamlFile:
    """A parsed YAML document that remembers the line of every value.

    Attributes:
        data: The document as plain Python values.
        path: Where it came from, for messages.
        lines: Line of each value, by its location (``("criteria", 0, "weight")``), counted from 1.
    """

    def __init__(self, text: str, path: Path, *, error: type[UsageError], first_line: int = 1) -> None:
        """Parse a document.

        Args:
            text: The YAML text.
            path: The file it is from.
            error: The error class to raise.
            first_line: The line of the file on which ``text`` starts.

        Raises:
            UsageError: Not YAML, or a key that stands twice in one mapping.
        """
        # Here and not above: to load it takes longer than most files take, and there may be none.
        import yaml
        from yaml.constructor import SafeConstructor

        self.path = path
        self.lines: dict[Location, int] = {}
        self._error = error
        self._offset = first_line
        try:
            node = _compose(text)
            if node is not None:
                self._walk(node, ())
            self.data: Any = None if node is None else SafeConstructor().construct_document(node)
        except yaml.MarkedYAMLError as exc:
            line = exc.problem_mark.line + first_line if exc.problem_mark else None
            raise error(f"not valid YAML: {exc.problem or exc.context}", path=path, line=line) from None
        except (yaml.YAMLError, ValueError) as exc:
            reason = " ".join(str(exc).split())
            raise error(f"not valid YAML: {reason}", path=path) from None

    def _walk(self, node: yaml.Node, location: Location) -> None:
        from yaml import MappingNode, ScalarNode, SequenceNode

        self.lines[location] = node.start_mark.line + self._offset
        if isinstance(node, MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + self._offset
                name = key.value if isinstance(key, ScalarNode) else None
                if not isinstance(name, str):
                    raise self._error("keys must be plain words", path=self.path, line=line)
                if name in seen:
                    raise self._error(
                        f"'{name}' stands twice (first on line {seen[name]}); keep one",
                        path=self.path,
                        line=line,
                    )
                seen[name] = line
                self._walk(value, (*location, name))
                # A value may start below its key; the key's own line is where one looks.
                self.lines[(*location, name)] = line
        elif isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                self._walk(item, (*location, index))

    def line(self, location: Location) -> int | None:
        """Return the line of a location, or of the nearest thing around it that the file holds."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location)

    def fail(self, message: str, location: Location = ()) -> UsageError:
        """Make the error for something wrong at a location, for the caller to raise."""
        return self._error(message, path=self.path, line=self.line(location))

    def parse(self, model: type[ModelT]) -> ModelT:
        """Validate the document against a model.

        Raises:
            UsageError: With the file, the line, the key, the bad value and the valid keys.
        """
        data = {} if self.data is None else self.data
        if not isinstance(data, Mapping):
            raise self.fail(f"expected keys and values, found {type(data).__name__}")
        try:
            return model.model_validate(data)
        except ValidationError as exc:
            details = exc.errors()[0]
            location = tuple(part for part in details["loc"])
            raise self.fail(_sentence(details, location, model), location) from None


def read_yaml(path: Path, *, error: type[UsageError]) -> YamlFile:
    """Read and parse a YAML file.

    Raises:
        UsageError: The file is missing, unreadable or not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error("no such file", path=path) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise error(f"cannot be read: {exc}", path=path) from None
    return YamlFile(text, path, error=error)


def _compose(text: str) -> yaml.Node | None:
    import yaml

    if yaml.__with_libyaml__:
        # It is six times as fast, and the words of the other one's errors say more.
        with contextlib.suppress(yaml.YAMLError, ValueError):
            return yaml.compose(text, yaml.CSafeLoader)
    return yaml.compose(text, yaml.SafeLoader)


def _sentence(details: ErrorDetails, location: Location, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in location) or "the document"
    kind = details["type"]
    if kind == "extra_forbidden":
        valid = _valid_keys(model, location[:-1])
        message = f"unknown key '{where}'"
        if valid:
            close = difflib.get_close_matches(str(location[-1]), valid, n=1)
            message += f" (did you mean '{close[0]}'?)" if close else ""
            message += f"; valid: {', '.join(valid)}"
        return message
    if kind == "missing":
        return f"'{where}' is missing"
    problem = details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    value = details["input"]
    shown = "" if isinstance(value, Mapping | list) else f" (found {value!r})"
    return f"{where}: {problem[0].lower()}{problem[1:]}{shown}"


def _valid_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Find the keys that a model takes at a location inside it, following fields and containers."""
    annotation: Any = model
    for part in location:
        models = _models_in(annotation)
        if isinstance(part, str) and (owner := next((m for m in models if _field(m, part)), None)):
            annotation = _field(owner, part)
        # Anything else is an index or a free key of a container: the models inside it stay the same.
    names = [field.alias or name for m in _models_in(annotation) for name, field in m.model_fields.items()]
    return sorted(set(names))


def _field(model: type[BaseModel], key: str) -> Any:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in getattr(annotation, "__args__", ()) for model in _models_in(arg)]
