from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import pytest_kaizen
from pytest_kaizen.late import Late

HOME = Path(pytest_kaizen.__file__).parent
MODULES = sorted(HOME.rglob("*.py"))
PACKAGES = [path.parent for path in MODULES if path.name == "__init__.py"]
MAX_LINES = 400


def name_of(path: Path) -> str:
    parts = path.relative_to(HOME.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_modules_are_found() -> None:
    assert {"pytest_kaizen", "pytest_kaizen.cli", "pytest_kaizen.models.trace"} <= set(map(name_of, MODULES))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_named_by_what_it_does(path: Path) -> None:
    grab_bags = {"util", "utils", "helper", "helpers", "common", "misc"}
    assert grab_bags.isdisjoint(name_of(path).split("."))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith(('"""', 'r"""'))


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: name_of(path / "__init__.py"))
def test_public_names_of_a_package_are_sorted_and_there(path: Path) -> None:
    package = importlib.import_module(name_of(path / "__init__.py"))
    public = getattr(package, "__all__", [])
    # As the linter sorts them: constants, classes, functions.
    assert public == sorted(public, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert len(set(public)) == len(public)
    assert [name for name in public if not hasattr(package, name)] == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in MODULES}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: name_of(path / "__init__.py"))
def test_no_name_that_is_resolved_late_is_hidden_by_a_module(path: Path) -> None:
    """Once such a module is imported, it would be found in the place of what it holds."""
    package = importlib.import_module(name_of(path / "__init__.py"))
    modules = {inside.stem for inside in path.iterdir()}
    resolver = vars(package).get("__getattr__")
    assert modules.isdisjoint(resolver.homes if isinstance(resolver, Late) else {})
