"""Kaizen CT: tasks, feedback, prompt versions, optimisation jobs, traces with scores."""
