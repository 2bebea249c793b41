from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from pytest_kaizen.errors import ConfigError
from pytest_kaizen.models import MetricMean, TaskBaseline, UsedPrompt
from pytest_kaizen.pipeline.baseline import read_baseline, write_baseline


def task(**cases: dict[str, float]) -> TaskBaseline:
    return TaskBaseline(
        created=datetime.date(2026, 1, 2),
        revision="c0ffee",
        prompts=(UsedPrompt(version=1, sha256="a" * 64),),
        models=("m",),
        judges=("j",),
        rubrics={"tone": "b" * 64},
        cases={
            case: {metric: MetricMean(mean=mean, samples=2) for metric, mean in metrics.items()}
            for case, metrics in cases.items()
        },
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tasks = {"greet": task(a={"score": 1 / 3}), "leave": task()}
    write_baseline(tmp_path / "deep" / "base.json", tasks)
    assert read_baseline(tmp_path / "deep" / "base.json") == tasks


def test_the_order_is_stable(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    write_baseline(one, {"x": task(a={"s": 0.1, "t": 0.2}, b={"s": 0.3}), "y": task()})
    write_baseline(two, {"y": task(), "x": task(b={"s": 0.3}, a={"t": 0.2, "s": 0.1})})
    assert one.read_bytes() == two.read_bytes()


def test_a_score_is_a_line_whatever_the_names_hold(tmp_path: Path) -> None:
    odd = '{\n "mean": 1,\n "samples": 2\n}'
    path = tmp_path / "base.json"
    write_baseline(path, {odd: task(**{odd: {odd: 0.5}})})
    assert list(read_baseline(path)[odd].cases) == [odd]
    assert '{"mean": 0.5, "samples": 2}' in path.read_text(encoding="utf-8")


def test_names_that_no_encoding_knows(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    write_baseline(path, {"grüße \ud800": task()})
    assert json.loads(path.read_bytes())["tasks"].keys() == {"grüße \ud800"}


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_baseline(path, {"greet": task()})
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ConfigError, match="cannot be read"):
        read_baseline(path)
