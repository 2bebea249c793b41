"""Which integrations there are, and what is set of them: in the store, the secrets encrypted."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...capture.build import Price
from ...errors import PlatformError, UsageError
from ...models import Usage
from ...platforms import RequestModel
from ...platforms.kalmia import BraintrustConfig
from ...platforms.kayba import IntegrationTest, LangsmithConfig, MlflowConfig
from ...store import Store
from ...store.sealed import is_masked
from . import ATTEMPTS, Connection, Source, understood

#: Whose the secrets are in the store: of this kind.
OWNER = "integration"


class Known(NamedTuple):
    """An integration.

    Attributes:
        config: The model of its settings, one field of which is the secret.
        secret: The field that holds the secret.
        address: The field that holds the base address.
        project: The field that holds the project that is meant where none is named.
        default_url: The base address where none is set; None where there is no such.
        endings: What people write behind the base address that does not belong to it.
        headers: Makes the headers that say who asks, of the settings and the secret.
        open: Makes the source.
    """

    config: type[RequestModel]
    secret: str
    address: str
    project: str
    default_url: str | None
    endings: tuple[str, ...]
    headers: Callable[[Any, str | None], Mapping[str, str]]
    open: Callable[[Connection], Source]


# A server starts without the sources and the HTTP client that they need.
def _mlflow(connection: Connection) -> Source:
    from .mlflow import Mlflow

    return Mlflow(connection)


def _langsmith(connection: Connection) -> Source:
    from .hosted import Langsmith

    return Langsmith(connection)


def _braintrust(connection: Connection) -> Source:
    from .hosted import Braintrust

    return Braintrust(connection)


def _mlflow_headers(config: MlflowConfig, secret: str | None) -> Mapping[str, str]:
    kind = config.auth_type or "none"
    if kind == "none":
        return {}
    if kind == "databricks":
        raise UsageError(
            "mlflow: authType databricks cannot be used here; with a personal access token of the workspace "
            "use bearer, and its address as trackingUri"
        )
    if not secret or (kind == "basic" and not config.username):
        needed = "username and token" if kind == "basic" else "token"
        raise UsageError(f"mlflow: authType {kind} needs {needed}")
    if kind == "basic":
        return {"Authorization": f"Basic {base64.b64encode(f'{config.username}:{secret}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {_sendable('mlflow', 'token', secret)}"}


def _langsmith_headers(_config: LangsmithConfig, secret: str | None) -> Mapping[str, str]:
    return {"X-API-Key": _required("langsmith", secret)}


def _braintrust_headers(_config: BraintrustConfig, secret: str | None) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {_required('braintrust', secret)}"}


def _required(name: str, secret: str | None) -> str:
    if not secret:
        raise UsageError(f"{name}: apiKey is not set")
    return _sendable(name, "apiKey", secret)


def _sendable(name: str, key: str, secret: str) -> str:
    from ...platforms.connections import is_visible_ascii

    if not is_visible_ascii(secret):
        raise UsageError(f"{name}: {key} has blanks or characters outside ASCII, which no key has")
    return secret


KNOWN: Mapping[str, Known] = {
    "mlflow": Known(
        MlflowConfig, "token", "tracking_uri", "experiment_name", None, (), _mlflow_headers, _mlflow
    ),
    "langsmith": Known(
        LangsmithConfig,
        "api_key",
        "api_url",
        "project_name",
        "https://api.smith.langchain.com",
        ("/api/v1", "/api/v2", "/api"),
        _langsmith_headers,
        _langsmith,
    ),
    "braintrust": Known(
        BraintrustConfig,
        "api_key",
        "api_url",
        "project_name",
        "https://api.braintrust.dev",
        ("/v1",),
        _braintrust_headers,
        _braintrust,
    ),
}


def known(name: str) -> Known:
    """Return an integration by its name.

    Raises:
        UsageError: There is none.
    """
    if name not in KNOWN:
        raise UsageError(f"there is no integration {name!r}; there are {', '.join(KNOWN)}")
    return KNOWN[name]


def stored(store: Store, name: str) -> Any:
    """Return the settings of an integration, as its ``config``, the secret masked."""
    one = known(name)
    shown = store.sealed.shown(OWNER, name).get(one.secret)
    return one.config.model_validate({**store.integrations.one(name), one.secret: shown})


def change(store: Store, name: str, given: RequestModel) -> None:
    """Store settings; those that are not given stay, as does a secret that is empty or masked.

    Args:
        store: Where they are kept.
        name: The integration.
        given: Its ``config``, with what is to change.

    Raises:
        UsageError: A value cannot be right, or the secret would go to another server than it was given for.
        ConfigError: There is no key to encrypt with.
    """
    one = known(name)
    changes = given.model_dump(include=given.model_fields_set & set(type(given).model_fields), mode="json")
    secret = changes.pop(one.secret, None)
    secret = None if secret is None or is_masked(secret) else secret.strip()
    before = store.integrations.one(name)
    after = {**before, **changes}
    origins = [_origin(name, one, settings) for settings in (before, after)]
    if not secret and origins[0] != origins[1] and store.sealed.open(OWNER, name, one.secret) is not None:
        # Else whoever may change the address could have the secret sent to a server of his own.
        raise UsageError(f"{name}: give the secret again: what is stored was given for another server")
    # The secret first: where it cannot be sealed, the one before does not go to the new address.
    store.sealed.keep(OWNER, name, one.secret, secret)
    store.integrations.put(name, after)


def forget(store: Store, name: str) -> None:
    """Delete all that is set of an integration, its secret too."""
    known(name)
    store.integrations.forget(name)
    store.sealed.forget(OWNER, name)


def project_of(store: Store, name: str, given: str | None) -> str:
    """Return the project that is meant.

    Raises:
        UsageError: None is given and none is set.
    """
    found = given or getattr(stored(store, name), known(name).project)
    if not found:
        key = known(name).config.model_fields[known(name).project].alias
        raise UsageError(f"{name}: say which project, or set {key}")
    return str(found)


def connect(
    store: Store, name: str, *, allow_private: bool, price: Price, attempts: int = ATTEMPTS
) -> Source:
    """Open a source; close it after use.

    Args:
        store: Where its settings are.
        name: The integration.
        allow_private: Whether it may be in a private network.
        price: What a call costs that does not say so.
        attempts: How often a request is made that fails for a reason that may pass.

    Raises:
        UsageError: It is not set up, or switched off.
        ConfigError: There is no key to decrypt its secret with.
        StoreError: Its secret cannot be decrypted.
    """
    one = known(name)
    config = one.config.model_validate(store.integrations.one(name))
    if getattr(config, "enabled", None) is False:
        raise UsageError(f"{name} is switched off (enabled is false)")
    url = _address(name, one, config.model_dump())
    if url is None:
        raise UsageError(f"{name} is not set up: {one.config.model_fields[one.address].alias} is not set")
    sealed = store.sealed.open(OWNER, name, one.secret)
    secret = None if sealed is None else sealed.get_secret_value()
    return one.open(Connection(url, one.headers(config, secret), secret, allow_private, price, attempts))


def tested(store: Store, name: str, *, allow_private: bool) -> IntegrationTest:
    """Try a connection; what keeps it from working is in the answer.

    Raises:
        UsageError: There is no such integration.
        StoreError: The store cannot be read.
    """
    known(name)
    try:
        source = connect(store, name, allow_private=allow_private, price=_no_price, attempts=1)
    except UsageError as exc:
        return IntegrationTest(connected=False, error=str(exc))
    try:
        with understood(name):
            found = source.check()
    except PlatformError as exc:
        return IntegrationTest(connected=False, error=str(exc))
    finally:
        source.close()
    return IntegrationTest(connected=True, mlflow_version=found.version, experiment_count=found.experiments)


def _no_price(_model: str, _usage: Usage) -> None:
    """Nothing is priced in a look."""


def _address(name: str, one: Known, settings: Mapping[str, Any]) -> str | None:
    """Return the base address that settings lead to.

    Raises:
        UsageError: It cannot be right.
    """
    given = settings.get(one.address) or one.default_url
    if not given:
        return None
    import httpx

    key = one.config.model_fields[one.address].alias
    try:
        url = httpx.URL(given.strip())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.userinfo or url.query or url.fragment:
        raise UsageError(f"{name}: {key} may hold no user, password, query or fragment")
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"{name}: {key} must be an address that starts with http:// or https://")
    text = str(url).rstrip("/")
    ending = next((ending for ending in one.endings if text.endswith(ending)), "")
    return text.removesuffix(ending)


def _origin(name: str, one: Known, settings: Mapping[str, Any]) -> tuple[str, str, int | None] | None:
    address = _address(name, one, settings)
    if address is None:
        return None
    import httpx

    url = httpx.URL(address)
    return url.scheme, url.host, url.port
