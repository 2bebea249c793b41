"""The store of a session."""

from __future__ import annotations

from ..config import Config
from ..store import Store


def open_store(config: Config) -> Store:
    """Open the store; what is stored through it is owed to the backends in use.

    Raises:
        StoreError: It cannot be opened.
    """
    if not config.upload_to:
        return Store.open(config.store)
    # A run that uploads nothing need not wait for it.
    from .upload import recipients

    return Store.open(config.store, recipients=recipients(config))
