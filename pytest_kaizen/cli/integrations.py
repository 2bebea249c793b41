"""``kaizen integrations``: connections to MLflow, LangSmith and Braintrust, and imports from them."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..errors import UsageError
from ..pipeline.integrations import settings
from ..platforms import validation_text
from ..report.text import plain, safe_text, table
from .desks import Desk, open_desk, wait_for_job
from .options import add_target_options, count, secret_of, target_flags
from .terminal import progress

#: Seconds between two looks at a server's job.
_INTERVAL_S = 2.0

#: Which of them a way of authentication has no use for.
_UNUSED = {"none": ("username", "token"), "bearer": ("username",), "databricks": ("username",)}


class _Field(NamedTuple):
    """What is asked for.

    Attributes:
        key: Its name in the settings.
        question: What the user reads.
        default: Where nothing is answered, and nothing was set before.
        choices: The answers that are taken; all where there are none.
        secret: It is not shown, not while it is typed either.
    """

    key: str
    question: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False


_FIELDS = {
    "mlflow": (
        _Field("trackingUri", "tracking URI"),
        _Field("authType", "authentication", "none", ("none", "basic", "bearer", "databricks")),
        _Field("username", "username"),
        _Field("token", "token or password", secret=True),
        _Field("experimentName", "experiment"),
    ),
    "langsmith": (
        # Customers in Europe have another one: https://eu.api.smith.langchain.com
        _Field("apiUrl", "API URL", "https://api.smith.langchain.com"),
        _Field("apiKey", "API key", secret=True),
        _Field("projectName", "project"),
    ),
    "braintrust": (
        _Field("apiUrl", "API URL", "https://api.braintrust.dev"),
        _Field("apiKey", "API key", secret=True),
        _Field("projectName", "project"),
    ),
}


def declare_integrations(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, what: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=what)
        command.set_defaults(run=run)
        if name != "list":
            command.add_argument("name", choices=list(settings.KNOWN), help="which one")
        return command

    listing = add("list", "show what is set, secrets masked", _list)
    ask = add("configure", "ask for the settings of one, store them and try them", _configure)
    ask.description = (
        "Ask for the settings of an integration one by one, store them and try the connection. "
        "No answer leaves what is set. Without a terminal, each line of standard input is an answer."
    )
    change = add("set", "set up a connection; what is not named stays", _set)
    test = add("test", "try a connection", _test)
    projects = add("projects", "list the experiments or projects there", _projects)
    load = add("import", "import traces; a second time makes nothing double", _import)
    forget = add("forget", "delete what is set of a connection, its secret too", _forget)

    change.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="mlflow: trackingUri, authType (none, basic, bearer), username, experimentName; "
        "langsmith, braintrust: apiUrl, projectName; all: enabled",
    )
    change.add_argument(
        "--secret",
        metavar="VARIABLE",
        help="the environment variable that holds the token or key; - asks for it, or reads it from a pipe",
    )
    load.add_argument(
        "--project", metavar="NAME", help="the experiment or project (default: the one that is set)"
    )
    load.add_argument("--since", metavar="TIME", type=_time, help="only traces begun since then, in ISO 8601")
    load.add_argument("--limit", metavar="N", type=count, help="at most so many, the newest")
    load.add_argument(
        "--wait", action="store_true", help="on a server: until it is done, and show what came of it"
    )
    for command in (listing, test, load):
        command.add_argument("--json", action="store_true", help="as a JSON object")
    projects.add_argument("--json", action="store_true", help="as a JSON array")
    add_target_options(listing, ask, change, test, projects, load, forget)


def _list(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        found = desk.get_integrations()
    shown = {name: _masked(name, settings) for name, settings in found.items()}
    if args.json:
        print(json.dumps(shown, indent=2))
        return 0
    rows = []
    for name, known in shown.items():
        facts = [f"{key}={value}" for key, value in known.items() if key != "enabled" and value]
        state = "not set" if not facts else "off" if known.get("enabled") is False else "on"
        rows.append((name, state, ", ".join(facts)))
    print(table(("integration", "", "settings"), rows))
    return 0


def _configure(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        before = desk.get_integrations().get(args.name) or {}
        desk.update_integration(args.name, {"enabled": True, **_asked(args.name, before)})
        return _try(desk, args.name)


def _test(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        return _try(desk, args.name, as_json=args.json)


def _try(desk: Desk, name: str, *, as_json: bool = False) -> int:
    found = desk.test_integration(name)
    if as_json:
        print(json.dumps(found, indent=2))
    elif found["connected"]:
        facts = [f"MLflow {found['mlflowVersion']}"] if found.get("mlflowVersion") else []
        count = found.get("experimentCount")
        facts += [] if count is None else [f"{count} experiment{'s' * (count != 1)}"]
        more = f" ({', '.join(facts)})" if facts else ""
        print(plain(f"{name}: connected{more}"))
    if not found["connected"]:
        why = str(found.get("error") or "no connection").removeprefix(f"{name}: ")
        print(plain(f"kaizen: {name}: {why}"), file=sys.stderr)
    return int(not found["connected"])


def _set(args: argparse.Namespace) -> int:
    one = settings.known(args.name)
    fields = {field.alias or name: name for name, field in one.config.model_fields.items()}
    given: dict[str, Any] = {}
    for pair in args.settings:
        key, equals, value = pair.partition("=")
        if fields.get(key) == one.secret:
            raise UsageError(f"{key}: lists of processes would show it; give it with --secret")
        if not equals or key not in fields:
            known = ", ".join(key for key, name in fields.items() if name != one.secret)
            raise UsageError(f"expected KEY=VALUE, with one of {known} (found {pair!r})")
        given[key] = value or None
    if args.secret is not None:
        given[one.secret] = secret_of("--secret", args.secret)
    try:
        changes = one.config.model_validate(given)
    except ValidationError as exc:
        raise UsageError(f"{args.name}: {validation_text(exc)}") from None
    with open_desk(args) as desk:
        desk.update_integration(args.name, changes.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return 0


def _projects(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        _require_set(args, desk)
        found = desk.list_projects(args.name)
    if args.json:
        print(json.dumps(found, indent=2))
    elif found:
        print(safe_text(table(("id", "name"), [(project["id"], project["name"]) for project in found])))
    else:
        print(f"{args.name} has no {'experiments' if args.name == 'mlflow' else 'projects'}")
    return 0


def _import(args: argparse.Namespace) -> int:
    with open_desk(args, uploads=True) as desk:
        _require_set(args, desk)
        if desk.here:
            with progress(f"importing from {args.name}") as say:
                job = desk.import_traces(args.name, args.project, args.since, args.limit, say)
            return _imported(args, job)
        job_id = desk.import_traces(args.name, args.project, args.since, args.limit)
        again = f"kaizen status {job_id} --wait{target_flags(args)}"
        if args.wait:
            return _imported(args, wait_for_job(desk, job_id, _INTERVAL_S, again))
    print(json.dumps({"jobId": job_id}, indent=2) if args.json else plain(f"job {job_id} started"))
    print(plain(f"to wait for it: {again}"), file=sys.stderr)
    return 0


def _require_set(args: argparse.Namespace, desk: Desk) -> None:
    """Make sure that anything is set of an integration, before it is asked.

    Raises:
        UsageError: Nothing is.
    """
    if not any((desk.get_integrations().get(args.name) or {}).values()):
        cure = f"kaizen integrations configure {args.name}{target_flags(args)}"
        raise UsageError(f"{args.name} is not set up: `{cure}`")


def _imported(args: argparse.Namespace, job: dict[str, Any]) -> int:
    """Show what came of an import; 1 where it failed."""
    result = job.get("result") or {}
    # Where a server answers as Kayba's page has it.
    done = result.get("summary", result)
    if job["status"] != "completed":
        if args.json:
            print(json.dumps(job, indent=2))
        why = job.get("error") or "no reason was given"
        print(plain(f"kaizen: job {job['jobId']} {job['status']}: {why}"), file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps({"jobId": job["jobId"], **done}, indent=2))
        return 0
    print(f"{done['traces']} trace{'s' * (done['traces'] != 1)}, {done['new']} of them new")
    if done["leftOut"]:
        print(f"{done['leftOut']} could not be read:", file=sys.stderr)
        print(safe_text("\n".join(done["reasons"])), file=sys.stderr)
    return 0


def _forget(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        desk.forget_integration(args.name)
    return 0


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-01-31 (found {text!r})") from None


def _asked(name: str, before: Mapping[str, Any]) -> dict[str, str]:
    """Ask for the settings and return those that were given."""
    given: dict[str, str] = {}
    for field in _FIELDS[name]:
        way = given.get("authType") or before.get("authType")
        if field.key in _UNUSED.get(str(way), ()):
            continue
        set_before = before.get(field.key)
        kept = _mask(str(set_before)) if set_before and field.secret else set_before or field.default
        choices = f" ({', '.join(field.choices)})" if field.choices else ""
        answer = _answer(plain(f"{field.question}{choices}{f' [{kept}]' if kept else ''}: "), field)
        if answer or (field.default and not set_before):
            given[field.key] = answer or field.default or ""
    return given


def _answer(question: str, field: _Field) -> str:
    if field.secret and sys.stdin.isatty():
        return getpass.getpass(question, sys.stderr).strip()
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if answer and field.choices and answer not in field.choices:
        raise UsageError(f"{field.question}: expected {', '.join(field.choices)} (found {answer!r})")
    return answer


def _masked(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    secrets = {field.key for field in _FIELDS.get(name, ()) if field.secret}
    return {key: _mask(str(value)) if value and key in secrets else value for key, value in settings.items()}


def _mask(text: str) -> str:
    from ..store.sealed import is_masked, masked

    return text if is_masked(text) else masked(text)
