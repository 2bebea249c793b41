"""Writing prompts: a new version, another active version, the lock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_kaizen.config import Config
from pytest_kaizen.errors import PromptError

from .files import FrontMatter, Source, compose, parse_source, read_source, variables_in
from .library import PromptLibrary

_FIRST = Source(
    FrontMatter(note="First version."),
    "Say what the model is to do, what it is given, and what its answer must look like.",
)


def new_version(
    config: Config,
    task: str,
    *,
    source: int | None = None,
    text: str | None = None,
    text_path: Path = Path("-"),
    note: str | None = None,
) -> Path:
    """Write the next version of a task's prompt and return its file.

    It is a copy of another version with its front matter, also of one that was edited after it was
    locked; the first version of a task gets a text to start from. No number is used twice: those
    in ``kaizen.lock`` count, whether or not their files still exist.

    Args:
        config: Where the prompts are.
        task: The task.
        source: The version to copy; the active one by default.
        text: The new version's text; with front matter of its own, that is taken too.
        text_path: Where ``text`` comes from, for messages.
        note: Its note, instead of the one in the front matter.

    Raises:
        PromptError: No such version, a text that is not a prompt, or a file that cannot be written.
    """
    library = PromptLibrary(config)
    numbers = library.numbers(task)
    if source is None and numbers:
        source = library.active(task)
    base = _FIRST if source is None else read_source(library.version(task, source).path)
    front, body = base.front or FrontMatter(), base.text
    if text is not None:
        given = parse_source(text, text_path)
        body = given.text
        front = given.front or _front_for(body, FrontMatter() if source is None else front)
    if note is not None:
        front = front.model_copy(update={"note": note})
    number = max([*numbers, *library.locked(task)], default=0) + 1
    path = config.prompt_folder(task) / f"{number}.md"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(compose(front, body))
    except OSError as exc:
        raise PromptError(f"cannot be written: {exc}", path=path) from None
    return path


def _front_for(text: str, front: FrontMatter) -> FrontMatter:
    """Take over another version's front matter; its declaration of variables follows the text."""
    return front if front.variables is None else front.model_copy(update={"variables": variables_in(text)})


def activate_version(config: Config, task: str, number: int) -> int | None:
    """Make a version the active one, lock it, and return the one that was active before.

    Raises:
        PromptError: No such version, or it was edited after it was locked.
    """
    library = PromptLibrary(config)
    before = library.active(task)
    library.lock.record(task, [library.version(task, number)], active=number)
    library.lock.write()
    return before


def lock_versions(config: Config, tasks: Sequence[str] | None = None) -> list[str]:
    """Lock all versions of tasks, and with them the version that is active now.

    Nothing is written unless everything can be locked.

    Args:
        config: Where the prompts are.
        tasks: The tasks; all by default.

    Returns:
        The tasks.

    Raises:
        PromptError: There is no task, one has no version, or a locked version was edited.
    """
    library = PromptLibrary(config)
    names = library.tasks() if tasks is None else list(tasks)
    if not names:
        message = "no prompts to lock; write the first: `kaizen prompts new TASK`"
        raise PromptError(message, path=config.root / "prompts")
    for task in names:
        prompts = [library.version(task, version.version) for version in library.versions(task)]
        library.lock.record(task, prompts, active=library.lock.active.get(task, prompts[-1].version))
    library.lock.write()
    return names
