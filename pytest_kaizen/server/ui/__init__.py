"""The web page of a server, under ``/ui/``: what people look at, drawn here, that works without scripts.

To add a page: two blocks in its subject's file in ``templates``, ``<block>`` and ``<block>_title``; a handler
that takes a ``Call`` (and ``query``, ``body`` and the path's parameters, as an operation's does) and returns
a ``View`` of ``<subject>.<block>`` or a ``Redirect``; a row ``Page(method, path, access, handler)`` in the
``PAGES`` of its file; a line in the rules of the test that walks the table; and for a place in the navigation
a line in ``base.html``. A form is made with the macro ``form``, which carries the token, and ends in a
``Redirect``. What blocks runs in a thread as long as the handler is no coroutine function; one that writes is
one, and awaits ``call.write``.
"""

from __future__ import annotations

from . import jobs, observing, page, prompts, runs, site, workspace
from .page import Page

_PARTS = (page, site, runs, prompts, jobs, observing, workspace)
PAGES: tuple[Page, ...] = tuple(row for part in _PARTS for row in part.PAGES)

__all__ = ["PAGES"]
