"""How the desk of a server speaks to it; what comes of that is in ``tests/cli/test_remote.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_kaizen.errors import KaybaAPIError, UsageError
from pytest_kaizen.pipeline.desks.servers import ServerDesk
from pytest_kaizen.pipeline.trace_files import NewFile
from pytest_kaizen.platforms.kayba.client import KaybaClient


class Client(KaybaClient):
    """Answers without a server, and notes what it was asked to change."""

    def __init__(self, broken_from: int = 1000) -> None:
        super().__init__("key", "http://127.0.0.1:9")
        self.sizes: list[int] = []
        self.triaged: list[tuple[str, str, str | None]] = []
        self._broken_from = broken_from

    def upload_traces(self, traces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if len(self.sizes) >= self._broken_from:
            raise KaybaAPIError("UNKNOWN", "no room", 507)
        self.sizes.append(len(traces))
        return {"count": len(traces), "traces": [{"id": trace["filename"]} for trace in traces]}

    def list_insights(self, status: str | None = None, section: str | None = None) -> dict[str, Any]:
        assert section is None
        known = {"aa1": "pending", "aa2": "pending", "b": "rejected", "b2": "accepted"}
        return {
            "insights": [
                {"id": name, "status": state} for name, state in known.items() if status in (None, state)
            ]
        }

    def triage_insight(self, insight_id: str, status: str, note: str | None = None) -> dict[str, Any]:
        self.triaged.append((insight_id, status, note))
        return {"id": insight_id, "status": status}


def files(*sizes: int) -> list[NewFile]:
    return [NewFile(f"{number}.txt", "x" * size, "txt") for number, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "requests"),
    [
        ((), []),
        ((1,) * 100, [100]),
        ((1,) * 250, [100, 100, 50]),
        ((2_000_000, 2_000_000, 1), [2, 1]),
        ((1, 9_000_000, 1), [1, 1, 1]),
    ],
)
def test_many_files_go_in_several_requests(sizes: tuple[int, ...], requests: list[int]) -> None:
    client = Client()
    done = ServerDesk(client).upload_traces(files(*sizes))
    assert client.sizes == requests
    assert (done["count"], len(done["traces"])) == (len(sizes), len(sizes))
    assert [trace["id"] for trace in done["traces"]] == [file.filename for file in files(*sizes)]


def test_what_was_uploaded_before_it_broke_is_said() -> None:
    with pytest.raises(KaybaAPIError) as caught:
        ServerDesk(Client(broken_from=2)).upload_traces(files(*(1,) * 250))
    assert str(caught.value) == "UNKNOWN: 200 of 250 files were uploaded before: no room"
    assert caught.value.status_code == 507
    with pytest.raises(KaybaAPIError, match=r"^UNKNOWN: no room$"):
        ServerDesk(Client(broken_from=0)).upload_traces(files(1))


def test_triage() -> None:
    client = Client()
    changed = ServerDesk(client).triage_insights(["b2"], ["aa1"], accept_all=True, note="n")
    wanted = [("aa1", "rejected"), ("aa2", "accepted"), ("b2", "accepted")]
    assert sorted(client.triaged) == [(name, status, "n") for name, status in wanted]
    assert sorted((each["id"], each["status"]) for each in changed) == wanted
    # A whole id is meant, though it is the beginning of another one.
    assert ServerDesk(client).triage_insights(reject=["b"]) == [{"id": "b", "status": "rejected"}]


@pytest.mark.parametrize(
    ("accept", "reject", "why"),
    [
        (["aa"], [], "several insights are meant by 'aa'"),
        ([""], [], "no insight is meant by ''"),
        (["b"], ["zz"], "no insight is meant by 'zz'"),
        (["b"], ["b"], "insight b is to be accepted and rejected"),
    ],
)
def test_nothing_is_triaged_that_is_not_clear(accept: list[str], reject: list[str], why: str) -> None:
    client = Client()
    with pytest.raises(UsageError) as caught:
        ServerDesk(client).triage_insights(accept, reject)
    assert (str(caught.value), client.triaged) == (why, [])
