"""Which store or server a command works on, by which key, and what it says when that fails."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.cli.options import add_target_options, target_flags, target_of
from pytest_kaizen.errors import PlatformError, UsageError

if TYPE_CHECKING:
    from tests.cli.conftest import Served

Cli = Callable[..., tuple[int, str, str]]
URL = "http://127.0.0.1:9"
HOSTED = "https://use.example/api"
VARIABLES = ("KAIZEN_API_KEY", "KAYBA_API_KEY", "KATE_API_KEY", "MY_KEY")


@pytest.fixture
def parse(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., argparse.Namespace]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def parsed(*arguments: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        add_target_options(parser)
        return parser.parse_args(arguments, argparse.Namespace(root=project))

    return parsed


Parse = Callable[..., argparse.Namespace]


@pytest.mark.parametrize(
    ("backend", "arguments", "url"),
    [
        ("kayba", ("--server", URL), f"{URL}/api"),
        ("kayba", ("--server", f"{URL}/"), f"{URL}/api"),
        ("kayba", ("--server", f"{URL}/api"), f"{URL}/api"),
        ("kayba", ("--base-url", HOSTED), HOSTED),
        ("kayba", ("--base-url", URL), URL),
        ("kaizen-ct", ("--server", f"{URL}/team"), f"{URL}/team"),
        ("kalmia", ("--base-url", f"{URL}/"), URL),
    ],
)
def test_url(parse: Parse, backend: str, arguments: tuple[str, ...], url: str) -> None:
    target = target_of(parse(*arguments, "--api-key", "k"), backend)
    assert target == (url, "k", "--api-key")
    assert "'k'" not in repr(target)


@pytest.mark.parametrize(
    ("arguments", "env", "found"),
    [
        # A server of ours has a key of its own; that of another platform is not shown to it then.
        (("--server", URL), {"KAIZEN_API_KEY": "own", "KAYBA_API_KEY": "theirs"}, "own KAIZEN_API_KEY"),
        (("--server", URL), {"KAYBA_API_KEY": "theirs"}, "theirs KAYBA_API_KEY"),
        (("--server", URL), {"KAIZEN_API_KEY": " ", "KAYBA_API_KEY": "theirs"}, "theirs KAYBA_API_KEY"),
        (
            ("--base-url", URL),
            {"KAIZEN_API_KEY": "own", "KAYBA_API_KEY": "theirs"},
            "theirs KAYBA_API_KEY",
        ),
        (("--base-url", URL, "--api-key", "given"), {"KAYBA_API_KEY": "theirs"}, "given --api-key"),
    ],
)
def test_key(
    parse: Parse,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    env: dict[str, str],
    found: str,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    target = target_of(parse(*arguments), "kayba")
    assert target is not None
    assert f"{target.key} {target.key_from}" == found


def test_key_of_the_configured_backend(parse: Parse, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "kaizen.yaml").write_text("backends: {kayba: {key_env: MY_KEY}}\n")
    monkeypatch.setenv("KAYBA_API_KEY", "another")
    monkeypatch.setenv("MY_KEY", "mine")
    target = target_of(parse("--base-url", URL), "kayba")
    assert target is not None
    assert (target.key, target.key_from) == ("mine", "MY_KEY")


def test_no_key(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIZEN_API_KEY", "own")
    with pytest.raises(PlatformError, match=f"^no key for {URL}: give --api-key, or set KATE_API_KEY$"):
        target_of(parse("--base-url", URL), "kate")
    monkeypatch.delenv("KAIZEN_API_KEY")
    with pytest.raises(PlatformError, match=r"or set KAIZEN_API_KEY or KAYBA_API_KEY$"):
        target_of(parse("--server", URL), "kayba")


def test_the_environment_alone_makes_no_command_remote(
    parse: Parse, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAYBA_API_URL", "KAIZEN_BASE_URL", "KALMIA_BASE_URL", "KATE_API_URL"):
        monkeypatch.setenv(name, URL)
    for name in VARIABLES:
        monkeypatch.setenv(name, "key")
    assert target_of(parse(), "kayba") is None
    assert cli("upload", "logs")[0] == 0
    assert len(json.loads(cli("traces", "list", "--json")[1])) == 2


def test_a_key_without_a_server(parse: Parse, cli: Cli) -> None:
    with pytest.raises(UsageError):
        target_of(parse("--api-key", "k"), "kayba")
    said = "kaizen: --api-key is for a server; name it: --server URL or --base-url URL\n"
    for command in (("traces", "list"), ("insights", "list"), ("prompts", "list"), ("doctor",)):
        assert cli(*command, "--api-key", "k")[::2] == (2, said)
    assert cli("status", "x", "--server", URL, "--api-key", "") == (2, "", "kaizen: --api-key is empty\n")


@pytest.mark.parametrize(
    "wrong", ["here", "ftp://h", "http://", "http://h?q=1", "http://u:secret@h", "http://[", "http://h:port"]
)
def test_what_is_no_url(wrong: str, cli: Cli) -> None:
    status, out, err = cli("status", "x", "--server", wrong, "--api-key", "k")
    assert (status, out) == (2, "")
    assert "argument --server: expected http://HOST" in err
    assert "secret" not in err


def test_one_server_only(cli: Cli) -> None:
    status, _, err = cli("status", "x", "--server", URL, "--base-url", URL)
    assert (status, "not allowed with argument" in err) == (2, True)


def test_flags_of_a_suggested_command(parse: Parse) -> None:
    assert target_flags(parse()) == ""
    assert target_flags(parse("--server", URL, "--api-key", "k")) == f" --server {URL}"
    assert target_flags(parse("--base-url", HOSTED)) == f" --base-url {HOSTED}"


def test_what_is_said_when_it_fails(cli: Cli, served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    status, out, err = cli("insights", "list", "--server", nobody)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"kaizen: GET {nobody}/api/insights: cannot connect: ")

    wrong = "kz_not-a-key-of-this-server"
    status, out, err = cli("traces", "list", "--server", served.url, "--api-key", wrong)
    assert (status, out) == (1, "")
    assert err.startswith(f"kaizen: {served.url}/api does not take the key (--api-key): ")
    assert err.count("\n") == 1
    assert wrong not in err

    status, out, err = cli("traces", "show", "tr_none", "--server", served.url)
    assert (status, out) == (1, "")
    assert err == f"kaizen: {served.url}/api: 404: there is no trace 'tr_none'\n"

    # The platform's base URL is taken as it is given.
    status, _, err = cli("traces", "list", "--base-url", served.url, "--api-key", served.key)
    assert (status, f"kaizen: {served.url}: 404: " in err) == (1, True)


def test_doctor_shows_the_server(cli: Cli, served: Served, project: Path) -> None:
    status, out, err = cli("doctor", "--json", "--server", served.url)
    found = json.loads(out)
    assert (status, err, found["errors"]) == (0, "", [])
    assert (found["target"], found["server"]) == (
        f"the server {served.url}/api",
        {"key_from": "KAIZEN_API_KEY"},
    )
    assert served.key not in out
    text = cli("doctor", "--server", served.url)[1]
    assert f"\ncommands work on the server {served.url}/api (key: KAIZEN_API_KEY)\n" in text
    status, out, _ = cli("doctor", "--server", served.url, "--api-key", "kz_wrong")
    assert status == 1
    assert out.splitlines()[-1].startswith(f"error: {served.url}/api does not take the key (--api-key): ")
    assert not (project / ".kaizen").exists()
