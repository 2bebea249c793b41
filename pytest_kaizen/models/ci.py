"""Where a run takes place."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

CIProvider = Literal["github", "gitlab", "jenkins", "buildkite", "circleci", "local"]


class CIContext(BaseModel, defer_build=True):
    """What the CI system and git say about a run; None where they say nothing.

    Attributes:
        revision: The commit; of a pull request its own head, not the merge that CI makes of it.
        branch: The branch; of a pull request the one it comes from.
        pull_request: Its number, as text.
        fork: Whether the pull request comes from another repository. None when there is no pull
            request, or when it cannot be told: then nobody may take it for one of our own.
        dirty: Whether the checkout differs from its commit; ``.kaizen`` does not count.
        run_url: The page of the run at the CI system.
    """

    model_config = ConfigDict(frozen=True)

    provider: CIProvider
    revision: str | None = None
    branch: str | None = None
    pull_request: str | None = None
    fork: bool | None = None
    dirty: bool | None = None
    run_url: str | None = None
