"""Text from models and files, made harmless for a terminal."""

from __future__ import annotations

import re

# Terminal escapes and everything that moves the cursor, marks of writing direction (they can make a
# line read otherwise than it is), and halves of surrogate pairs, which no terminal can encode.
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""Show control characters (``\x1b``) instead of sending them; line feeds and tabs stay."""
    return _ACTIVE.sub(lambda match: ascii(match[0])[1:-1], text)
