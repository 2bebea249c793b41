"""What a project begins with: its first files, and what coding agents are told about it.

The first prompts are those that stand in the code: string constants that calls of an SDK are given as
instructions.
"""

from __future__ import annotations

import ast
import os
import re
import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...config import KAIZEN_YAML
from ...prompts.files import FrontMatter, compose, normalise

_CALLS = ("create", "parse", "stream")
_KEYWORDS = ("system", "instructions")
_ROLES = ("system", "developer")
_OTHERS = ("node_modules", "site-packages", "tests", "test", "build", "dist")
_SUFFIX = re.compile(r"(?<=.)_+(system|prompt|instructions|text|template)$")
_NO_NAME = re.compile(r"[^a-z0-9]+")

_HERE = Path(__file__).parent
_GATE = """\
  {task}:
    rubric: rubrics/answer.yaml
    gate:
      - {{metric: answer, min: 0.8}}
"""

_GUIDE = _HERE.parent / "guide"
_BEGIN, _END = "<!-- pytest-kaizen -->", "<!-- /pytest-kaizen -->"

#: Where agents look for the skill, from the root of a project.
SKILL_PATH = Path(".claude/skills/kaizen-pipeline/SKILL.md")


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


class Starter(NamedTuple):
    """A file to begin with.

    Attributes:
        path: Where it goes, from the root of the project.
        text: What it holds.
    """

    path: Path
    text: str


def starter_files(root: Path, tests: str, tasks: Mapping[str, FoundPrompt | None]) -> list[Starter]:
    """Write the first files of a project, as texts.

    Args:
        root: The project.
        tests: The folder of its tests, from the root.
        tasks: The tasks to begin with, each with its prompt; None for a prompt of ours.
    """
    config = _template("kaizen.yaml").replace(
        "__tasks__\n", "".join(_GATE.format(task=task) for task in tasks)
    )
    cases = [_template("test_case.py").replace("__task__", task) for task in tasks]
    workflow = _template("workflow.yml").replace("__install__", _requirements(root))
    return [
        Starter(Path(KAIZEN_YAML), config),
        *(Starter(Path("prompts", task, "1.md"), _prompt(found)) for task, found in tasks.items()),
        Starter(Path("rubrics/answer.yaml"), _template("rubric.yaml")),
        Starter(Path(tests, "test_kaizen_prompts.py"), "".join([_template("test_head.py"), *cases])),
        Starter(Path(".github/workflows/prompts.yml"), workflow),
    ]


def _prompt(found: FoundPrompt | None) -> str:
    if found is None:
        return compose(FrontMatter(note="First try."), normalise(_template("prompt.md")))
    return compose(FrontMatter(note=f"As it stood in {_places(found.places)}."), normalise(found.text))


def _places(places: Sequence[tuple[Path, int]]) -> str:
    return ", ".join(f"{path.as_posix()}:{line}" for path, line in places)


def _requirements(root: Path) -> str:
    if (root / "requirements.txt").is_file():
        return "-r requirements.txt"
    return "." if _is_package(root) else "pytest"


def _is_package(root: Path) -> bool:
    if (root / "setup.py").is_file():
        return True
    try:
        tables = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return "project" in tables or "build-system" in tables


def _template(name: str) -> str:
    return (_HERE / f"{name}.txt").read_text(encoding="utf-8")


def instructions() -> str:
    """Return what an agent should know, as Markdown between two marks."""
    text = (_GUIDE / "instructions.md").read_text(encoding="utf-8")
    return f"{_BEGIN}\n{text}{_END}\n"


def with_instructions(text: str) -> str:
    """Add the instructions to a text, or bring up to date those that are in it."""
    begin, mark, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if mark and end:
        return begin + instructions().rstrip("\n") + after
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{instructions()}"


def skill() -> str:
    """Return the skill of seven stages."""
    return (_GUIDE / "kaizen-pipeline" / "SKILL.md").read_text(encoding="utf-8")
