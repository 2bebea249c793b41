"""Whether the collected cases of a task are all there are.

A gate on a whole task may only be decided when every case of it ran. Cases that were collected and
then deselected (``-k``, ``--lf``) are known. Cases in files that the command line left out are not,
so those files are searched for the task's name.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest


def left_out(config: pytest.Config, items: Iterable[pytest.Item], tasks: Iterable[str]) -> dict[str, str]:
    """Find tasks that have cases which this session did not collect.

    Args:
        config: pytest's configuration.
        items: Everything that was collected.
        tasks: The tasks in question.

    Returns:
        A reason by task, for the tasks that have more cases.
    """
    by_choice = config.args_source is pytest.Config.ArgsSource.ARGS
    ignoring = any(arg.startswith("--ignore") for arg in config.invocation_params.args)
    failed_only = _runs_last_failed(config)
    if not (by_choice or ignoring or failed_only):
        return {}
    wanted = [task for task in tasks if task]
    if not wanted:
        return {}
    partly = {
        (config.invocation_params.dir / arg.partition("::")[0]).resolve()
        for arg in config.args
        if "::" in arg
    }
    whole = set() if failed_only else {item.path.resolve() for item in items} - partly
    reasons: dict[str, str] = {}
    for path in _test_files(config):
        if path.resolve() in whole:
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for task in wanted:
            if task not in reasons and (f'"{task}"' in text or f"'{task}'" in text):
                shown = os.path.relpath(path, config.rootpath)
                reasons[task] = f"{shown} names the task too, and was not run as a whole"
    return reasons


def _runs_last_failed(config: pytest.Config) -> bool:
    """Whether ``--lf`` leaves something out; it takes single tests out of the files that it collects."""
    return config.getoption("lf", default=False) and bool(
        config.cache and config.cache.get("cache/lastfailed", {})
    )


def _test_files(config: pytest.Config) -> Iterator[Path]:
    patterns: list[str] = config.getini("python_files")
    skipped: list[str] = config.getini("norecursedirs")
    roots = [config.rootpath / path for path in config.getini("testpaths")] or [config.rootpath]
    for root in roots:
        if root.is_file():
            yield root
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not any(fnmatch.fnmatch(name, p) for p in skipped)]
            for name in files:
                if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                    yield Path(folder, name)
