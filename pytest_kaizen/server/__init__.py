"""The store behind HTTP, for a team: one root, the paths of four platforms, a proxy and OTLP.

A request's way: ``app`` → ``dispatch`` (request id, figures, errors; then route, key, limits, body) → a
handler of ``routes``, which gets parsed values and returns one.
"""
