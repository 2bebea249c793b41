"""How fast an upload is, and how much memory it takes, however much is owed.

``python tests/bench/upload.py [--traces 10000] [--backend otlp]``

A store is filled with traces of about 3 kB that a backend is owed. ``kaizen sync`` sends them to a server
in a process of its own; the process that sends reports its peak memory. A tenth of the traces is sent first,
as the control: what does not grow with the traces is the same in both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

from pytest_kaizen.config import load_config
from pytest_kaizen.models import Case, Message, Part, Run, Sample, Span, Trace, new_span_id, new_trace_id
from pytest_kaizen.pipeline.upload import recipients
from pytest_kaizen.pipeline.upload.senders import Sync
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TASK = str(uuid4())
TEXT = "The Lumo lamp flickers when it rains, and nobody knows why. " * 20


class Server(BaseHTTPRequestHandler):
    """Says yes to everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer as Kaizen CT or as a collector."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        entry = {"id": str(uuid4()), "task_id": TASK, "created_at": NOW.isoformat()}
        body = json.dumps(entry if self.path.endswith("/feedback") else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> None:
    """Serve until killed; print the port first."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def fill(root: Path, traces: int, backend: str) -> None:
    """Make a project whose store owes so many traces."""
    settings = {"otlp": {}, "kaizen-ct": {"tasks": {"support": TASK}}}
    (root / "kaizen.yaml").write_text(json.dumps({"backends": settings}), encoding="utf-8")
    config = load_config(root, cli={"backend": [backend]})
    with Store.open(config.store, recipients=recipients(config)) as store:
        store.start_run(Run(id="run", created_at=NOW))
        case = Case(id="test_it.py::test_it", run_id="run", task="support")
        for number in range(traces):
            said = [Message(role="user", parts=[Part(type="text", content=TEXT)])]
            span = Span(id=new_span_id(), name="chat", started_at=NOW, input=said, output=said)
            trace = Trace(id=new_trace_id(), name="test_it", created_at=NOW, sample=number, spans=[span])
            trace.input, trace.output = {"ticket": TEXT[:200]}, TEXT[:200]
            store.add_sample(case, Sample(trace=trace, metrics={"score": 0.5}), begins=number == 0)


def send(root: Path, backend: str) -> None:
    """Send what is owed, and print seconds, parcels and peak memory in MB."""
    config = load_config(root, cli={"backend": [backend]})
    begun = time.perf_counter()
    with Store.open(config.store) as store:
        sync = Sync(config, store, os.environ, print)
        sync.once()
        (upload,) = sync.uploads
    took = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"s": took, "sent": upload.sent, "owed": upload.state.owed, "peak_mb": peak}))


def measure(traces: int, backend: str, port: str) -> None:
    """Fill a store, send it in a process of its own and print what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), traces, backend)
        url = f"http://127.0.0.1:{port}"
        env = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "KAIZEN_BASE_URL": url,
            "KAIZEN_API_KEY": "bench",
        }
        command = [sys.executable, __file__, "--send", folder, "--backend", backend]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    rate = found["sent"] / found["s"]
    print(
        f"{backend}: {found['sent']} sent, {found['owed']} owed, {rate:.0f}/s, peak {found['peak_mb']:.0f} MB"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--backend", action="append", choices=["otlp", "kaizen-ct"])
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--send", type=Path)
    args = parser.parse_args()
    backends = args.backend or ["otlp", "kaizen-ct"]
    if args.serve:
        serve()
    elif args.send:
        send(args.send, backends[0])
    else:
        server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            for backend in backends:
                for traces in (max(1, args.traces // 10), args.traces):
                    measure(traces, backend, port)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
