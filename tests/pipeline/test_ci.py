from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import CIContext
from pytest_kaizen.pipeline.provenance import ci_context

HEAD = "a" * 40
MERGE = "b" * 40


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside any checkout."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def github(folder: Path, event: Any) -> dict[str, str]:
    path = folder / "event.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event), encoding="utf-8")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SHA": MERGE,
        "GITHUB_REF": "refs/pull/12/merge",
        "GITHUB_REF_NAME": "12/merge",
        "GITHUB_HEAD_REF": "better-prompt",
        "GITHUB_REPOSITORY": "acme/bot",
        "GITHUB_RUN_ID": "77",
        "GITHUB_SERVER_URL": "https://github.test",
        "GITHUB_EVENT_PATH": str(path),
    }


def pull(repository: Any) -> dict[str, Any]:
    head = {"sha": HEAD, "ref": "better-prompt", "repo": repository}
    return {"pull_request": {"number": 12, "head": head, "base": {"repo": {"full_name": "acme/bot"}}}}


@pytest.mark.parametrize(
    ("repository", "fork"),
    [({"full_name": "acme/bot"}, False), ({"full_name": "stranger/bot"}, True), (None, True)],
)
def test_github_pull_request(nowhere: Path, repository: Any, fork: bool) -> None:
    assert ci_context(nowhere, github(nowhere, pull(repository))) == CIContext(
        provider="github",
        revision=HEAD,
        branch="better-prompt",
        pull_request="12",
        fork=fork,
        run_url="https://github.test/acme/bot/actions/runs/77",
    )


@pytest.mark.parametrize(
    "event",
    ["{", "[]", "null", "[" * 100_000, {"pull_request": 3}, {"pull_request": {"head": "x", "base": []}}],
)
def test_github_event_that_cannot_be_read(nowhere: Path, event: Any) -> None:
    context = ci_context(nowhere, github(nowhere, event))
    assert (context.revision, context.branch, context.pull_request) == (MERGE, "better-prompt", "12")
    assert context.fork is None


def test_github_push(nowhere: Path) -> None:
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SHA": HEAD,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REF_NAME": "main",
    }
    assert ci_context(nowhere, env) == CIContext(provider="github", revision=HEAD, branch="main")


@pytest.mark.parametrize(("source", "fork"), [("5", False), ("9", True), ("", None)])
def test_gitlab_merge_request(nowhere: Path, source: str, fork: bool | None) -> None:
    env = {
        "GITLAB_CI": "true",
        "CI_COMMIT_SHA": MERGE,
        "CI_COMMIT_REF_NAME": "refs/merge-requests/3/merge",
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "better-prompt",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD,
        "CI_MERGE_REQUEST_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": source,
        "CI_JOB_URL": "https://gitlab.test/acme/bot/-/jobs/1",
    }
    assert ci_context(nowhere, env) == CIContext(
        provider="gitlab",
        revision=HEAD,
        branch="better-prompt",
        pull_request="3",
        fork=fork,
        run_url="https://gitlab.test/acme/bot/-/jobs/1",
    )


def test_gitlab_push_and_external_pull_request(nowhere: Path) -> None:
    env = {"GITLAB_CI": "true", "CI_COMMIT_SHA": HEAD, "CI_COMMIT_REF_NAME": "main"}
    assert ci_context(nowhere, env) == CIContext(provider="gitlab", revision=HEAD, branch="main")
    env |= {
        "CI_EXTERNAL_PULL_REQUEST_IID": "4",
        "CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY": "stranger/bot",
        "CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY": "acme/bot",
        "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME": "theirs",
    }
    context = ci_context(nowhere, env)
    assert (context.pull_request, context.fork, context.branch, context.revision) == (
        "4",
        True,
        "theirs",
        HEAD,
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"BRANCH_NAME": "main"}, {"branch": "main"}),
        ({"GIT_BRANCH": "origin/main"}, {"branch": "main"}),
        (
            {"BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "CHANGE_BRANCH": "better"},
            {"branch": "better", "pull_request": "7", "fork": False},
        ),
        (
            {"CHANGE_ID": "7", "CHANGE_BRANCH": "better", "CHANGE_FORK": "stranger"},
            {"branch": "better", "pull_request": "7", "fork": True},
        ),
    ],
)
def test_jenkins(nowhere: Path, more: dict[str, str], expected: dict[str, Any]) -> None:
    url = "https://jenkins.test/job/bot/1/"
    env = {"JENKINS_URL": "https://jenkins.test", "GIT_COMMIT": HEAD, "BUILD_URL": url, **more}
    assert ci_context(nowhere, env) == CIContext(provider="jenkins", revision=HEAD, run_url=url, **expected)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"BUILDKITE_PULL_REQUEST": "false"}, {}),
        (
            {
                "BUILDKITE_PULL_REQUEST": "8",
                "BUILDKITE_PULL_REQUEST_REPO": "https://github.test/Acme/bot.git",
            },
            {"pull_request": "8", "fork": False},
        ),
        (
            {
                "BUILDKITE_PULL_REQUEST": "8",
                "BUILDKITE_PULL_REQUEST_REPO": "git://github.test/stranger/bot.git",
            },
            {"pull_request": "8", "fork": True},
        ),
        ({"BUILDKITE_PULL_REQUEST": "8"}, {"pull_request": "8"}),
    ],
)
def test_buildkite(nowhere: Path, more: dict[str, str], expected: dict[str, Any]) -> None:
    env = {
        "BUILDKITE": "true",
        "BUILDKITE_COMMIT": HEAD,
        "BUILDKITE_BRANCH": "better",
        "BUILDKITE_REPO": "git@github.test:acme/bot.git",
        "BUILDKITE_BUILD_URL": "https://buildkite.test/1",
        **more,
    }
    assert ci_context(nowhere, env) == CIContext(
        provider="buildkite", revision=HEAD, branch="better", run_url="https://buildkite.test/1", **expected
    )
    assert ci_context(nowhere, {**env, "BUILDKITE_COMMIT": "HEAD"}).revision is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {}),
        (
            {"CIRCLE_PULL_REQUEST": "https://github.test/acme/bot/pull/9"},
            {"pull_request": "9", "fork": False},
        ),
        (
            {"CIRCLE_PULL_REQUEST": "https://github.test/acme/bot/pull/9", "CIRCLE_PR_NUMBER": "9"},
            {"pull_request": "9", "fork": True},
        ),
    ],
)
def test_circleci(nowhere: Path, more: dict[str, str], expected: dict[str, Any]) -> None:
    env = {"CIRCLECI": "true", "CIRCLE_SHA1": HEAD, "CIRCLE_BRANCH": "better", **more}
    assert ci_context(nowhere, env) == CIContext(
        provider="circleci", revision=HEAD, branch="better", **expected
    )


def test_a_checkout_of_ones_own(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "prompt.md").write_text("one", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    (tmp_path / ".kaizen").mkdir()
    (tmp_path / ".kaizen" / "kaizen.db").write_text("", encoding="utf-8")
    commit = git(tmp_path, "rev-parse", "HEAD")
    clean = CIContext(provider="local", revision=commit, branch="trunk", dirty=False)
    assert ci_context(tmp_path, {}) == clean
    (tmp_path / "prompt.md").write_text("two", encoding="utf-8")
    assert ci_context(tmp_path, {}) == clean.model_copy(update={"dirty": True})
    git(tmp_path, "checkout", "-q", "prompt.md")
    (tmp_path / "new.md").write_text("new", encoding="utf-8")
    assert ci_context(tmp_path, {}).dirty is True


def test_git_fills_in_what_the_ci_system_does_not_say(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    context = ci_context(tmp_path, {"CIRCLECI": "true"})
    assert (context.provider, context.branch, context.dirty) == ("circleci", "trunk", False)
    assert context.revision == git(tmp_path, "rev-parse", "HEAD")


def test_no_git_and_no_ci(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ci_context(nowhere, {}) == CIContext(provider="local")
    monkeypatch.setenv("PATH", str(nowhere))
    assert ci_context(nowhere, {}) == CIContext(provider="local")
