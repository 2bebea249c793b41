"""What a report of a problem should say of an installation and a project; it holds no secrets."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ..capture import Redactor
from ..config import Config
from ..errors import KaizenError
from ..store import Store, sqlite
from .upload.senders import Upload

_NAME = "pytest-kaizen"
_MODEL_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
#: For those who work on the package itself.
_OWN_EXTRA = "dev"


def check_up(config: Config, env: Mapping[str, str]) -> dict[str, Any]:
    """Look an installation and a project over; nothing is written or sent.

    Args:
        config: The project.
        env: The environment.

    Returns:
        ``versions``, ``target``, ``store``, ``owed``, ``settings``, ``extras``, ``keys`` (whether they are
        set, by the name of their variable), ``warnings`` and ``errors`` (sentences).
    """
    found = installation()
    redactor = Redactor(env, config.redact)
    target = f"the store on this machine, {config.store}"
    found |= {"target": redactor.text(target), "store": _file(config.store), "owed": []}
    if config.store.exists():
        try:
            with Store.open(config.store, readonly=True) as store:
                found["owed"] = [Upload(state).to_json() for state in store.outbox.states()]
        except KaizenError as exc:
            found["errors"].append(str(exc))
    found["settings"] = {
        name: {
            "value": None if origin.value is None else redactor.text(origin.value),
            "from": origin.place,
        }
        for name, origin in sorted(config.origins.items())
    }
    backends = config.backends
    of_platforms = [
        each.key_env for each in (backends.kaizen_ct, backends.kayba, backends.kate, backends.kalmia)
    ]
    found["keys"] = {name: bool(env.get(name)) for name in (*_MODEL_KEYS, *of_platforms)}
    return found


def installation() -> dict[str, Any]:
    """Look an installation over: ``versions``, ``extras``, ``warnings`` and ``errors``."""
    warnings = []
    if not sqlite.is_safe():
        warnings.append(
            f"SQLite {sqlite.VERSION} is older than {sqlite.SAFE_VERSION}: a program of your own that writes "
            "to the store at the same time can damage it (pytest-kaizen itself takes turns)"
        )
    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        _NAME: metadata.version(_NAME),
        "pytest": metadata.version("pytest"),
        "sqlite": sqlite.VERSION,
    }
    versions |= {name: found for name in ("anthropic", "openai") if (found := _version(name))}
    return {"versions": versions, "extras": dict(_extras()), "warnings": warnings, "errors": []}


def _extras() -> Iterable[tuple[str, dict[str, Any]]]:
    # It comes with pytest.
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in metadata.requires(_NAME) or ()]
    for extra in sorted(metadata.metadata(_NAME).get_all("Provides-Extra") or ()):
        if extra != _OWN_EXTRA:
            own = [need for need in needed if need.marker and _only_with(need.marker, extra)]
            missing = [str(need.name) for need in own if not _is_there(need.name, need.specifier)]
            yield extra, {"installed": not missing, "missing": missing}


def _only_with(marker: Any, extra: str) -> bool:
    return marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _is_there(name: str, specifier: Any) -> bool:
    found = _version(name)
    return found is not None and specifier.contains(found, prereleases=True)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _file(path: Path) -> dict[str, Any]:
    # The write-ahead log belongs to it.
    parts = [part for part in (path, path.with_name(f"{path.name}-wal")) if part.is_file()]
    size = sum(part.stat().st_size for part in parts)
    return {"path": str(path), "exists": path.exists(), "bytes": size}
