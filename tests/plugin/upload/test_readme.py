"""What README shows of uploads is what happens."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.config import load_config

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite
    from tests.plugin.upload.conftest import FakeCT

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("### Uploads\n")[2].partition("\n### ")[0]
THREE = """
    import pytest

    @pytest.mark.kaizen("summarize_ticket")
    @pytest.mark.kaizen_threshold("short", min=0.5)
    @pytest.mark.parametrize("number", range(3))
    def test_it(kaizen, number):
        kaizen.score("short", 1.0)
"""


def test_the_settings_are_read(tmp_path: Path) -> None:
    (yaml,) = re.findall(r"^```yaml\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    (tmp_path / "kaizen.yaml").write_text(yaml, encoding="utf-8")
    config = load_config(tmp_path, env={})
    assert config.upload_to == ("kaizen-ct", "otlp")
    assert config.backends.kaizen_ct.url == "https://ct.example.com"


def test_the_output_reads_as_shown(
    suite: Suite, ct: FakeCT, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.search(
        r"^```\n\$ pytest --kaizen\n\.\.\.\n(.*?)\$ kaizen sync\n(.*?)^```$", SECTION, re.M | re.S
    )
    assert shown is not None
    suite.write(THREE)
    suite.write("backends: {kaizen-ct: {}}", "kaizen.yaml")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ct.know("summarize_ticket")
    with monkeypatch.context() as patch:
        patch.setenv("KAIZEN_BASE_URL", f"http://127.0.0.1:{port}")
        suite.run("--kaizen-upload-timeout=60", passed=3, code=0)
    end = suite.text[suite.text.index("kaizen: kaizen-ct: ") :]
    assert same(end, str(port)) == same(shown[1], "8000")
    capsys.readouterr()
    assert main(["--root", str(suite.root), "sync"]) == 0
    assert capsys.readouterr().out == shown[2]


def same(text: str, port: str) -> str:
    return re.sub(r"run \d{8}-\d{6}-\w{6}", "run ID", text.replace(port, "PORT")).strip()
