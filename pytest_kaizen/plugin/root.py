"""Where ``kaizen.yaml`` is looked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..config import KAIZEN_YAML


def kaizen_root(config: pytest.Config) -> Path:
    """Return the folder that relative paths start from.

    That is the nearest folder with a ``kaizen.yaml``, from the common folder of the command line's
    arguments up to pytest's rootdir, so that one repository may hold several suites; else rootdir.
    """
    places = [config.invocation_params.dir / arg.partition("::")[0] for arg in config.args]
    try:
        start = Path(os.path.commonpath([place.resolve() for place in places]))
    except ValueError:
        return config.rootpath
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if (candidate / KAIZEN_YAML).exists():
            return candidate
        if candidate == config.rootpath:
            break
    return config.rootpath
