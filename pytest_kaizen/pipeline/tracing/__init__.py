"""Traces that a program asks for itself: blocks and functions, clients and calls, in tests and outside."""
