"""How a source is asked: again where that helps, and without its secret in any message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.pipeline.integrations import remote as asking
from pytest_kaizen.pipeline.integrations.mlflow import Mlflow
from pytest_kaizen.pipeline.integrations.remote import Remote
from tests.pipeline.integrations.conftest import connection
from tests.pipeline.integrations.place import SECRET, Place, Said
from tests.pipeline.integrations.places import MlflowPlace


@pytest.fixture
def place() -> Iterator[MlflowPlace]:
    with MlflowPlace() as opened:
        yield opened


def remote(place: Place, attempts: int = 1, waited: list[float] | None = None) -> Remote:
    pauses = [] if waited is None else waited
    return Remote("mlflow", connection(place.url, attempts=attempts), sleep=pauses.append)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Said(401, {"message": f"not with {SECRET}"}), "401: not with [secret]"),
        (Said(500, b"<html>\x1b[31m"), "500: Internal Server Error"),
        (Said(200, b"<html>\x1b[31m"), r"200: no JSON but '<html>\x1b[31m'"),
        (Said(200, b"null"), "200: no JSON but 'null'"),
        (Said(302, {}, {"Location": "http://169.254.169.254/"}), "302: a redirect, which is not followed"),
        (Said(200, b"{}", {"Content-Encoding": "gzip"}), "Error -3 while decompressing"),
    ],
)
def test_answers_that_are_none(place: MlflowPlace, answer: Said, problem: str) -> None:
    place.instead = [answer]
    with pytest.raises(PlatformError) as caught:
        remote(place).ask("GET", "/x")
    assert str(caught.value).startswith(f"mlflow: GET {place.url}/x: ")
    assert problem in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(place.asked) == 1


def test_a_request_is_made_again_where_that_helps(place: MlflowPlace) -> None:
    waited: list[float] = []
    place.instead = [Said(503, {}), Said(429, {}, {"Retry-After": "7"}), Said(200, {"ok": 1})]
    assert remote(place, 3, waited).ask("GET", "/x") == {"ok": 1}
    assert waited[0] <= 0.5
    assert 7 <= waited[1] <= 7.7
    place.instead = [Said(503, {}), Said(503, {}), Said(200, {})]
    with pytest.raises(PlatformError, match=": 503: Service Unavailable"):
        remote(place, 2, waited).ask("GET", "/x")
    place.instead = [Said(429, {}, {"Retry-After": "3600"})]
    with pytest.raises(PlatformError, match=": 429: "):
        remote(place, 3, waited).ask("GET", "/x")
    place.instead = [Said(403, {"detail": "no"})]
    with pytest.raises(PlatformError, match=": 403: no"):
        remote(place, 3, waited).ask("GET", "/x")


def test_an_answer_without_end(place: MlflowPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_ANSWER_BYTES", 10)
    place.instead = [Said(200, {"x": "y" * 20})]
    with pytest.raises(PlatformError, match="the answer is longer than 10 bytes"):
        remote(place).ask("GET", "/x")


def test_an_answer_that_drips_in(place: MlflowPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time, and the whole never would."""
    monkeypatch.setattr(asking, "_WHOLE_S", 0.0)
    place.instead = [Said(200, {"x": "y"})]
    with pytest.raises(PlatformError, match="no whole answer within 0 s"):
        remote(place).ask("GET", "/x")


def test_nobody_there_and_nobody_allowed() -> None:
    away = connection("http://127.0.0.1:9")
    with pytest.raises(PlatformError, match=r"^mlflow: GET http://127\.0\.0\.1:9/x: .*refused"):
        Remote("mlflow", away).ask("GET", "/x")
    with pytest.raises(PlatformError, match="in a private network"):
        Remote("mlflow", away._replace(allow_private=False)).ask("GET", "/x")


def test_no_secret_in_any_repr() -> None:
    made = connection("http://127.0.0.1:9")
    for shown in (repr(made), str(made), f"{made}", repr(Remote("mlflow", made)), repr(Mlflow(made))):
        assert SECRET not in shown
