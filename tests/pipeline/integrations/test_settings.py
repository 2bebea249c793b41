"""What is set of integrations, and how it is used."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pytest_kaizen.errors import ConfigError, UsageError
from pytest_kaizen.pipeline.integrations import settings
from pytest_kaizen.platforms import RequestModel
from pytest_kaizen.store import Store, sealed
from tests.pipeline.integrations.conftest import price
from tests.pipeline.integrations.place import SECRET, Said
from tests.pipeline.integrations.places import PLACES, MlflowPlace

TRACKING = "http://127.0.0.1:5000"


def change(store: Store, name: str, **given: Any) -> None:
    config: RequestModel = settings.known(name).config.model_validate(given)
    settings.change(store, name, config)


def shown(store: Store, name: str) -> dict[str, Any]:
    made: dict[str, Any] = settings.stored(store, name).to_json()
    return made


def secret(store: Store, name: str = "mlflow", field: str = "token") -> str | None:
    found = store.sealed.open(settings.OWNER, name, field)
    return None if found is None else found.get_secret_value()


def test_settings_are_kept_and_the_secret_is_masked(store: Store) -> None:
    assert shown(store, "mlflow") == {}
    change(store, "mlflow", enabled=True, trackingUri=TRACKING, authType="bearer", token=SECRET)
    change(store, "mlflow", experimentName="support", password="not ours")
    assert shown(store, "mlflow") == {
        "enabled": True,
        "trackingUri": TRACKING,
        "authType": "bearer",
        "experimentName": "support",
        "token": f"{SECRET[:4]}****{SECRET[-4:]}",
    }
    assert SECRET not in repr(settings.stored(store, "mlflow"))
    # The secret is in no plain column.
    assert store.integrations.one("mlflow") == {
        "enabled": True,
        "tracking_uri": TRACKING,
        "auth_type": "bearer",
        "experiment_name": "support",
    }
    settings.forget(store, "mlflow")
    assert shown(store, "mlflow") == {}
    assert secret(store) is None


@pytest.mark.parametrize(
    "given", [{}, {"token": None}, {"token": ""}, {"token": "tok-****cret"}, {"token": "****"}]
)
def test_a_secret_that_says_nothing_stays(store: Store, given: dict[str, Any]) -> None:
    change(store, "mlflow", trackingUri=TRACKING, token=SECRET)
    change(store, "mlflow", experimentName=None, trackingUri=TRACKING + "/", **given)
    assert secret(store) == SECRET
    change(store, "mlflow", token=" another-token ")
    assert secret(store) == "another-token"


@pytest.mark.parametrize(
    "uri", ["http://evil.example:5000", "http://127.0.0.1:5001", "https://127.0.0.1:5000", None]
)
def test_a_secret_goes_to_no_other_server_than_it_was_given_for(store: Store, uri: str | None) -> None:
    change(store, "mlflow", trackingUri=TRACKING, token=SECRET)
    with pytest.raises(
        UsageError, match="mlflow: give the secret again: what is stored was given for another"
    ):
        change(store, "mlflow", trackingUri=uri, token="tok-****cret")
    assert store.integrations.one("mlflow") == {"tracking_uri": TRACKING}
    change(store, "mlflow", trackingUri=TRACKING + "/path")
    if uri is not None:
        change(store, "mlflow", trackingUri=uri, token="for-the-new-one")
        assert secret(store) == "for-the-new-one"


def test_a_secret_that_cannot_be_sealed_leaves_the_address_as_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(store, "mlflow", trackingUri=TRACKING, token=SECRET)
    monkeypatch.setenv(sealed.KEY_VARIABLE, "malformed")
    with pytest.raises(ConfigError, match="KAIZEN_SECRET_KEY"):
        change(store, "mlflow", trackingUri="http://evil.example", token="another-token")
    assert store.integrations.one("mlflow") == {"tracking_uri": TRACKING}
    monkeypatch.delenv(sealed.KEY_VARIABLE)
    assert secret(store) == SECRET


def test_the_default_server_counts_as_one(store: Store) -> None:
    change(store, "langsmith", apiKey=SECRET)
    change(store, "langsmith", apiUrl="https://api.smith.langchain.com/api/v1")
    with pytest.raises(UsageError, match="give the secret again"):
        change(store, "langsmith", apiUrl="https://evil.example")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("127.0.0.1:5000", "mlflow: trackingUri must be an address that starts with http"),
        ("databricks", "must be an address"),
        ("file:///etc/passwd", "must be an address"),
        ("http://", "must be an address"),
        ("http://user:hunter2@127.0.0.1", "may hold no user, password, query or fragment"),
        ("http://127.0.0.1/?key=hunter2", "may hold no user, password, query or fragment"),
    ],
)
def test_addresses_that_cannot_be_right(store: Store, uri: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        change(store, "mlflow", trackingUri=uri)
    assert "hunter2" not in str(caught.value)
    assert store.integrations.one("mlflow") == {}


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("phoenix", {}, "there is no integration 'phoenix'; there are mlflow, langsmith, braintrust"),
        ("mlflow", {}, "mlflow is not set up: trackingUri is not set"),
        ("mlflow", {"trackingUri": TRACKING, "enabled": False}, "mlflow is switched off"),
        ("mlflow", {"trackingUri": TRACKING, "authType": "bearer"}, "authType bearer needs token"),
        ("mlflow", {"trackingUri": TRACKING, "authType": "basic", "token": "x"}, "needs username and token"),
        ("mlflow", {"trackingUri": TRACKING, "authType": "databricks"}, "databricks cannot be used here"),
        (
            "mlflow",
            {"trackingUri": TRACKING, "authType": "bearer", "token": "ü"},
            "token has blanks or characters outside ASCII",
        ),
        ("langsmith", {}, "langsmith: apiKey is not set"),
        ("langsmith", {"apiKey": "a\nb"}, "apiKey has blanks or characters outside ASCII"),
        ("braintrust", {}, "braintrust: apiKey is not set"),
    ],
)
def test_what_keeps_a_source_from_being_asked(
    store: Store, name: str, given: dict[str, Any], problem: str
) -> None:
    if given:
        change(store, name, **given)
    with pytest.raises(UsageError, match=problem):
        settings.connect(store, name, allow_private=True, price=price)


BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    ("name", "given", "authorization"),
    [
        ("mlflow", {}, None),
        ("mlflow", {"authType": "none", "token": SECRET}, None),
        ("mlflow", {"authType": "basic", "username": "me", "token": SECRET}, BASIC),
        ("mlflow", {"authType": "bearer", "token": SECRET}, f"Bearer {SECRET}"),
        ("langsmith", {"apiKey": SECRET}, SECRET),
        ("braintrust", {"apiKey": SECRET}, f"Bearer {SECRET}"),
    ],
)
def test_who_asks(store: Store, name: str, given: dict[str, Any], authorization: str | None) -> None:
    with PLACES[name]() as place:
        place.authorization = authorization
        address = "trackingUri" if name == "mlflow" else "apiUrl"
        change(store, name, **{address: place.url + ("" if name == "mlflow" else "/v1")}, **given)
        if name == "langsmith":
            change(store, name, **{address: place.url + "/api/v1"})
        tested = settings.tested(store, name, allow_private=True)
        assert (tested.connected, tested.error) == (True, None)
        if name == "mlflow":
            assert (tested.mlflow_version, tested.experiment_count) == ("3.17.2", 1)
            assert authorization is not None or "authorization" not in place.asked[0].headers
        place.authorization = "another"
        tested = settings.tested(store, name, allow_private=True)
        assert not tested.connected
        assert ": 401: " in (tested.error or "")
        assert SECRET not in (tested.error or "")
        refused = settings.tested(store, name, allow_private=False)
        assert "in a private network" in (refused.error or "")


def test_a_test_of_what_is_not_set_up_says_so(store: Store) -> None:
    tested = settings.tested(store, "langsmith", allow_private=True)
    assert (tested.connected, tested.error) == (False, "langsmith: apiKey is not set")
    with pytest.raises(UsageError, match="there is no integration"):
        settings.tested(store, "phoenix", allow_private=True)


def test_a_server_that_is_none(store: Store) -> None:
    with MlflowPlace() as place:
        change(store, "mlflow", trackingUri=place.url)
        place.instead = [Said(200, {"experiments": [3]})]
        tested = settings.tested(store, "mlflow", allow_private=True)
    assert (tested.connected, tested.mlflow_version) == (False, None)
    assert "mlflow: an answer is not as its documentation says" in (tested.error or "")


def test_which_project(store: Store) -> None:
    with pytest.raises(UsageError, match="mlflow: say which project, or set experimentName"):
        settings.project_of(store, "mlflow", None)
    change(store, "mlflow", experimentName="support")
    assert settings.project_of(store, "mlflow", None) == "support"
    assert settings.project_of(store, "mlflow", "other") == "other"
