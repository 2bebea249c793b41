"""Pull requests from a server, at each of the three git hosts: one for a job, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import Config, ServerConfig
from pytest_kaizen.errors import JobError, ProposalError
from pytest_kaizen.models import CasePair, Insight, Job, Task
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.pulls import RESULT, TOKEN_KIND, TOKEN_NAME
from pytest_kaizen.pipeline.pulls.from_task import TaskPulls
from pytest_kaizen.store import Store
from tests.pipeline.pulls.conftest import proposal
from tests.pipeline.pulls.git_hosts import HOSTS, TOKEN, FakeBitbucket, FakeGitHub, FakeHost, served

FILES = {
    "prompts/greet.md": "You greet people.\n",
    "app/texts.py": "import os\n\nGREET = 'You greet people.'\n",
}
NEW = "You greet people.\n- Begin with Dear."
CONFIG = Config(root=Path(), store=Path("unused.db"), server=ServerConfig(allow_private_hosts=True))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kaizen.db") as opened:
        yield opened


@pytest.fixture(params=HOSTS, ids=lambda kind: kind.provider)
def host(request: pytest.FixtureRequest) -> Iterator[FakeHost]:
    with served(request.param(FILES)) as running:
        yield running


@pytest.fixture
def github() -> Iterator[FakeHost]:
    with served(FakeGitHub(FILES)) as running:
        yield running


def add_task(store: Store, fields: dict[str, Any], **more: Any) -> Task:
    given = {"prompt_path": "prompts/greet.md", **fields, **more}
    token = given.pop("git_token_raw", None)
    task = Task(name="greet", created_at=datetime.now(UTC), **given)
    store.tasks.add(task)
    store.sealed.keep(TOKEN_KIND, task.id, TOKEN_NAME, token)
    return task


def found_one(store: Store, **result: Any) -> Job:
    """Store a search that has come to its end, and what it found."""
    store.save_proposal(proposal(NEW))
    job = jobs.start(store, "optimize", "greet", {})
    job.result = {"proposal": proposal().id, **result}
    jobs.finish(store, job)
    return store.jobs.one(job.id)


def pull_of(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = job.result[RESULT]
    return found


def test_branch_commit_and_pull_request(store: Store, host: FakeHost) -> None:
    add_task(store, host.fields)
    job = found_one(store)
    kept = TaskPulls(CONFIG, store).after(job, proposal(NEW))
    branch = f"kaizen/optimize/greet-{job.id}"
    assert kept[RESULT] == {"branch": branch, "commit": None, "url": host.page(1), "error": None}
    assert host.file(branch, "prompts/greet.md") == f"{NEW}\n"
    assert host.file("main", "prompts/greet.md") == "You greet people.\n"
    assert host.branches[branch].keys() == FILES.keys()
    [pull] = host.pulls
    assert (pull["branch"], pull["base"], pull["title"]) == (branch, "main", "A better prompt for greet")
    assert pull["text"].startswith(
        "Merging it puts the new prompt into the repository. On the server it is a"
    )
    assert "accepted: the candidate gained 0.70" in pull["text"]
    [message] = host.messages
    assert message.startswith("A better prompt for greet\n\n")
    assert message.endswith(f"\n\nKaizen-Job: {job.id}\n")


def test_a_variable_in_a_file_on_another_branch(store: Store, host: FakeHost) -> None:
    host.branches["trunk/a b"] = {**host.branches["main"], "app/texts.py": b"# trunk\nGREET = 'Hi'\n"}
    place = {"prompt_file": "app/texts.py", "prompt_locator": "GREET"}
    add_task(store, host.fields, **place, git_base_branch="trunk/a b")
    job = found_one(store)
    [branch] = [TaskPulls(CONFIG, store).after(job, proposal(NEW))[RESULT]["branch"]]
    assert host.file(branch, "app/texts.py") == f'# trunk\nGREET = """{NEW}"""\n'
    assert host.pulls[0]["base"] == "trunk/a b"


def test_a_file_that_is_not_there_yet(store: Store, host: FakeHost) -> None:
    add_task(store, host.fields, prompt_path="new/p ü.json")
    job = found_one(store)
    branch = TaskPulls(CONFIG, store).after(job, proposal(NEW))[RESULT]["branch"]
    assert host.branches[branch].keys() - host.branches["main"].keys() == {"new/p ü.json"}


def test_evidence_as_long_as_it_may_become(store: Store, host: FakeHost) -> None:
    """Fences are longer than what is within them, so that backticks make a text three times as long."""
    add_task(store, host.fields)
    insights = [Insight(id="i", task="greet", rule="`" * 4000, justification="``")]
    hostile = proposal(NEW, diff=["`" * 5000], insights=insights)
    hostile.acceptance.sentence = "`" * 4000
    hostile.acceptance.cases = [CasePair(case_id="`" * 4000, before=0, after=1)]
    assert TaskPulls(CONFIG, store).after(found_one(store), hostile)[RESULT]["error"] is None
    [pull] = host.pulls
    assert 32_768 <= len(pull["text"]) < 65_536


def test_a_job_has_one_pull_request_however_often_it_is_tried(store: Store, host: FakeHost) -> None:
    """Broken off after each request in turn, by two processes at once, and after it was opened."""
    add_task(store, host.fields)
    job = found_one(store)
    pulls = TaskPulls(CONFIG, store)
    for last in range(1, 12):
        host.silent_after = last
        pulls.after(job, proposal(NEW))
    host.silent_after = None
    done = pulls.open(job)
    assert pull_of(done)["url"] == host.page(1)
    assert (len(host.pulls), len(host.messages), len(host.branches)) == (1, 1, 2)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: pulls.after(job, proposal(NEW)), range(4)))
    assert {kept[RESULT]["url"] for kept in again} == {host.page(1)}
    asked = len(host.asked)
    assert pulls.open(done) == done
    assert len(host.asked) == asked


def test_many_at_once_open_one(store: Store, host: FakeHost) -> None:
    add_task(store, host.fields)
    job = found_one(store)
    together = threading.Barrier(4)

    def propose(_: int) -> str | None:
        together.wait()
        url: str | None = TaskPulls(CONFIG, store).after(job, proposal(NEW))[RESULT]["url"]
        return url

    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(propose, range(4)))
    assert host.page(1) in urls
    assert (len(host.pulls), len(host.branches)) == (1, 2)


def test_what_others_commit_meanwhile_is_not_undone(store: Store, host: FakeHost) -> None:
    """After each request in turn, somebody changes the file on the base, and once on the branch, too."""
    place = {"prompt_file": "app/texts.py", "prompt_locator": "GREET"}
    add_task(store, host.fields, **place)
    job = found_one(store)
    base = dict(host.branches["main"])
    branch = f"kaizen/optimize/greet-{job.id}"
    for last in range(1, 9):
        host.branches, host.asked = {"main": dict(base)}, []
        host.pulls.clear()

        def push(count: int, last: int = last) -> None:
            if count == last:
                for files in host.branches.values():
                    files["app/texts.py"] = b"# Ours.\n" + files["app/texts.py"]

        host.meanwhile = push
        assert TaskPulls(CONFIG, store).after(job, proposal(NEW))[RESULT]["error"] is None
        began = host.begun[branch]["app/texts.py"].decode()
        made = host.file(branch, "app/texts.py")
        assert made.removeprefix("# Ours.\n") == f'import os\n\nGREET = """{NEW}"""\n', last
        assert made.startswith("# Ours.") or not began.startswith("# Ours."), last


def test_a_file_that_changes_all_the_time_is_told_of(store: Store) -> None:
    with served(FakeBitbucket(FILES)) as host:
        host.meanwhile = lambda count: host.branches["main"].update({"prompts/greet.md": b"%d" % count})
        add_task(store, host.fields)
        kept = TaskPulls(CONFIG, store).after(found_one(store), proposal(NEW))[RESULT]
        assert kept["url"] is None
        assert kept["error"].endswith("HTTP 409: The file has changed")
        assert (list(host.branches), host.pulls) == (["main"], [])
        assert len([asked for asked in host.asked if asked.startswith("PUT")]) == 3


def test_a_failure_is_kept_with_its_reason_and_tried_again(store: Store, host: FakeHost) -> None:
    add_task(store, host.fields)
    host.refuses = [403, 302]
    job = found_one(store)
    pulls = TaskPulls(CONFIG, store)
    job.result[RESULT] = pulls.after(job, proposal(NEW))[RESULT]
    assert pull_of(job)["url"] is None
    assert pull_of(job)["error"].startswith("POST http://127.0.0.1:")
    assert pull_of(job)["error"].endswith("HTTP 403: not now, [token]")
    failed = pulls.open(job)
    assert "HTTP 302" in pull_of(failed)["error"]  # No redirect is followed.
    done = pulls.open(failed)
    assert (pull_of(done)["url"], pull_of(done)["error"]) == (host.page(1), None)
    assert store.jobs.one(job.id) == done


def test_while_one_process_is_at_it_another_is_told(store: Store, github: FakeHost) -> None:
    add_task(store, github.fields)
    job = found_one(store)
    with jobs.held(store, job):
        with pytest.raises(JobError, match="is being amended by"):
            TaskPulls(CONFIG, store).open(job)
        assert github.asked == []
    assert pull_of(TaskPulls(CONFIG, store).open(job))["url"] == github.page(1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"git_token_raw": "wrong-token-of-some-length"}, "HTTP 401: no rights for Bearer [token]"),
        ({"git_repo": "acme/none"}, "there is no branch 'main', or the token may not see the repository"),
        ({"git_base_branch": "none"}, "there is no branch 'none'"),
        ({"prompt_path": "../x"}, "'../x' is no path in a repository"),
        ({"prompt_path": "a//x"}, "'a//x' is no path in a repository"),
        ({"git_repo": "acme/.."}, "'acme/..' is no path in a repository"),
        ({"git_base_branch": "a/../b"}, "'a/../b' is no path in a repository"),
        ({"prompt_path": "app/texts.py"}, "app/texts.py: at 'PROMPT': there is no such place"),
        ({"git_base_url": "http://169.254.169.254/"}, "where clouds keep their machines' credentials"),
        (
            {"git_base_url": "http://no-such-host.invalid"},
            "'no-such-host.invalid' is not the name of any machine",
        ),
        ({"git_base_url": "file:///etc"}, "neither http nor https"),
    ],
)
def test_why_there_is_none(store: Store, github: FakeHost, fields: dict[str, str], reason: str) -> None:
    add_task(store, {**github.fields, **fields})
    kept = TaskPulls(CONFIG, store).after(found_one(store), proposal(NEW))[RESULT]
    assert kept["url"] is None
    assert reason in kept["error"]
    assert (github.pulls, list(github.branches)) == ([], ["main"])


def test_private_addresses_are_the_operators_to_allow(store: Store, github: FakeHost) -> None:
    add_task(store, github.fields)
    strict = Config(root=Path(), store=Path("unused.db"))
    kept = TaskPulls(strict, store).after(found_one(store), proposal(NEW))[RESULT]
    assert "is at 127.0.0.1, in a private network" in kept["error"]
    assert github.asked == []


@pytest.mark.parametrize("lacking", ["git_provider", "git_repo", "git_token_raw", "prompt_path"])
def test_without_its_fields_there_is_no_pull_request_and_no_failure(
    store: Store, github: FakeHost, lacking: str
) -> None:
    add_task(store, {**github.fields, lacking: None})
    job = found_one(store)
    assert TaskPulls(CONFIG, store).after(job, proposal(NEW)) == {}
    with pytest.raises(ProposalError, match=f"the task 'greet' says nothing of its {lacking}"):
        TaskPulls(CONFIG, store).open(job)
    assert github.asked == []


def test_modes(store: Store, github: FakeHost) -> None:
    task = add_task(store, github.fields, mode="optimize_only")
    job = found_one(store)
    pulls = TaskPulls(CONFIG, store)
    assert pulls.after(job, proposal(NEW)) == {}
    store.tasks.update(task.model_copy(update={"mode": "pr_preview"}))
    preview = pulls.after(job, proposal(NEW))["pr_preview"]
    assert preview["title"] == "A better prompt for greet"
    assert "accepted: the candidate gained 0.70" in preview["body"]
    assert github.asked == []
    pulls.open(job)
    assert (github.pulls[0]["title"], github.pulls[0]["text"]) == (preview["title"], preview["body"])


def test_what_models_wrote_is_harmless_and_without_secrets(
    store: Store, github: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", secret := "sk-ant-" + "s" * 40)
    hostile = f"@everyone see #12 and https://evil.example\n``` {secret}\n<script>"
    add_task(store, github.fields)
    job = found_one(store)
    TaskPulls(CONFIG, store).after(job, proposal(NEW, diff=[f"+{hostile}"]))
    text = github.pulls[0]["text"]
    assert secret not in text
    assert not {"@everyone", "#12", "https://evil"} & {word for word in text.split() if "\u200b" not in word}
    assert TOKEN not in repr(TaskPulls(CONFIG, store)) + repr(store.tasks.find("greet"))


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}\0", f"{TOKEN}é"], ids=["line", "nul", "accent"])
def test_a_token_that_cannot_be_sent_is_told_nobody(store: Store, github: FakeHost, token: str) -> None:
    """What sends it would quote it in its message, written otherwise than it is."""
    add_task(store, {**github.fields, "git_token_raw": token})
    pull = pull_of(TaskPulls(CONFIG, store).open(found_one(store)))
    assert (pull["error"] or "").endswith(
        "the token has blanks or characters outside ASCII, which no token has"
    )
    assert TOKEN not in str(pull)
    assert github.pulls == []
