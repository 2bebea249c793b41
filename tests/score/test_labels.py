from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.errors import UsageError
from pytest_kaizen.score import Labelled, Rubric, read_labels

RUBRIC = """\
name: summary
criteria:
  - {name: faithful, description: States only what is there.}
  - {name: tone, description: Is friendly., scale: [1, 5]}
  - {name: short, check: {max_length: 9}}
"""
HEADER = "input,output,faithful,tone\n"

LoadRubric = Callable[[str], Rubric]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


Write = Callable[[str | bytes], Path]


def test_labels(write: Write, rubric: LoadRubric) -> None:
    path = write(
        '\ufeffnote,output,input,reference,tone,faithful\nx,"two\nlines",in,gold,3, Yes\n\n,out,,,5,no\n'
    )
    assert read_labels(path, rubric(RUBRIC)) == [
        Labelled(2, "in", "two\nlines", "gold", {"faithful": 1.0, "tone": 0.5}),
        Labelled(5, None, "out", None, {"faithful": 0.0, "tone": 1.0}),
    ]


def test_scores_of_the_whole(write: Write, rubric: LoadRubric) -> None:
    (found,) = read_labels(write("input,output,score\na,b,0.25\n"), rubric(RUBRIC))
    assert found.values == {"score": 0.25}


def test_a_criterion_named_score(write: Write, rubric: LoadRubric) -> None:
    loaded = rubric("name: a\ncriteria: [{name: score, description: Good., scale: [1, 3]}]")
    (found,) = read_labels(write("input,output,score\na,b,2\n"), loaded)
    assert found.values == {"score": 0.5}


VALID = "valid: input, output, faithful, tone, and reference; or score instead of the criteria"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", f":1: no column 'input'; {VALID} (found an empty file)"),
        ("input,output\n", f":1: no column 'faithful'; {VALID} (found input, output)"),
        (
            "input,output,tone,score\n",
            f":1: no column 'faithful'; {VALID} (found input, output, tone, score)",
        ),
        ("output,score\n", f":1: no column 'input'; {VALID} (found output, score)"),
        ("input,output,tone,tone,faithful\n", ":1: two columns are named 'tone'; keep one"),
        (HEADER, ": there are no labels below the header"),
        (HEADER + "a,b,yes,3\na,b,yes\n", ":3: expected 4 cells, found 3"),
        (HEADER + "a,b,perhaps,3\n", ":2: faithful: expected yes or no (found 'perhaps')"),
        (
            HEADER + '"a\nb",b,yes,3\na,b,no,6\n',
            ":4: tone: expected an integer from 1 (worst) to 5 (best) (found '6')",
        ),
        (HEADER + "a,b,,3\n", ":2: faithful: expected yes or no (found '')"),
        ("input,output,score\na,b,2\n", ":2: score: expected a number in [0, 1] (found '2')"),
        ("input,output,score\na,b,nan\n", ":2: score: expected a number in [0, 1] (found 'nan')"),
        ("input,output,score\na,b,good\n", ":2: score: expected a number in [0, 1] (found 'good')"),
        (HEADER + 'a,"b"c,yes,3\n', ":2: not valid CSV: ',' expected after '\"'"),
        (b"input,output,score\n\xff,b,1\n", ": cannot be read: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_mistakes(write: Write, rubric: LoadRubric, text: str | bytes, error: str) -> None:
    path = write(text)
    with pytest.raises(UsageError) as caught:
        read_labels(path, rubric(RUBRIC))
    assert str(caught.value).startswith(f"{path}{error}")


def test_no_file(tmp_path: Path, rubric: LoadRubric) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.csv: no such file"):
        read_labels(tmp_path / "nowhere.csv", rubric(RUBRIC))


def test_a_rubric_that_no_model_judges(write: Write, rubric: LoadRubric) -> None:
    with pytest.raises(UsageError, match=r"rubric\.yaml: no criterion is judged by a model"):
        read_labels(write(HEADER), rubric("name: a\ncriteria: [{name: short, check: {max_length: 9}}]"))
