"""A proposal → a pull request: a branch made beside the user's work, pushed, and opened at the git host."""
