"""``kaizen prompts``: write, compare, activate and lock prompt versions, in files or on a server."""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PromptError
from ..models import PromptVersion
from ..prompts import PromptLibrary, activate_version, lock_versions, new_version
from ..report.text import plain, table
from . import skillbook
from .configuration import config_for
from .desks import ct_client, show
from .options import Target, add_target_options, target_of

if TYPE_CHECKING:
    from ..platforms.kaizen_ct import Prompt
    from ..platforms.kaizen_ct.client import CTClient


def declare_prompts(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    new = commands.add_parser("new", help="write the next version, as a copy of the active one")
    new.add_argument("task", metavar="TASK")
    new.add_argument("--from", dest="source", type=_number, metavar="N", help="copy version N instead")
    new.add_argument("--note", help="the new version's note")
    new.add_argument("--text", metavar="FILE", help="take the text from a file ('-': from standard input)")
    new.set_defaults(run=_new)

    activate = commands.add_parser("activate", help="make a version the active one, and lock it")
    activate.add_argument("task", metavar="TASK")
    activate.add_argument("number", metavar="N", type=_number)
    activate.set_defaults(run=_activate)

    lock = commands.add_parser("lock", help="lock all versions, so that an edit in place is caught")
    lock.add_argument("task", metavar="TASK", nargs="?", help="of this task only")
    lock.set_defaults(run=_lock)

    listing = commands.add_parser("list", help="list versions, the newest first")
    listing.add_argument("task", metavar="TASK", nargs="?", help="of this task only")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    add_target_options(activate, listing)
    listing.set_defaults(run=_list_versions)

    show = commands.add_parser("show", help="show a version and its text")
    show.add_argument("task", metavar="TASK")
    show.add_argument("number", metavar="N", type=_number, nargs="?", help="the active one by default")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(show)
    show.set_defaults(run=_show_version)

    diff = commands.add_parser("diff", help="compare the texts of two versions")
    diff.add_argument("task", metavar="TASK")
    diff.add_argument(
        "old", metavar="A", type=_number, nargs="?", help="the one before the active by default"
    )
    diff.add_argument("new", metavar="B", type=_number, nargs="?", help="the active one by default")
    add_target_options(diff)
    diff.set_defaults(run=_diff)

    skillbook.declare_skillbook_prompts(commands)


def _new(args: argparse.Namespace) -> int:
    config = config_for(args)
    text, text_path = None, Path("-")
    if args.text is not None:
        text_path = Path(args.text)
        text = _read_text(text_path)
    path = new_version(config, args.task, source=args.source, text=text, text_path=text_path, note=args.note)
    print(_short(path))
    active = PromptLibrary(config).active(args.task)
    if active is not None and path.stem != str(active):
        hint = f"version {active} stays active until `kaizen prompts activate {args.task} {path.stem}`"
        print(hint, file=sys.stderr)
    return 0


def _read_text(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise PromptError(f"--text: cannot be read: {exc}", path=path) from None


def _short(path: Path) -> Path:
    """Return a path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _activate(args: argparse.Namespace) -> int:
    target = target_of(args, "kaizen-ct")
    if target is not None:
        return _activate_there(args, target)
    before = activate_version(config_for(args), args.task, args.number)
    was = f"; before: version {before}" if before not in (None, args.number) else ""
    print(f"{args.task}: version {args.number} is active{was}")
    return 0


def _lock(args: argparse.Namespace) -> int:
    config = config_for(args)
    tasks = lock_versions(config, None if args.task is None else [args.task])
    library = PromptLibrary(config)
    for task in tasks:
        numbers = ", ".join(str(number) for number in library.locked(task))
        print(f"{task}: locked {numbers}; version {library.active(task)} is active")
    return 0


def _list_versions(args: argparse.Namespace) -> int:
    target = target_of(args, "kayba")
    if target is not None:
        return skillbook.list_prompts_there(args, target)
    library = PromptLibrary(config_for(args))
    tasks = library.tasks() if args.task is None else [args.task]
    found = [_facts(library, version) for task in tasks for version in reversed(library.versions(task))]
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    if not found:
        print("no prompts yet; write the first: `kaizen prompts new TASK`")
        return 0
    rows = [
        (
            facts["task"],
            facts["version"],
            "active" if facts["active"] else "",
            facts["lock"],
            facts["sha256"][:12],
            facts["model"],
            facts["note"],
        )
        for facts in found
    ]
    print(table(("task", "version", "", "lock", "sha256", "model", "note"), rows))
    return 0


def _show_version(args: argparse.Namespace) -> int:
    target = target_of(args, "kaizen-ct")
    if target is not None:
        return _show_there(args, target)
    library = PromptLibrary(config_for(args))
    version = _version(library, args.task, args.number)
    facts = _facts(library, version)
    if args.json:
        print(json.dumps({**facts, "text": version.text}, indent=2))
        return 0
    state = f"{'active, ' if facts['active'] else ''}{facts['lock']}"
    print(f"{version.task} version {version.version} ({state})")
    print(f"sha256: {version.sha256}")
    for name in ("model", "note"):
        if facts[name]:
            print(plain(f"{name}: {facts[name]}"))
    if version.variables:
        print(f"variables: {', '.join(version.variables)}")
    print(plain(f"\n{version.text}"))
    return 0


def _diff(args: argparse.Namespace) -> int:
    target = target_of(args, "kaizen-ct")
    if target is not None:
        return _diff_there(args, target)
    library = PromptLibrary(config_for(args))
    new = _version(library, args.task, args.new)
    if args.old is None and new.parent is None:
        raise PromptError(
            f"version {new.version} of '{args.task}' is the first, there is none before it; "
            f"name the two: `kaizen prompts diff {args.task} A B`"
        )
    old = _version(library, args.task, new.parent if args.old is None else args.old)
    _print_diff(args.task, (old.version, old.text), (new.version, new.text))
    return 0


def _version(library: PromptLibrary, task: str, number: int | None) -> PromptVersion:
    """Find a version, the active one by default."""
    versions = {version.version: version for version in library.versions(task)}
    wanted = number or library.active(task) or max(versions)
    return versions[library.version(task, wanted).version]


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a version, counted from 1 (found {text!r})")
    return int(text)


def _facts(library: PromptLibrary, version: PromptVersion) -> dict[str, Any]:
    """Collect what the commands tell of a version, in the order they tell it."""
    locked = library.locked(version.task).get(version.version)
    return {
        "id": version.id,
        "label": version.note,
        "task": version.task,
        "version": version.version,
        "active": library.active(version.task) == version.version,
        "lock": "not locked" if locked is None else "locked" if locked == version.sha256 else "edited",
        "sha256": version.sha256,
        "parent": version.parent,
        "model": version.model,
        "variables": list(version.variables or ()),
        "note": version.note,
        "path": str(_short(library.version(version.task, version.version).path)),
    }


def _show_there(args: argparse.Namespace, target: Target) -> int:
    """Show a version and its text, with the keys that one of the project's files has."""
    with ct_client(target) as client:
        version = _version_there(client, args.task, args.number)
    return show(args, _facts_there(args.task, version), _text_there)


def _activate_there(args: argparse.Namespace, target: Target) -> int:
    """Make a version the active one."""
    with ct_client(target) as client:
        client.activate_prompt(args.task, str(_version_there(client, args.task, args.number).id))
    print(plain(f"{args.task}: version {args.number} is active"))
    return 0


def _diff_there(args: argparse.Namespace, target: Target) -> int:
    """Compare the texts of two versions."""
    with ct_client(target) as client:
        new = _version_there(client, args.task, args.new)
        before = args.old or new.version_number - 1
        if not before:
            raise PromptError(f"version 1 of '{args.task}' is the first, there is none before it")
        old = _version_there(client, args.task, before)
    texts = [(version.version_number, version.prompt_text or "") for version in (old, new)]
    _print_diff(args.task, *texts)
    return 0


def _print_diff(task: str, old: tuple[int, str], new: tuple[int, str]) -> None:
    """Print how two versions differ, each given by its number and text."""
    first, second = (f"{task} version {number}" for number, _ in (old, new))
    lines = difflib.unified_diff(old[1].split("\n"), new[1].split("\n"), first, second, lineterm="")
    for line in lines:
        print(plain(line))


def _version_there(client: CTClient, task: str, number: int | None) -> Prompt:
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


def _facts_there(task: str, version: Prompt) -> dict[str, Any]:
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


def _text_there(facts: dict[str, Any]) -> str:
    state = " (active)" if facts["active"] else ""
    return plain(
        f"{facts['task']} version {facts['version']}{state}\nsha256: {facts['sha256']}\n\n{facts['text']}"
    )
