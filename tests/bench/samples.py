"""How long samples take beside the time that their calls need, with calls at once.

``python tests/bench/samples.py [--cases 50] [--samples 10] [--latency-ms 200] [--concurrency 16]``

A suite of async cases calls a local scripted server that answers after a fixed time. The samples of one
case run at once, the cases one after another, so the least possible time is ``cases`` times
``ceil(samples / concurrency)`` answers. The process's own start-up is measured by a run without cases.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_kaizen.scripted import ScriptedLLM

SUITE = """
import os
import httpx2
import pytest

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module")
async def client(anyio_backend):
    async with httpx2.AsyncClient(base_url=os.environ["ANTHROPIC_BASE_URL"]) as client:
        yield client

@pytest.mark.anyio
@pytest.mark.kaizen("wait", samples={samples}, concurrency={concurrency})
@pytest.mark.parametrize("number", range({cases}))
async def test_it(kaizen, client, number):
    message = {{"role": "user", "content": f"case {{number}}"}}
    body = {{"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [message]}}
    reply = await client.post("/v1/messages", json=body)
    kaizen.check("answered", reply.status_code == 200)
"""


def run(folder: Path, environ: dict[str, str], *args: str) -> float:
    """Run the suite and return its wall time in seconds."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "--kaizen", "-p", "no:cacheprovider", *args]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode not in (0, 5):
        sys.exit(done.stdout + done.stderr)
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--latency-ms", type=float, default=200.0)
    parser.add_argument("--concurrency", type=int, default=16)
    args = parser.parse_args()
    latency = args.latency_ms / 1000
    with tempfile.TemporaryDirectory() as name, ScriptedLLM() as llm:
        folder = Path(name)
        (folder / "test_it.py").write_text(
            SUITE.format(cases=args.cases, samples=args.samples, concurrency=args.concurrency)
        )
        environ = {**os.environ, **llm.environ}
        llm.reply("yes")
        run(folder, environ, "-k", "0 and not 0]")
        empty = run(folder, environ, "-k", "nothing_at_all")
        llm.reply("yes", when=lambda _: True, latency_s=latency)
        took = run(folder, environ)
        calls = len(llm.record)
    ideal = args.cases * math.ceil(args.samples / args.concurrency) * latency
    across = args.cases * args.samples * latency / args.concurrency
    print(f"{args.cases} cases x {args.samples} samples, {args.latency_ms:g} ms a call, {calls} calls")
    print(f"start-up alone {empty:.2f} s")
    print(f"took {took:.2f} s; without start-up {took - empty:.2f} s = {(took - empty) / ideal:.2f} x ideal")
    print(f"ideal {ideal:.2f} s (cases one after another); {across:.2f} s if cases overlapped too")


if __name__ == "__main__":
    main()
