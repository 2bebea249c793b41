"""What a run leaves, on its way to the platforms that a team uses."""
