"""Kayba: traces, insights drawn from them, triage, and prompts made of what was accepted."""
