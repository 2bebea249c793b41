"""What ``kaizen serve`` and ``kaizen worker`` start from."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pytest_kaizen.cli.serve import add_hosts_option, server_config
from pytest_kaizen.store import sealed

from .conftest import Cli


def parsed(root: Path, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_hosts_option(parser)
    return parser.parse_args(arguments, argparse.Namespace(root=root))


def test_private_hosts_are_allowed_by_option_or_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)
    assert not server_config(parsed(project)).server.allow_private_hosts
    assert server_config(parsed(project, "--allow-private-hosts")).server.allow_private_hosts
    (project / "kaizen.yaml").write_text("server:\n  allow_private_hosts: true\n", encoding="utf-8")
    assert server_config(parsed(project)).server.allow_private_hosts


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_malformed_key_for_secrets_is_said_at_the_start(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv(sealed.KEY_VARIABLE, "hunter2")
    status, _, err = cli(command)
    assert status == 2
    assert err.startswith("kaizen: KAIZEN_SECRET_KEY: is not 32 bytes in base64 (it has 7 characters")
