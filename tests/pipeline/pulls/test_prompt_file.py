"""A prompt in another's file: it changes, and nothing else does."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.errors import ProposalError
from pytest_kaizen.pipeline.pulls.prompt_file import format_of, with_prompt

NEW = 'You sort.\n- Be "brief".\n\n  Käse \\n @x'
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
PYTHON = """\
# ünïcode before
PROMPT = 'first'
PROMPT: str = (
    'one '
    "two"
)  # kept
class Texts:
    a = 1; sort = '''old
lines'''; b = 2
ALL = {'sort': 'old', 'x': {'y': 'deep'}}
def f():
    return PROMPT
"""
YAML = """\
# head
name: x  # why
tasks:
  - id: 1
    prompt: |
      old

      lines

  # between
  - {id: 2, prompt: 'flow'}
last: &a plain # end
same: *a
"""


def put(content: str | None, form: str, locator: str | None = None, text: str = NEW) -> str:
    given = None if content is None else content.encode()
    return with_prompt(given, "p", text, form=form, locator=locator).decode()


def run(source: str) -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(compile(source, "p", "exec"), space)
    return space


@pytest.mark.parametrize(
    ("path", "named", "form"),
    [
        ("a/b.py", None, "python"),
        ("a.YML", None, "yaml"),
        ("a.yaml", None, "yaml"),
        ("a.json", None, "json"),
        ("a.json", "text", "text"),
        ("a.md", None, "text"),
    ],
)
def test_the_format_is_given_or_the_ending(path: str, named: str | None, form: str) -> None:
    assert format_of(path, named) == form


def test_text_is_the_whole_file() -> None:
    assert put("old", "text") == put(None, "text") == f"{NEW}\n"


def test_python() -> None:
    changed = put(PYTHON, "python", "PROMPT")
    new = changed[changed.index('"""') : changed.rindex('"""') + 3]
    assert changed.replace(new, "'one '\n    \"two\"") == PYTHON
    assert run(changed)["PROMPT"] == NEW
    assert put(PYTHON, "python") == changed
    assert run(put(PYTHON, "python", "Texts.sort"))["Texts"].sort == NEW
    assert run(put(PYTHON, "python", "ALL.sort"))["ALL"] == {"sort": NEW, "x": {"y": "deep"}}
    assert run(put(PYTHON, "python", "ALL.x.y"))["ALL"] == {"sort": "old", "x": {"y": NEW}}
    windows = put("PROMPT = 'x'\r\nA = 1\r\n", "python")
    assert "\n" not in windows.replace("\r\n", "")


def test_yaml() -> None:
    block = put(YAML, "yaml", "tasks.0.prompt")
    assert '    prompt: |-\n      You sort.\n      - Be "brief".\n\n        Käse \\n @x\n' in block
    assert yaml.safe_load(block)["tasks"][0] == {"id": 1, "prompt": NEW}
    flow = put(YAML, "yaml", "tasks.1.prompt")
    assert yaml.safe_load(flow)["tasks"][1] == {"id": 2, "prompt": NEW}
    for edited in (block, flow):
        assert edited.startswith("# head\nname: x  # why\n")
        assert edited.endswith("last: &a plain # end\nsame: *a\n")
    assert put("name: old # why\n", "yaml", "name", "new") == 'name: "new" # why\n'
    with pytest.raises(ProposalError, match="at 'last': the text cannot be written there"):
        put(YAML, "yaml", "last")


def test_json() -> None:
    source = '{\n\t"n": 1.5,\n\t"tasks": [{"prompt": "old"}],\n\t"ü": "ä"\n}\n'
    edited = put(source, "json", "tasks.0.prompt")
    assert json.loads(edited) == {"n": 1.5, "tasks": [{"prompt": NEW}], "ü": "ä"}
    assert edited.startswith('{\n\t"n": 1.5,')
    assert edited.endswith('\t"ü": "ä"\n}\n')
    assert put('{"prompt": "a"}', "json", text="b") == '{"prompt": "b"}'


@pytest.mark.parametrize(
    ("form", "old"),
    [
        ("python", "A = 1\nPROMPT = 'old'\n"),
        ("yaml", "a: 1\nprompt: old\n"),
        ("json", '{"a": 1, "prompt": ""}'),
    ],
)
@given(text=TEXTS)
def test_whatever_the_text_is_it_is_read_back(form: str, old: str, text: str) -> None:
    for content in (old, None):
        edited = put(content, form, text=text)
        if form == "python":
            value = ast.literal_eval(edited[edited.index("PROMPT = ") + 9 :].strip(" \n"))
        else:
            value = (yaml.safe_load(edited) if form == "yaml" else json.loads(edited))["prompt"]
        assert value == text


@pytest.mark.parametrize(
    ("content", "form", "locator", "message"),
    [
        (None, "yaml", "a.b", "there is no such file, so nothing at 'a.b' in it"),
        ("a: 1\n", "yaml", "a", "at 'a': what is there is no plain text"),
        ("a: 1\n", "yaml", "b", "at 'b': there is no such place"),
        ("a: [\n", "yaml", "a", "cannot be read as yaml: while parsing"),
        ("{", "json", "a", "cannot be read as json: Expecting property name"),
        ('{"a": ["x"]}', "json", "a.1", "at 'a.1': there is no such place"),
        ('{"a": ["x"]}', "json", "a.b", "at 'a.b': there is no such place"),
        ('{"a": 1}', "json", "a", "at 'a': what is there is no plain text"),
        ("[" * 100_000, "json", "a", "cannot be read as json"),
        ("A = f'{b}'", "python", "A", "at 'A': what is there is no plain text"),
        ("A = 'x'.strip()", "python", "A", "at 'A': what is there is no plain text"),
        ("def f():\n    A = 'x'", "python", "A", "at 'A': there is no such place"),
        ("A = (", "python", "A", "cannot be read as python"),
        ("x" * 1_100_000, "python", "A", "is longer than 1048576 bytes"),
        ("x", "toml", None, "no prompt_format 'toml'; there are: text, json, yaml, python"),
    ],
)
def test_what_cannot_be_changed_says_why(
    content: str | None, form: str, locator: str | None, message: str
) -> None:
    with pytest.raises(ProposalError) as caught:
        put(content, form, locator)
    assert str(caught.value).startswith(f"p: {message}")


def test_a_file_that_is_no_utf_8() -> None:
    with pytest.raises(ProposalError, match="p: 'utf-8' codec"):
        with_prompt(b"\xff", "p", NEW, form="yaml", locator=None)
