"""Where prompts can be kept besides the repository: one module for each platform."""
