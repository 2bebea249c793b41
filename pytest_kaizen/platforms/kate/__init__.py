"""Kate: agents, their runs and spans, and the evaluation of runs."""
