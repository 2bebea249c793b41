"""What credentials look like, and those that a request carries.

The kinds and their shapes follow the rules that gitleaks publishes (https://gitleaks.io, file
``config/gitleaks.toml``) and the providers' own descriptions of their keys. Ours are written anew,
and looser: for a trace a false alarm costs a word, a miss costs a key.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

# The names under which JSON, headers and query strings hold credentials.
SECRET_FIELDS = frozenset(
    {
        "access_key", "access_token", "api_key", "apikey", "api_token", "auth_token", "authorization",
        "aws_secret_access_key", "bearer_token", "client_secret", "id_token", "passphrase", "passwd",
        "password", "private_key", "proxy_authorization", "refresh_token", "secret", "secret_access_key",
        "secret_key", "session_token", "x_api_key", "x_goog_api_key",
    }
)  # fmt: skip

_FIELD = "(?:" + "|".join(sorted(name.replace("_", "[-_]?") for name in SECRET_FIELDS)) + ")"

SECRET_VARIABLE = re.compile(
    r"(?:^|_|API|ACCESS|SECRET|PRIVATE)KEYS?(?:_|$)"
    r"|(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?(?:_|$)",
    re.IGNORECASE,
)
"""Names of environment variables whose values are credentials."""

_PLAIN = re.compile(r"[A-Za-z]{1,19}|[\d.,:_-]+|(?:/|~|\./|[A-Za-z]:[\\/]).*", re.DOTALL)

# A key starts where no longer word does, and has a digit: sk-learn-… is a library.
_START = r"(?<![A-Za-z0-9])"
_MIXED = r"(?=[A-Za-z_-]*\d)"

_HEADERS = frozenset({b"authorization", b"proxy-authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
#: Google's name for it, too short to be looked for in other places.
_QUERY_FIELDS = SECRET_FIELDS | {"key"}


def is_plausible(value: str, *, least: int) -> bool:
    """Say whether a value may be a credential: long enough, and no plain word, number or path."""
    return len(value) >= least and _PLAIN.fullmatch(value) is None


class Rule:
    """One kind of credential.

    Args:
        kind: What it is called in the text that takes its place.
        shape: Its shape, a regular expression; the group ``secret``, where there is one, is what is replaced.

    Attributes:
        kind: As it was given.
    """

    def __init__(self, kind: str, shape: str) -> None:
        self.kind = kind
        self._shape = shape

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The shape, compiled when a text first has the sign of its family, which most never have."""
        return re.compile(self._shape)


class Family(NamedTuple):
    """Kinds of credentials that share a sign.

    Attributes:
        hint: Characters within the sign: most texts lack them, which takes no time to see.
        sign: Found in every text that one of the rules matches. It starts with a fixed character,
            which makes it some thirty times faster than they are: a trace without secrets costs
            one such pass per family.
        rules: The rules, in the order in which they are applied.
    """

    hint: str
    sign: re.Pattern[str]
    rules: tuple[Rule, ...]


def _family(hint: str, sign: str, *rules: tuple[str, str]) -> Family:
    return Family(hint, re.compile(sign), tuple(Rule(*rule) for rule in rules))


FAMILIES = (
    _family(
        "-",
        r"-(?:(?<=sk-)|(?<=glpat-)|(?<=xox[a-z]-)|----BEGIN )",
        ("Anthropic key", rf"{_START}sk-ant-[A-Za-z0-9_-]{{10,}}"),
        ("OpenAI key", rf"{_START}sk-(?!ant-){_MIXED}[A-Za-z0-9_-]{{20,}}"),
        ("GitLab token", rf"{_START}glpat-[A-Za-z0-9_-]{{20,}}"),
        ("Slack token", rf"{_START}xox[a-z]-[A-Za-z0-9-]{{10,}}"),
        (
            "private key",
            r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?"
            r"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
        ),
    ),
    _family(
        "_",
        r"_(?:(?<=gh[pousr]_)|(?<=github_pat_)|(?<=hf_)|(?<=[rs]k_live_)|(?<=[rs]k_test_))",
        ("GitHub token", rf"{_START}gh[pousr]_[A-Za-z0-9]{{20,}}"),
        ("GitHub token", rf"{_START}github_pat_[A-Za-z0-9_]{{20,}}"),
        ("Hugging Face token", rf"{_START}hf_[A-Za-z0-9]{{30,}}"),
        ("Stripe key", rf"{_START}[rs]k_(?:live|test)_[A-Za-z0-9]{{10,}}"),
    ),
    _family(
        "A",
        r"A(?:KIA|SIA|Iza)",
        ("AWS key id", rf"{_START}(?:AKIA|ASIA)[A-Z2-7]{{16}}(?![A-Za-z0-9])"),
        ("Google key", rf"{_START}AIza[A-Za-z0-9_-]{{35}}"),
    ),
    _family(
        "J",
        r"J(?<=eyJ)",
        ("JWT", rf"{_START}eyJ[A-Za-z0-9_-]{{8,}}\.eyJ[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]*"),
    ),
    _family(
        "arer",
        r"arer\s",
        ("bearer token", r"\b[Bb]earer\s+(?P<secret>(?=[a-z_.~+/-]*[A-Z\d])[\w.~+/-]{12,}=*)"),
    ),
    _family(
        ":",
        r"://[^\s/:@\"'<>]*:",
        ("password", r"://[^\s/:@\"'<>]*:(?P<secret>[^\s/@\"'<>\[]+)@"),
    ),
    _family(
        "=",
        r"=(?<=[A-Za-z]=)",
        ("credential", rf"(?i:[?&]{_FIELD}|[?&]key)=(?P<secret>[^\s&#\"'<>\[]{{4,}})"),
    ),
    _family(
        ":",
        r":(?:(?<=[\"']:)|(?<=[\"']\s:)|(?<=[Kk][Ee][Yy]:)|(?<=[Oo][Nn]:))",
        (
            "credential",
            rf"(?i:[\"']{_FIELD})\\?[\"']\s?:\s*\\?[\"'](?P<secret>(?!\[redacted)[^\"'\\\s][^\"'\\]*)",
        ),
        (
            "credential",
            r"(?i:\b(?:proxy-)?authorization|\bx-api-key|\bapi-key|\bx-goog-api-key):\s*"
            r"(?:(?i:bearer|basic)\s+)?(?P<secret>(?!\[redacted|(?i:bearer|basic)\b)[^\s\"',;\[]{8,})",
        ),
    ),
)


def credentials_of(request: Any) -> Iterator[str]:
    """Yield what a request of httpx or httpx2 identifies its sender with: in headers and URL."""
    yield from credentials_in(request.headers.raw)
    url = request.url
    if url.password:
        yield url.password
    if url.query:
        for name, value in url.params.multi_items():
            if name.lower().replace("-", "_") in _QUERY_FIELDS:
                yield value


def credentials_in(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield what headers identify a sender with."""
    for name, value in headers:
        if name.lower() in _HEADERS:
            # The scheme in front (Bearer, Basic) is no secret.
            scheme, _, credential = value.decode("latin-1").rpartition(" ")
            yield credential
            if scheme.lower() == "basic":
                yield _password(credential)


def _password(credential: str) -> str:
    try:
        return b64decode(credential).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
