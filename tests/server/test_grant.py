from __future__ import annotations

import pytest

from pytest_kaizen.server.state import Grants, KeyRefusedError

from .conftest import Book


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_known_for_a_second(book: Book) -> None:
    clock = Clock()
    grants = Grants(book.workspaces, clock)
    key = book.keys["reads"]
    assert grants.known(key) is None
    grant = grants.check(key)
    assert (grant.key.label, grant.workspace) == ("reads", book.open("ours"))
    assert grants.known(key) == grant
    clock.now += 0.99
    assert grants.known(key) == grant
    clock.now += 0.01
    assert grants.known(key) is None


def test_a_key_that_was_revoked(book: Book) -> None:
    clock = Clock()
    grants = Grants(book.workspaces, clock)
    revoked = book.workspaces.central.keys.revoke(grants.check(book.keys["reads"]).key.id)
    assert revoked is not None
    assert grants.known(book.keys["reads"]) is not None
    grants.forget()
    assert grants.known(book.keys["reads"]) is None
    with pytest.raises(KeyRefusedError, match="the key was revoked"):
        grants.check(book.keys["reads"])


def test_no_more_is_remembered_than_was_asked_in_the_last_second(book: Book) -> None:
    clock = Clock()
    grants = Grants(book.workspaces, clock)
    grants.check(book.keys["reads"])
    clock.now += 2
    grants.check(book.keys["writes"])
    assert len(grants._known) == 1


def test_the_use_of_a_key_is_noted(book: Book) -> None:
    used = Grants(book.workspaces).check(book.keys["reads"]).key
    (found,) = [key for key in book.workspaces.central.keys.list() if key.id == used.id]
    assert found.last_used_at is not None
