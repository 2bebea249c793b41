"""One page of the web page: what a row of its table says, and how what a handler returns is drawn.

What is drawn comes from models and programs and is hostile. Every value that a template writes goes
through ``harmless`` and is escaped then; the policy that goes with each page lets no script be but ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from pydantic import BaseModel
from starlette.responses import Response

from ...report.text import plain
from ..operation import Access, Call, Operation
from ..problem import Refusal
from . import shown

if TYPE_CHECKING:
    from jinja2 import Environment

#: A longer text is cut: a page is to open, and the store has the whole of it.
LONGEST_TEXT = 20_000
ROOT = "/ui"
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_REPORT = "pytest_kaizen.report.html"
_OURS = "pytest_kaizen.server.ui"
#: Where each static file lies. The charts and the look are those of the HTML report.
_ASSETS = {
    "uplot.css": (_REPORT, "vendor/uplot-1.6.32.min.css"),
    "report.css": (_REPORT, "report.css"),
    "ui.css": (_OURS, "static/ui.css"),
    "uplot.js": (_REPORT, "vendor/uplot-1.6.32.min.js"),
    "page.js": (_REPORT, "page.js"),
    "charts.js": (_REPORT, "charts.js"),
    "ui.js": (_OURS, "static/ui.js"),
}
_TYPES = {"css": "text/css", "js": "text/javascript"}


@dataclass(frozen=True)
class Page(Operation):
    """A row of the table of pages: an operation that a browser asks for.

    ``access`` is what the key of the browser's session must allow; a public page needs no session. Of
    the handler's parameters ``body`` is a model of the fields of a form, and ``query`` one of those of
    the query; a field that is a tuple takes all the values that are given, another one the last. It
    returns a ``View``, a ``Redirect``, or an ASGI application that answers by itself.
    """

    writes: tuple[str, ...] = ("text/html",)


class View(NamedTuple):
    """A page to draw.

    Attributes:
        template: The file in ``templates`` and the block in it: ``runs.case``.
        values: What it draws, by name.
        status: Of the answer.
        cookies: To be set, as they stand in the header.
    """

    template: str
    values: Mapping[str, Any] = {}
    status: int = 200
    cookies: Sequence[str] = ()


class Redirect(NamedTuple):
    """Another page to go on with.

    Attributes:
        to: Its path; see ``url``.
        cookies: To be set, as they stand in the header.
    """

    to: str
    cookies: Sequence[str] = ()


class Mark(BaseModel):
    """Which content of a file is meant."""

    v: str | None = None


class Frame(NamedTuple):
    """What is around every page.

    Attributes:
        token: Goes with each form, so that no other site can send it.
        path: Of the page.
        who: The label of the key that was signed in with; None for a stranger.
        workspace: The name of its workspace.
        scopes: What the key allows.
    """

    token: str = ""
    path: str = ""
    who: str | None = None
    workspace: str = ""
    scopes: tuple[str, ...] = ()


def url(*parts: object, mark: str = "", **query: object) -> str:
    """Return the path of a page.

    Args:
        parts: Its parts below ``/ui/``, as texts that may hold anything.
        mark: The id of an element of the page.
        query: What is asked for; None leaves a name out.
    """
    path = "/".join([ROOT, *(quote(str(part), safe="", errors="replace") for part in parts)])
    given = {name: value for name, value in query.items() if value is not None}
    asked = f"?{urlencode(given, doseq=True, errors='replace')}" if given else ""
    return path + asked + (f"#{quote(mark, errors='replace')}" if mark else "")


def harmless(value: Any) -> Any:
    """Return what stands in a page for a value.

    What cannot be seen but changes what is seen becomes visible, a text that is too long is cut, and
    None is nothing. What a template has made already stays as it is.
    """
    if value is None:
        return ""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    more = len(value) - LONGEST_TEXT
    text = value if more <= 0 else f"{value[:LONGEST_TEXT]}… ({more} more characters in the store)"
    return plain(text.replace("\r\n", "\n"))


def drawn(view: View, frame: Frame) -> Response:
    """Draw a page."""
    subject, _, block = view.template.partition(".")
    template = _environment().get_template(f"{subject}.html")
    text = template.render(**view.values, frame=frame, block=block)
    answer = Response(text.encode("utf-8", "replace"), view.status, HEADERS, "text/html; charset=utf-8")
    return _with_cookies(answer, view.cookies)


def redirected(to: Redirect) -> Response:
    """Answer that another page is to be asked for, also after a form."""
    return _with_cookies(Response(status_code=303, headers={**HEADERS, "Location": to.to}), to.cookies)


def _with_cookies(answer: Response, cookies: Sequence[str]) -> Response:
    for cookie in cookies:
        answer.headers.append("Set-Cookie", cookie)
    return answer


@cache
def _environment() -> Environment:
    # Not with the server's start: its first page can wait for it.
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    def link(*parts: object, mark: str = "", **query: object) -> Markup:
        # Escaped here, so that the link to something with a long name stays whole.
        return escape(url(*parts, mark=mark, **query))

    made = Environment(
        loader=PackageLoader(_OURS),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {"url": link, "asset": lambda name: link("static", name, v=_mark(name))}
    made.filters |= {name: getattr(shown, name) for name in shown.FILTERS}
    made.filters["data"] = _data
    return made


def _data(value: Any) -> Any:
    """Write JSON that may stand in a script element: nothing in it can end the element."""
    from markupsafe import Markup

    return Markup(json.dumps(value).replace("<", "\\u003c"))


@cache
def _content(name: str) -> bytes:
    package, path = _ASSETS[name]
    return files(package).joinpath(path).read_bytes()


@cache
def _mark(name: str) -> str:
    return sha256(_content(name)).hexdigest()[:12]


def home(call: Call) -> Redirect:
    """Go on with what there is to see first."""
    return Redirect(url("runs"))


def static(call: Call, query: Mark, name: str) -> Response:
    """Return a style or a script."""
    if name not in _ASSETS:
        raise Refusal(404, f"there is no file {name!r}")
    # Under the mark in its URL the same file is never asked for again.
    kept = "public, max-age=31536000, immutable" if query.v == _mark(name) else "no-cache"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(_content(name), 200, headers, f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8")


PAGES = (
    Page("GET", ROOT, Access.PUBLIC, home),
    Page("GET", f"{ROOT}/static/{{name}}", Access.PUBLIC, static, errors=(404,)),
)
