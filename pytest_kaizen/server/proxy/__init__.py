"""Requests to model providers, passed on as they are, and a trace of each."""
