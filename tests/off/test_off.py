"""Without ``--kaizen`` the plugin is as good as not there; with it, no more than needed is loaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# Looked at when pytest.main has returned: a plugin may import as late as in its last hook.
DRIVER = """\
import json, sys
import pytest

attempts = []

def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
        attempts.append(event)
        raise OSError("no network in this test")

sys.addaudithook(refuse)
status = pytest.main(sys.argv[2:])
rewritten = [
    name for name, module in sys.modules.items()
    if type(getattr(module, "__loader__", None)).__name__ == "AssertionRewritingHook"
]
found = {"status": int(status), "modules": sorted(sys.modules), "network": attempts, "rewritten": rewritten}
with open(sys.argv[1], "w", encoding="utf-8") as report:
    json.dump(found, report)
"""
#: All that an ordinary pytest run may load of this package.
THIN = {
    "pytest_kaizen",
    "pytest_kaizen.plugin",
    "pytest_kaizen.plugin.hookspecs",
    "pytest_kaizen.plugin.options",
}
#: What looking at the configuration adds; the rest comes with the first test.
CONFIGURED = THIN | {
    "pytest_kaizen.config",
    "pytest_kaizen.config.document",
    "pytest_kaizen.config.load",
    "pytest_kaizen.config.settings",
    "pytest_kaizen.errors",
    "pytest_kaizen.late",
    "pytest_kaizen.models",
    "pytest_kaizen.models.gate",
    "pytest_kaizen.plugin.start",
}
#: What no ordinary test needs.
ASIDE = (
    "pytest_kaizen.cli",
    "pytest_kaizen.optimize",
    "pytest_kaizen.platforms",
    "pytest_kaizen.prompts.authoring",
    "pytest_kaizen.score",
    "pytest_kaizen.scripted",
    "pytest_kaizen.store.feedback",
    "pytest_kaizen.store.jobs",
    "pytest_kaizen.store.ledger",
    "pytest_kaizen.store.observing",
    "pytest_kaizen.store.search",
    "yaml",
)
HEAVY = ("pydantic", "pydantic_core", "httpx", "httpx2", "anthropic", "yaml", "tabulate", "sqlite3", "anyio")
SDKS = ("anthropic", "openai", "httpx", "httpx2")
#: No plugin but ours, so that what is loaded is ours to answer for.
ALONE = ("-p", "pytest_kaizen.plugin")
PLAIN = "def test_plain(): assert 1 + 1 == 2\n"
USES_KAIZEN = """\
import pytest

@pytest.mark.kaizen(task="greet")
@pytest.mark.kaizen_threshold("calls", max=1)
def test_marked(kaizen):
    raise AssertionError("a skipped test has run")

def test_fixture_alone(kaizen):
    raise AssertionError("a skipped test has run")
"""


@dataclass(frozen=True)
class Session:
    """What a run of pytest in another process came to."""

    status: int
    output: str
    modules: frozenset[str]
    rewritten: frozenset[str]
    network: list[str]
    files: list[str]

    def loaded(self, *packages: str) -> set[str]:
        return {module for module in self.modules if module.partition(".")[0] in packages}


class Suite:
    """A folder of tests, run in a fresh interpreter that says what it has loaded."""

    def __init__(self, folder: Path, report: Path) -> None:
        self._folder = folder
        self._report = report

    def write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")

    def run(self, *arguments: str, autoload: bool = False) -> Session:
        foreign = ("ANTHROPIC_", "OPENAI_", "PYTEST_", "KAIZEN_", "COV_", "COVERAGE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        if not autoload:
            environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, str(self._report), "-p", "no:cacheprovider", *arguments],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(self._report.read_text(encoding="utf-8"))
        return Session(
            seen["status"],
            done.stdout + done.stderr,
            frozenset(seen["modules"]),
            frozenset(seen["rewritten"]),
            seen["network"],
            sorted(path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*")),
        )


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    folder = tmp_path / "suite"
    folder.mkdir()
    made = Suite(folder, tmp_path / "report.json")
    made.write("pytest.ini", "[pytest]\naddopts = --strict-markers\n")
    return made


def test_off_loads_the_thin_modules_alone(suite: Suite) -> None:
    suite.write("test_mixed.py", PLAIN + USES_KAIZEN)
    session = suite.run(*ALONE)
    assert session.status == 0
    assert "1 passed, 2 skipped" in session.output
    assert session.loaded("pytest_kaizen") == THIN
    assert session.loaded(*HEAVY) == set()


def test_off_through_the_entry_point_adds_the_thin_modules_alone(suite: Suite) -> None:
    suite.write("test_plain.py", PLAIN)
    without = suite.run("-p", "no:kaizen", autoload=True)
    session = suite.run(autoload=True)
    assert without.loaded("pytest_kaizen") == set()
    assert session.modules - without.modules == THIN


def test_off_leaves_no_file_and_stays_off_the_network(suite: Suite) -> None:
    suite.write("test_mixed.py", PLAIN + USES_KAIZEN)
    session = suite.run(*ALONE)
    assert session.files == ["pytest.ini", "test_mixed.py"]
    assert session.network == []


@pytest.mark.parametrize("flag", ["-q", "-v", "-rA"])
def test_off_says_nothing(suite: Suite, flag: str) -> None:
    suite.write("test_plain.py", PLAIN)
    session = suite.run(*ALONE, flag)
    assert _without_times(session.output) == _without_times(suite.run(flag).output)
    assert "1 passed" in session.output


def test_off_reads_no_configuration(suite: Suite) -> None:
    suite.write("test_mixed.py", PLAIN + USES_KAIZEN)
    suite.write("kaizen.yaml", "tasks: [broken\n")
    assert suite.run(*ALONE).status == 0
    assert suite.run(*ALONE, "--kaizen").status == pytest.ExitCode.USAGE_ERROR


def test_on_with_an_empty_suite_loads_the_configuration_alone_and_writes_nothing(suite: Suite) -> None:
    session = suite.run(*ALONE, "--kaizen")
    assert session.status == pytest.ExitCode.NO_TESTS_COLLECTED
    assert session.loaded("pytest_kaizen") == CONFIGURED
    assert session.loaded(*HEAVY) == session.loaded("pydantic", "pydantic_core")
    assert session.files == ["pytest.ini"]
    assert session.network == []
    assert session.output.rstrip().endswith("kaizen: no gate was decided: there was no test")


def test_on_with_an_empty_suite_still_refuses_a_broken_configuration(suite: Suite) -> None:
    suite.write("kaizen.yaml", "tasks: [broken\n")
    assert suite.run(*ALONE, "--kaizen").status == pytest.ExitCode.USAGE_ERROR


def test_on_loads_nothing_that_the_tests_do_not_use(suite: Suite) -> None:
    suite.write(
        "test_local.py",
        'def test_local(kaizen):\n    kaizen.check("adds up", True)\n    kaizen.score("local", 0.5)\n',
    )
    session = suite.run(*ALONE, "--kaizen")
    assert session.status == 0
    assert "pytest_kaizen.plugin.session" in session.modules
    # The package itself is a list of names.
    aside = [module for module in session.modules if module.startswith(ASIDE)]
    assert [module for module in aside if module != "pytest_kaizen.score"] == []
    assert session.loaded(*SDKS) == set()
    assert session.network == []
    assert ".kaizen/kaizen.db" in session.files
    # pytest has to parse what it rewrites: in every run where bytecode is not kept.
    assert "test_local" in session.rewritten
    assert session.loaded("pytest_kaizen") & session.rewritten <= {"pytest_kaizen", "pytest_kaizen.plugin"}


def test_on_the_session_is_loaded_while_the_garbage_collector_rests(suite: Suite) -> None:
    suite.write(
        "conftest.py",
        "import gc, sys\n\n"
        "ENABLED = {}\n\n"
        "class Watch:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        ENABLED.setdefault(name, gc.isenabled())\n\n"
        "def pytest_collection():\n"
        "    sys.meta_path.insert(0, Watch())\n",
    )
    suite.write(
        "test_local.py",
        "import gc\nimport conftest\n\ndef test_local(kaizen):\n"
        '    assert conftest.ENABLED["test_local"]\n'
        '    assert not conftest.ENABLED["pytest_kaizen.store"]\n'
        "    assert gc.isenabled()\n",
    )
    assert suite.run(*ALONE, "--kaizen").output.count("1 passed") == 1


def test_the_driver_sees_network_and_imports(suite: Suite) -> None:
    suite.write(
        "test_control.py",
        "import socket\nimport tabulate\nimport pytest\n\ndef test_connects():\n"
        '    with pytest.raises(OSError, match="no network"):\n'
        '        socket.create_connection(("127.0.0.1", 9))\n',
    )
    session = suite.run()
    assert session.status == 0
    assert session.loaded(*HEAVY) == {"tabulate"} | session.loaded("tabulate")
    assert session.network != []


def _without_times(output: str) -> str:
    return re.sub(r"\d+\.\d+s", "#s", output)
