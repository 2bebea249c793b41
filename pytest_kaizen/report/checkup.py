"""What ``kaizen doctor`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .table import table
from .text import safe_text


def checkup_text(found: Mapping[str, Any]) -> str:
    """Lay out what a check-up found, as far as it came."""
    lines = [f"{name} {version}" for name, version in found["versions"].items()]
    if "target" in found:
        store = found["store"]
        there = f"{store['bytes']:,} bytes" if store["exists"] else "not there yet; a run makes it"
        if "server" in found:
            there = f"key: {found['server']['key_from']}"
        lines += ["", f"commands work on {found['target']} ({there})"]
        lines += [
            f"owed to {each['backend']}: {each['owed']} (`kaizen sync`)"
            for each in found["owed"]
            if each["owed"]
        ] or ["nothing is owed to any platform"]
        settings = [(name, each["value"], each["from"]) for name, each in found["settings"].items()]
        lines += ["", table(("setting", "value", "from"), settings) if settings else "no setting is changed"]
        keys = [(name, "set" if is_set else "not set") for name, is_set in found["keys"].items()]
        lines += ["", table(("key", ""), keys)]
    extras = [
        (name, "yes" if each["installed"] else f"without {', '.join(each['missing'])}")
        for name, each in found["extras"].items()
    ]
    lines += ["", table(("extra", "installed"), extras)]
    for kind in ("warnings", "errors"):
        lines += [f"{kind.removesuffix('s')}: {sentence}" for sentence in found[kind]]
    return safe_text("\n".join(lines))
