from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import pytest_kaizen

ROOT = Path(__file__).parents[2]
# Where the package is imported from, for processes that are started elsewhere.
HOME = Path(pytest_kaizen.__file__).parents[1]
HEAVY = {"anthropic", "httpx", "httpx2", "openai", "pydantic", "sqlite3", "tabulate", "yaml"}


def modules_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the top-level modules it has imported then."""
    script = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize(
    "code",
    [
        "import pytest_kaizen",
        "import pytest_kaizen.cli",
        "from pytest_kaizen import KaizenError",
        "from pytest_kaizen.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from pytest_kaizen.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
    ],
)
def test_light_imports(code: str) -> None:
    assert modules_after(code) & HEAVY == set()


def test_the_probe_sees_what_is_imported() -> None:
    assert modules_after("from pytest_kaizen import Trace") & HEAVY == {"pydantic"}


@pytest.mark.parametrize(
    "module",
    [
        "prompts",
        "score",
        "llm",
        "capture",
        "pipeline",
        "report",
        "store",
        "optimize",
        "cli.prompts",
        "cli.traces",
    ],
)
def test_no_part_imports_anthropic(module: str) -> None:
    assert "anthropic" not in modules_after(f"import pytest_kaizen.{module}")


def test_an_extra_is_imported_where_it_is_used() -> None:
    assert "gepa" not in modules_after("import pytest_kaizen.optimize")


def test_the_driver_of_a_server_is_not_the_plugins() -> None:
    code = (
        "from pathlib import Path; from tempfile import mkdtemp; import pytest_kaizen.plugin.session\n"
        "from pytest_kaizen.store import Store; Store.open(Path(mkdtemp()) / 'kaizen.db').close()"
    )
    assert modules_after(code) & {"psycopg", "psycopg_pool", "sqlite3"} == {"sqlite3"}


def test_import_contracts_hold() -> None:
    found = shutil.which("lint-imports", path=sysconfig.get_path("scripts"))
    if found is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run([found, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
