"""Prompts that stand in the code: string constants that calls of an SDK are given as instructions."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_CALLS = ("create", "parse", "stream")
_KEYWORDS = ("system", "instructions")
_ROLES = ("system", "developer")
_OTHERS = ("node_modules", "site-packages", "tests", "test", "build", "dist")
_SUFFIX = re.compile(r"(?<=.)_+(system|prompt|instructions|text|template)$")
_NO_NAME = re.compile(r"[^a-z0-9]+")


class FoundPrompt(NamedTuple):
    """A prompt in the code.

    Attributes:
        task: A name for its task, after the constant, the function or the file that it stands in.
        text: The prompt.
        places: The files, from the root, and lines of the calls that are given it.
    """

    task: str
    text: str
    places: tuple[tuple[Path, int], ...]


def find_prompts(root: Path) -> list[FoundPrompt]:
    """Find the prompts in the Python files of a project, apart from its tests.

    Found are strings, and names that a file assigns once and to a string, given to ``….create``,
    ``….parse`` or ``….stream`` as ``system``, ``instructions`` or a message of the role ``system``.
    Files that cannot be parsed are passed over.
    """
    places: dict[str, list[tuple[Path, int]]] = {}
    names: dict[str, str] = {}
    for path in _python_files(root):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        inside = path.relative_to(root)
        for text, line, name in _Reader(tree, inside.stem).found:
            names.setdefault(text, name)
            places.setdefault(text, []).append((inside, line))
    taken: Counter[str] = Counter()
    return [FoundPrompt(_unique(names[text], taken), text, tuple(found)) for text, found in places.items()]


def task_name(text: str) -> str:
    """Make a name for a task of any text: lower case letters, digits and ``_``."""
    name = _NO_NAME.sub("_", text.lower()).strip("_")
    return name if name[:1].isalpha() else f"task_{name}".rstrip("_")


def _unique(name: str, taken: Counter[str]) -> str:
    number, unique = 1, name
    while taken[unique]:
        number += 1
        unique = f"{name}_{number}"
    taken[unique] += 1
    return unique


def _python_files(root: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(root):
        here = Path(folder)
        inner[:] = sorted(
            name
            for name in inner
            if not name.startswith(".") and name not in _OTHERS and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("test_") and name != "conftest.py":
                yield here / name


class _Reader(ast.NodeVisitor):
    def __init__(self, tree: ast.Module, stem: str) -> None:
        self.found: list[tuple[str, int, str]] = []
        nodes = list(ast.walk(tree))
        times = Counter(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        times.update(argument.arg for argument in nodes if isinstance(argument, ast.arg))
        self._constants = {
            target.id: node.value.value
            for node in nodes
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name) and times[target.id] == 1
        }
        self._inside = [stem]
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS:
            for keyword in node.keywords:
                if keyword.arg in _KEYWORDS:
                    self._take(keyword.value)
                elif keyword.arg in ("messages", "input") and isinstance(keyword.value, ast.List):
                    for message in keyword.value.elts:
                        self._take_message(message)
        self.generic_visit(node)

    def _take_message(self, node: ast.expr) -> None:
        role, content = _item(node, "role"), _item(node, "content")
        if isinstance(role, ast.Constant) and role.value in _ROLES and content is not None:
            self._take(content)

    def _take(self, node: ast.expr) -> None:
        if isinstance(node, ast.List) and len(node.elts) == 1:
            node = _item(node.elts[0], "text") or node
        name = node.id if isinstance(node, ast.Name) else None
        text = self._constants.get(name or "") if not isinstance(node, ast.Constant) else node.value
        if isinstance(text, str) and text.strip() and _is_encodable(text):
            base = _SUFFIX.sub("", task_name(name or self._inside[-1]))
            self.found.append((text, node.lineno, base))


def _is_encodable(text: str) -> bool:
    # Half of a surrogate pair can be written in a string, but not to a file.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _item(node: ast.expr, key: str) -> ast.expr | None:
    if not isinstance(node, ast.Dict):
        return None
    pairs = zip(node.keys, node.values, strict=True)
    return next((value for k, value in pairs if isinstance(k, ast.Constant) and k.value == key), None)
