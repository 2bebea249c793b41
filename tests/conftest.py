from __future__ import annotations

import ast
import gc
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# pytester throws away what a run in this process imported, and modules that are imported twice do not
# know each other's errors: what is loaded late is loaded here, once.
import httpcore  # noqa: F401
import httpcore2  # noqa: F401
import httpx  # noqa: F401
import httpx2  # noqa: F401
import pytest
import yaml  # noqa: F401
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# Time says nothing on a loaded machine; what the properties find does.
settings.register_profile("kaizen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kaizen")

# A shell that runs the tests in the background makes them, and every program they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Its plugin, which no test uses, costs a second to import.
NO_SCHEMATHESIS = "-p no:schemathesis"
#: What a lost disk would cost does not matter to a test; its time does.
QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


if sys.version_info[:3] < (3, 11, 8):
    # https://github.com/python/cpython/issues/106905: a parse breaks when another begins in the midst of it.
    # That happens where the garbage collector runs Python code there, such as what Hypothesis hangs into it:
    # other threads get their turn then. pytest parses for every failure, and what it rewrites.
    _parse, _one_at_a_time = ast.parse, threading.RLock()

    def _parse_alone(*args: Any, **more: Any) -> Any:
        with _one_at_a_time:
            collects = gc.isenabled()
            gc.disable()
            try:
                return _parse(*args, **more)
            finally:
                if collects:
                    gc.enable()

    setattr(ast, "parse", _parse_alone)  # noqa: B010 - to mypy it is a function for good


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "wire(*rows): the rows of platforms' pages that a test is about (server/test_wire_rows.py)"
    )
    # As pyproject.toml says for this process, so for those that tests start.
    os.environ["PYTEST_ADDOPTS"] = NO_SCHEMATHESIS


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """As it is, but for the environment, which it clears."""
    monkeypatch.setenv("PYTEST_ADDOPTS", NO_SCHEMATHESIS)
    return pytester


def postgres_binaries() -> Path:
    """Find the programs of the newest PostgreSQL from 15 on, where Debian puts them or on the path."""
    candidates = [*Path("/usr/lib/postgresql").glob("*/bin")]
    newest = sorted(candidates, key=lambda folder: float(folder.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    for folder in [*newest, *([Path(on_path).parent] if on_path else [])]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("PostgreSQL is not installed (looked in /usr/lib/postgresql/*/bin and on PATH)")


def start_postgres(folder: Path, settings: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a server that listens on a socket in the folder."""
    binaries = postgres_binaries()
    who: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL}
    if os.geteuid() == 0:
        try:
            shutil.chown(folder, "postgres")
        except LookupError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user 'postgres'")
        who |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    make = ["-D", "data", "-N", "-A", "trust", "-U", "kaizen", "-E", "UTF8", "--locale=C"]
    subprocess.run([binaries / "initdb", *make], check=True, capture_output=True, **who)
    given = ("listen_addresses=", f"unix_socket_directories={folder}", *settings)
    options = [part for setting in given for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", "data", *options], stdout=log, stderr=subprocess.STDOUT, **who
        )


@contextmanager
def running_postgres(settings: Sequence[str]) -> Iterator[Callable[[str], str]]:
    """Run a PostgreSQL server of our own; gives the URL of a database by its name."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (pip install 'pytest-kaizen[server]')")
    import psycopg

    # Not below pytest's own folders, which the server's user cannot enter; short, as a socket's path is.
    folder = Path(tempfile.mkdtemp(prefix="kz-pg-"))

    def url(database: str) -> str:
        return f"postgresql://kaizen@/{database}?host={folder}"

    try:
        process = start_postgres(folder, settings)
        try:
            for _ in range(3000):
                try:
                    psycopg.connect(url("postgres")).close()
                    break
                except psycopg.OperationalError:
                    assert process.poll() is None, (folder / "log").read_text()
                    time.sleep(0.02)
            yield url
        finally:
            # A fast shutdown, as PostgreSQL calls it: it waits for no connection.
            process.send_signal(signal.SIGINT)
            process.wait()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server of this session's own; gives the URL of a database by its name."""
    with running_postgres(QUICK) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: Callable[[str], str]) -> Iterator[Callable[[], str]]:
    """Make databases that hold an empty store; each call gives the URL of a new one."""
    import psycopg

    from pytest_kaizen.store import Store

    with psycopg.connect(postgres_server("postgres"), autocommit=True) as connection:
        # In an order of texts that is not the store's own, as most servers have one.
        options = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        try:
            connection.execute(f"CREATE DATABASE prepared {options}")
        except psycopg.errors.FeatureNotSupported:
            connection.execute("CREATE DATABASE prepared")
        Store.open(postgres_server("prepared")).close()
        # It is copied only once nobody is connected to it; the store's last connection may still be ending.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = 'prepared'"
        )
        numbers = itertools.count()

        def make() -> str:
            name = f"test_{next(numbers)}"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE prepared STRATEGY FILE_COPY")
            return postgres_server(name)

        yield make


@pytest.fixture
def postgres_url(postgres_databases: Callable[[], str]) -> str:
    """The URL of a database on a real PostgreSQL server, with an empty store in it."""
    return postgres_databases()
