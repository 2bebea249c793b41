"""``kaizen prompts`` on a server: the versions of a task's prompt, and which of them is active."""

from __future__ import annotations

import argparse
import difflib
import hashlib
from typing import TYPE_CHECKING, Any

from pytest_kaizen.errors import PromptError
from pytest_kaizen.report.plain import plain

from .platforms import ct_client, show
from .target import Target

if TYPE_CHECKING:
    from pytest_kaizen.platforms.kaizen_ct.client import CTClient
    from pytest_kaizen.platforms.kaizen_ct.wire import Prompt


def show_there(args: argparse.Namespace, target: Target) -> int:
    """Show a version and its text, with the keys that one of the project's files has."""
    with ct_client(target) as client:
        version = find_version(client, args.task, args.number)
    return show(args, _facts(args.task, version), _text)


def activate_there(args: argparse.Namespace, target: Target) -> int:
    """Make a version the active one."""
    with ct_client(target) as client:
        client.activate_prompt(args.task, str(find_version(client, args.task, args.number).id))
    print(plain(f"{args.task}: version {args.number} is active"))
    return 0


def diff_there(args: argparse.Namespace, target: Target) -> int:
    """Compare the texts of two versions."""
    with ct_client(target) as client:
        new = find_version(client, args.task, args.new)
        before = args.old or new.version_number - 1
        if not before:
            raise PromptError(f"version 1 of '{args.task}' is the first, there is none before it")
        old = find_version(client, args.task, before)
    texts = [(version.version_number, version.prompt_text or "") for version in (old, new)]
    print_diff(args.task, *texts)
    return 0


def print_diff(task: str, old: tuple[int, str], new: tuple[int, str]) -> None:
    """Print how two versions differ, each given by its number and text."""
    first, second = (f"{task} version {number}" for number, _ in (old, new))
    lines = difflib.unified_diff(old[1].split("\n"), new[1].split("\n"), first, second, lineterm="")
    for line in lines:
        print(plain(line))


def find_version(client: CTClient, task: str, number: int | None) -> Prompt:
    """Return a version of a task's prompt, the active one by default.

    Raises:
        CTError: The call failed.
        PromptError: There is no such version.
    """
    versions = client.list_versions(task)
    for version in versions:
        if version.version_number == number or (number is None and version.status == "active"):
            return version
    numbers = ", ".join(str(version.version_number) for version in versions)
    wanted = "an active version" if number is None else f"a version {number}"
    raise PromptError(f"no prompt of '{task}' with {wanted} there (there are: {numbers or 'none'})")


def _facts(task: str, version: Prompt) -> dict[str, Any]:
    text = version.prompt_text or ""
    return {
        "id": f"{task}@{version.version_number}",
        "label": None,
        "task": task,
        "version": version.version_number,
        "active": version.status == "active",
        "lock": None,
        "sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        "parent": None,
        "model": None,
        "variables": [],
        "note": None,
        "path": None,
        "text": text,
    }


def _text(facts: dict[str, Any]) -> str:
    state = " (active)" if facts["active"] else ""
    return plain(
        f"{facts['task']} version {facts['version']}{state}\nsha256: {facts['sha256']}\n\n{facts['text']}"
    )
