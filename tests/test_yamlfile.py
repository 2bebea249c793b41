from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pytest_kaizen.errors import ConfigError, RubricError, UsageError
from pytest_kaizen.files import YamlFile, read_yaml

FILE = Path("some/file.yaml")


class Criterion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    weight: float = Field(default=1.0, gt=0)
    kind: str = Field(default="plain", alias="type")


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = "untitled"
    criteria: list[Criterion] = Field(default_factory=list)
    by_name: dict[str, Criterion] = Field(default_factory=dict)
    first: Criterion | None = None

    @model_validator(mode="after")
    def _titled(self) -> Document:
        if self.title == "bad":
            raise ValueError("The title says nothing")
        return self


def yaml_of(text: str, first_line: int = 1) -> YamlFile:
    return YamlFile(text, FILE, error=RubricError, first_line=first_line)


def error_of(text: str, first_line: int = 1) -> str:
    with pytest.raises(RubricError) as caught:
        yaml_of(text, first_line).parse(Document)
    return str(caught.value)


def test_data_and_lines() -> None:
    file = yaml_of("title: x\ncriteria:\n  - name: a\n    weight:\n      2\n  - {name: b}\n")
    assert file.data == {"title": "x", "criteria": [{"name": "a", "weight": 2}, {"name": "b"}]}
    assert file.lines == {
        (): 1,
        ("title",): 1,
        ("criteria",): 2,
        ("criteria", 0): 3,
        ("criteria", 0, "name"): 3,
        # The key's line, although the value stands below it.
        ("criteria", 0, "weight"): 4,
        ("criteria", 1): 6,
        ("criteria", 1, "name"): 6,
    }


def test_line_of_what_is_not_there_is_that_of_what_is_around_it() -> None:
    file = yaml_of("title: x\ncriteria:\n  - name: a\n", first_line=10)
    assert file.line(("criteria", 0, "weight", "deep")) == 12
    assert file.line(("none",)) == 10
    assert str(file.fail("no good", ("criteria", 0, "weight"))) == f"{FILE}:12: no good"


@pytest.mark.parametrize("text", ["", "\n", "# a comment only\n", "---\n", "null\n"])
def test_empty_document(text: str) -> None:
    assert yaml_of(text).parse(Document) == Document()


def test_parse() -> None:
    parsed = yaml_of("criteria:\n- {name: a, weight: 2, type: t}\nby_name: {b: {name: b}}\n").parse(Document)
    assert parsed.criteria[0] == Criterion(name="a", weight=2, type="t")
    assert parsed.by_name == {"b": Criterion(name="b")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [x\n", ":2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("title: x\n\tname: y\n", ":2: not valid YAML: found character '\\t' that cannot start any token"),
        (
            "title: !!python/name:os.system\n",
            ":1: not valid YAML: could not determine a constructor for the "
            "tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML: but found another document"),
        ("title: *x\n", ":1: not valid YAML: found undefined alias 'x'"),
        ("title: a\ncriteria: []\ntitle: b\n", ":3: 'title' stands twice (first on line 1); keep one"),
        ("by_name:\n  a: {name: x, name: y}\n", ":2: 'name' stands twice (first on line 2); keep one"),
        ("? [a, b]\n: c\n", ":1: keys must be plain words"),
        ("- a\n- b\n", ":1: expected keys and values, found list"),
        ("just words\n", ":1: expected keys and values, found str"),
        (
            "title: x\ncritera: []\n",
            ":2: unknown key 'critera' (did you mean 'criteria'?); valid: by_name, criteria, first, title",
        ),
        ("zzz: 1\n", ":1: unknown key 'zzz'; valid: by_name, criteria, first, title"),
        (
            "criteria:\n- name: a\n  wieght: 2\n",
            ":3: unknown key 'criteria.0.wieght' (did you mean 'weight'?); valid: name, type, weight",
        ),
        (
            "by_name:\n  a:\n    name: a\n    kind: x\n",
            ":4: unknown key 'by_name.a.kind'; valid: name, type, weight",
        ),
        (
            "first:\n  name: a\n  nmae: b\n",
            ":3: unknown key 'first.nmae' (did you mean 'name'?); valid: name, type, weight",
        ),
        ("criteria:\n- weight: 2\n", ":2: 'criteria.0.name' is missing"),
        (
            "criteria:\n- name: a\n  weight: 0\n",
            ":3: criteria.0.weight: input should be greater than 0 (found 0)",
        ),
        (
            "criteria:\n- name: a\n  weight: heavy\n",
            ":3: criteria.0.weight: input should be a valid number, "
            "unable to parse string as a number (found 'heavy')",
        ),
        ("title: 5\n", ":1: title: input should be a valid string (found 5)"),
        ("title:\n  deep: {secret: x}\n", ":1: title: input should be a valid string"),
        ("title: bad\n", ":1: the document: the title says nothing"),
    ],
)
def test_every_error_has_file_line_and_words(text: str, message: str) -> None:
    assert error_of(text) == f"{FILE}{message}"


def test_line_of_yaml_inside_another_file() -> None:
    assert error_of("title: x\nzzz: 1\n", first_line=2) == (
        f"{FILE}:3: unknown key 'zzz'; valid: by_name, criteria, first, title"
    )
    assert error_of("title: [x\n", first_line=2).startswith(f"{FILE}:3: not valid YAML: ")


def test_impossible_date() -> None:
    assert error_of("title: 2024-13-45\n") == f"{FILE}: not valid YAML: month must be in 1..12"


def test_control_character() -> None:
    assert error_of("title: \x00\n").startswith(f"{FILE}: not valid YAML: unacceptable character #x0000")


def test_read_yaml(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("title: grün\n", encoding="utf-8")
    assert read_yaml(path, error=ConfigError).data == {"title": "grün"}


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "x.yaml", error=ConfigError)
    assert str(caught.value) == f"{tmp_path / 'x.yaml'}: no such file"


def test_file_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path, error=ConfigError)
    assert str(caught.value).startswith(f"{tmp_path}: cannot be read: [Errno ")


def test_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, error=ConfigError)
    assert str(caught.value) == (
        f"{path}: cannot be read: 'utf-8' codec can't decode byte 0xff in position 3: invalid start byte"
    )


def test_the_error_carries_its_facts() -> None:
    with pytest.raises(UsageError) as caught:
        yaml_of("title: x\nzzz: 1\n").parse(Document)
    error = caught.value
    assert (type(error), error.path, error.line) == (RubricError, FILE, 2)
    assert error.message == "unknown key 'zzz'; valid: by_name, criteria, first, title"
