"""A proposal → a pull request: a branch made beside the user's work, pushed, and opened at the git host."""

from __future__ import annotations

#: The owner's kind and the name of a task's token among the sealed secrets.
TOKEN_KIND, TOKEN_NAME = "task", "git token"
#: In the result of a job: the pull request, and what one would say.
RESULT, PREVIEW = "pull_request", "pr_preview"
