"""A proposal becomes a pull request, and nothing of the user's is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import CIContext, ProposalStatus
from pytest_kaizen.pipeline.pulls.from_checkout import PullRequests, branch_name
from pytest_kaizen.pipeline.verdicts import why_no_search
from tests.pipeline.pulls.conftest import TOKEN, FakeGitHub, Project, git, proposal

BRANCH = branch_name("greet", proposal().parent_sha256)


def _pulls(project: Project) -> PullRequests:
    return PullRequests.of(project.config, os.environ)


def _secrets(project: Project) -> list[Path]:
    """The files in which the token stands, git's own among them."""
    files = [path for path in project.top.parent.rglob("*") if path.is_file()]
    return [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_branch_commit_push_and_pull_request(project: Project, github: FakeGitHub) -> None:
    before = project.state()
    tip = git(project.top, "rev-parse", "HEAD")
    with project.store as store:
        done = _pulls(project).propose(store, proposal())
        assert store.proposals() == [done]
        # A second time there is nothing to do.
        assert _pulls(project).propose(store, done) == done
    assert project.state() == before

    page = "https://github.example/acme/shop/pull/7"
    assert (done.status, done.pull_request_line) == (ProposalStatus.PR_OPEN, f"pull request: {page}")
    assert git(project.remote, "for-each-ref", "--format=%(refname)").splitlines() == [
        f"refs/heads/{BRANCH}",
        "refs/heads/trunk",
    ]
    # One commit on what the remote has; the work under way is not in it.
    assert git(project.remote, "rev-parse", f"{BRANCH}^") == tip
    changed = git(project.remote, "diff", "--name-status", "trunk", BRANCH).splitlines()
    assert changed == ["A\tservices/bot/kaizen.lock", "A\tservices/bot/prompts/greet/2.md"]
    version = git(project.remote, "show", f"{BRANCH}:services/bot/prompts/greet/2.md")
    assert version.endswith("You greet people.\n- Begin with Dear.")
    assert "active: 2" in git(project.remote, "show", f"{BRANCH}:services/bot/kaizen.lock")
    message = git(project.remote, "log", "-1", "--format=%B", BRANCH)
    assert message.startswith("Make version 2 of greet the active prompt\n")
    assert "Kaizen-Proposal: 0123456789abcdef" in message

    [asked] = github.posted
    assert (asked["head"], asked["base"], asked["title"]) == (BRANCH, "trunk", "A better prompt for greet")
    assert "accepted: the candidate gained 0.70" in asked["body"]
    assert {(path.partition("?")[0], key) for _, path, key, _ in github.asked} == {
        ("/repos/acme/shop/pulls", f"Bearer {TOKEN}")
    }
    assert _secrets(project) == []


def test_a_pull_request_that_cannot_be_opened_leaves_the_branch_and_goes_on_later(
    project: Project, github: FakeGitHub
) -> None:
    github.refuses = (403, f'{{"message": "no rights for {TOKEN}", "errors": [{{"code": "x"}}]}}'.encode())
    with project.store as store:
        failed = _pulls(project).propose(store, proposal())
        assert store.proposals() == [failed]
    assert failed.status is ProposalStatus.PR_FAILED
    line = failed.pull_request_line
    assert line.startswith("PR_FAILED: POST http://127.0.0.1:")
    assert line.endswith(
        f'/repos/acme/shop/pulls: HTTP 403: no rights for [token]; {{"code": "x"}}; '
        f"the branch {BRANCH} is there"
    )
    pushed = git(project.remote, "rev-parse", BRANCH)
    github.refuses = None
    with project.store as store:
        done = _pulls(project).propose(store, failed)
        assert done.status is ProposalStatus.PR_OPEN
        assert git(project.remote, "rev-parse", BRANCH) == pushed
        # What was opened meanwhile, though its answer was lost, is not opened again.
        lost = _pulls(project).propose(store, failed)
    assert lost.pull_request == done.pull_request
    assert len(github.posted) == 2


def test_one_proposal_for_a_prompt_whoever_makes_it(project: Project, github: FakeGitHub) -> None:
    parent = proposal().parent_sha256
    pulls = _pulls(project)
    assert pulls.taken("greet", parent) is None
    with project.store as store:
        pulls.propose(store, proposal())
    # Another checkout, with another store, and another candidate.
    (project.root / ".kaizen/kaizen.db").unlink()
    why = _pulls(project).taken("greet", parent)
    assert why is not None
    assert why.startswith(f"a proposal for this prompt is on the branch {BRANCH} of 'origin'; ")
    assert _pulls(project).taken("greet", "another" * 9) is None
    with project.store as store:
        late = _pulls(project).propose(store, proposal("Dear all.", id="f" * 16))
    assert late.pull_request_line == (
        f"PR_FAILED: the branch {BRANCH} of 'origin' holds something else; delete it to make room"
    )
    assert len(github.posted) == 1


def test_what_the_remote_does_not_allow(project: Project, github: FakeGitHub) -> None:
    other = project.top.parent / "other"
    git(project.top.parent, "clone", "-q", "-b", "trunk", str(project.remote), str(other))
    (other / "services/bot/prompts/greet/2.md").write_text("Say hello.\n")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "another version")
    git(other, "push", "-q", "origin", "trunk")
    # The newest commit of the remote is not here yet; what is compared with is what is there.
    before = project.state()
    with project.store as store:
        stale = _pulls(project).propose(store, proposal())
    assert stale.pull_request_line == (
        "PR_FAILED: on the remote's branch: proposal 0123456789abcdef was compared with version 1, and "
        "version 2 of 'greet' is active: not activated"
    )
    assert project.state() == before

    git(project.top, "checkout", "-q", "-b", "local-only")
    with project.store as store:
        unknown = _pulls(project).propose(store, stale)
    assert "the remote 'origin' has no branch 'local-only'; push it first" in unknown.pull_request_line
    assert github.posted == []


def test_the_token_goes_to_its_server_alone_and_into_no_file(project: Project, github: FakeGitHub) -> None:
    git(project.top, "remote", "set-url", "origin", f"{github.url}/acme/shop.git")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_SERVER_URL", github.url)
        patch.setenv("GIT_CURL_VERBOSE", "1")
        patch.setenv("GIT_TRACE_REDACT", "0")
        patch.setenv("http_proxy", "")
        with project.store as store:
            refused = _pulls(project).propose(store, proposal())
    [(_, path, authorization, _)] = github.asked
    assert path.startswith("/acme/shop.git/info/refs")
    assert authorization is not None
    assert authorization.startswith("Basic ")
    assert refused.pull_request_line.startswith("PR_FAILED: git ls-remote: fatal: ")
    assert TOKEN not in refused.model_dump_json()
    assert authorization.removeprefix("Basic ") not in refused.model_dump_json()
    # Another server is asked without it.
    github.asked.clear()
    with project.store as store:
        _pulls(project).propose(store, proposal())
    assert [key for _, _, key, _ in github.asked] == [None]
    assert _secrets(project) == []


def test_what_is_missing_is_said_before_anything_is_done(project: Project, github: FakeGitHub) -> None:
    def refusal(**environ: str) -> str:
        with pytest.raises(UsageError) as caught:
            PullRequests.of(project.config, {**os.environ, **environ})
        return str(caught.value)

    assert "needs GITHUB_TOKEN in the environment" in refusal(GITHUB_TOKEN="")
    assert "GITHUB_REPOSITORY=owner/name: the remote 'origin' is not at" in refusal(GITHUB_REPOSITORY="")
    git(project.top, "checkout", "-q", "--detach")
    assert "none is checked out here" in refusal()
    git(project.top, "checkout", "-q", "trunk")
    git(project.top, "remote", "remove", "origin")
    assert "this repository has none" in refusal()
    assert github.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/the.shop",
        "https://someone@github.com/acme/the.shop.git",
        "git@github.com:acme/the.shop.git",
        "ssh://git@github.com/acme/the.shop.git/",
    ],
)
def test_the_repository_is_read_from_the_remote(address: str, project: Project) -> None:
    git(project.top, "remote", "set-url", "origin", address)
    pulls = PullRequests.of(project.config, {"GITHUB_TOKEN": TOKEN})
    assert repr(pulls._host) == "GitHub('https://api.github.com/repos/acme/the.shop')"


def test_where_nobody_searches() -> None:
    stranger = CIContext(provider="github", pull_request="7", branch="fix")
    assert why_no_search(stranger) == "this pull request may come from a fork"
    assert why_no_search(stranger.model_copy(update={"fork": True})) is not None
    assert why_no_search(stranger.model_copy(update={"fork": False})) is None
    own = CIContext(provider="local", branch=BRANCH)
    assert why_no_search(own) == f"the branch {BRANCH} is a proposal itself"
    assert why_no_search(CIContext(provider="local", branch="kaizen/mine")) is None
