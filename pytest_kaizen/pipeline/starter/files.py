"""What the first files of a project hold."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...config import KAIZEN_YAML
from ...prompts.files import FrontMatter, compose
from ...prompts.text import normalise
from .found import FoundPrompt

_HERE = Path(__file__).parent
_GATE = """\
  {task}:
    rubric: rubrics/answer.yaml
    gate:
      - {{metric: answer, min: 0.8}}
"""


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
