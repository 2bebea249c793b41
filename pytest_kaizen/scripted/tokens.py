"""How many tokens a scripted call is said to have taken."""

from __future__ import annotations

import json
from typing import NamedTuple

from ..models import Usage
from .replies import Reply
from .requests import Request, text_of


class Tokens(NamedTuple):
    """Tokens of a call; ``input`` is the whole input, cached or not."""

    input: int
    output: int
    cache_read: int
    cache_write: int


def tokens_of(request: Request, reply: Reply) -> Tokens:
    """Return the figures that the reply gives, and count the others from the lengths of the texts."""
    usage = reply.usage or Usage()
    given_input, given_output = usage.input_tokens, usage.output_tokens
    return Tokens(
        input=_input_tokens(request) if given_input is None else given_input,
        output=_output_tokens(reply) if given_output is None else given_output,
        cache_read=usage.cache_read_tokens or 0,
        cache_write=usage.cache_write_tokens or 0,
    )


def _input_tokens(request: Request) -> int:
    return _count(request.system, *(text_of(message.get("content")) for message in request.messages))


def _output_tokens(reply: Reply) -> int:
    calls = (call.name + json.dumps(dict(call.arguments)) for call in reply.tool_calls)
    return _count(reply.thinking or "", reply.text or "", *calls)


def _count(*texts: str) -> int:
    """Count a token for every four characters, and at least one."""
    return max(1, (sum(map(len, texts)) + 3) // 4)
