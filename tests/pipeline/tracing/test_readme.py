"""README's example of what a program traces itself."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.tracing.conftest import Outside

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("### Other calls, and programs outside pytest\n")[2].partition("\n### ")[0]


class Shouting(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"])).upper()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Shouting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_example_works(outside: Outside, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    monkeypatch.setenv("MODEL_URL", url)
    names = {"__name__": "app"}
    exec(compile(example, "app.py", "exec"), names)
    triage, summarize = outside.traces()
    assert (summarize.name, summarize.input) == ("summarize", "The lamp flickers.")
    assert summarize.output == "SUMMARIZE THIS TICKET IN ONE LINE: THE LAMP FLICKERS."
    assert [(span.name, span.kind) for span in summarize.spans] == [
        ("summarize", "CHAIN"),
        ("chat house-model", "LLM"),
    ]
    assert (triage.task, triage.input) == ("triage_ticket", "The kettle leaks.")
    assert [score.value for score in triage.scores] == [0.9]
    exec(compile("ask(SUMMARIZE.format(ticket='It hums.'))", "app.py", "exec"), names)
    assert "`app_SUMMARIZE`" in SECTION
    assert outside.traces()[0].task == "app_SUMMARIZE"
