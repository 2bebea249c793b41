from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.errors import PromptError
from pytest_kaizen.prompts.files import (
    FrontMatter,
    compose,
    normalise,
    parse_source,
    read_versions,
    variables_in,
    version_paths,
)

Write = Callable[[str, str], Path]
FILE = Path("prompts/t/1.md")


def test_front_matter_and_text() -> None:
    source = parse_source(
        "---\nmodel: claude-haiku-4-5\nvariables: [ticket]\nnote: short\n---\n\nSum up {{ ticket }}.\n", FILE
    )
    assert source.front == FrontMatter(model="claude-haiku-4-5", variables=("ticket",), note="short")
    assert source.text == "Sum up {{ ticket }}."


@pytest.mark.parametrize("source", ["Hello", "\ufeffHello\r\n", "\n\nHello\n", "\tHello"[1:]])
def test_without_front_matter(source: str) -> None:
    parsed = parse_source(source, FILE)
    assert (parsed.front, parsed.text) == (None, "Hello")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n \n"])
def test_line_ends_byte_order_mark_and_blank_lines_change_nothing(newline: str, start: str) -> None:
    source = start + newline.join(["---", "note: n", "--- ", "", "one", "---", "two", "", ""])
    assert parse_source(source, FILE) == parse_source("---\nnote: n\n---\none\n---\ntwo", FILE)


def test_empty_front_matter_lets_a_text_start_with_a_rule() -> None:
    assert parse_source("---\n---\n---\ntext", FILE).text == "---\ntext"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "---\nmodle: x\n---\ntext",
            f"{FILE}:2: unknown key 'modle' (did you mean 'model'?); valid: model, note, variables",
        ),
        ("\n\n---\nnote: a\nmodel: [x]\n---\ntext", f"{FILE}:5: model: input should be a valid string"),
        ("---\nnote: a\nnote: b\n---\ntext", f"{FILE}:3: 'note' stands twice (first on line 2); keep one"),
        ("---\n- a\n---\ntext", f"{FILE}:2: expected keys and values, found list"),
        (
            "\n---\nnote: a\ntext",
            f"{FILE}:2: the front matter is not closed; end it with a line '---' before the text",
        ),
        ("---\nnote: a\n---\n \n", f"{FILE}: holds no text; write the prompt below the front matter"),
        ("", f"{FILE}: holds no text; write the prompt below the front matter"),
        (
            "---\nnote: a\nvariables: [a, b]\n---\n{{ b }} {{ c }}",
            f"{FILE}:3: variables: 'a' is declared but not used, 'c' is used but not declared; "
            "declare what the text uses: [b, c]",
        ),
        (
            "---\nvariables: []\n---\n{{ c }}",
            f"{FILE}:2: variables: 'c' is used but not declared; declare what the text uses: [c]",
        ),
    ],
)
def test_bad_source(source: str, message: str) -> None:
    with pytest.raises(PromptError) as caught:
        parse_source(source, FILE)
    assert str(caught.value) == message


def test_bad_yaml_names_the_line_of_the_file() -> None:
    with pytest.raises(PromptError) as caught:
        parse_source("---\nnote: a\nmodel: 'x\n---\ntext", FILE)
    assert (caught.value.path, caught.value.message[:15]) == (FILE, "not valid YAML:")
    assert caught.value.line in (3, 4)  # where the quote opens, or where the text ends


_TEXTS = st.text(alphabet="ab-:{}\n #'é", min_size=1).map(normalise).filter(bool)


@given(st.none() | _TEXTS, st.none() | _TEXTS, st.booleans(), _TEXTS | st.just("{{ a }}{{ b }}"))
def test_compose_is_the_opposite_of_parse(
    model: str | None, note: str | None, declares: bool, text: str
) -> None:
    front = FrontMatter(model=model, note=note, variables=variables_in(text) if declares else None)
    parsed = parse_source(compose(front, text), FILE)
    assert (parsed.front or FrontMatter(), parsed.text) == (front, text)


def test_compose_writes_what_a_person_would() -> None:
    front = FrontMatter(model="m", variables=("a", "b"), note="it's: new")
    assert compose(front, "{{ a }}{{ b }}") == (
        "---\nmodel: m\nvariables: [a, b]\nnote: 'it''s: new'\n---\n{{ a }}{{ b }}\n"
    )
    assert compose(FrontMatter(), "text") == "text\n"
    assert compose(FrontMatter(), "---\ntext") == "---\n---\n---\ntext\n"


def test_version_paths_go_by_number(write: Write, tmp_path: Path) -> None:
    for name in ("10.md", "2.md", "01.md", "3.MD", "notes.txt", ".#2.md", "4.md/x"):
        write(name, "text")
    found = version_paths(tmp_path)
    assert [(number, path.name) for number, path in found.items()] == [
        (1, "01.md"),
        (2, "2.md"),
        (3, "3.MD"),
        (10, "10.md"),
    ]


def test_no_folder_has_no_versions(tmp_path: Path) -> None:
    assert version_paths(tmp_path / "none") == {}


def test_two_files_with_one_number(write: Write, tmp_path: Path) -> None:
    write("1.md", "a")
    write("01.md", "b")
    with pytest.raises(PromptError) as caught:
        version_paths(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: '01.md' and '1.md' are both version 1; keep one, and give the other "
        "the next free number"
    )


@pytest.mark.parametrize("name", ["draft.md", "0.md", "-1.md", "1.5.md", "v2.md", "²³.md"])
def test_file_that_is_not_named_by_a_number(write: Write, tmp_path: Path, name: str) -> None:
    path = write(name, "a")
    with pytest.raises(PromptError) as caught:
        version_paths(tmp_path)
    assert str(caught.value) == (
        f"{path}: a prompt file is named by its version, '1.md', '2.md', …; rename it or move it away"
    )


def test_read_versions(write: Write, tmp_path: Path) -> None:
    path = write("t/2.md", "---\nmodel: m\nnote: n\n---\r\nHi {{ you }}\r\n")
    (prompt,) = read_versions("t", tmp_path / "t").values()
    assert (prompt.task, prompt.version, prompt.path) == ("t", 2, path)
    assert (prompt.text, prompt.variables) == ("Hi {{ you }}", ("you",))
    assert (prompt.model, prompt.note) == ("m", "n")
    assert prompt.sha256 == "a931b3beca97a49a0f42c2af4dccca55eb39eda4f087b7be7bf44c2ab37c4219"


def test_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "1.md"
    path.write_bytes(b"gr\xfc\xdfe")
    with pytest.raises(PromptError) as caught:
        read_versions("t", tmp_path)
    assert str(caught.value).startswith(f"{path}: cannot be read: 'utf-8' codec can't decode byte 0xfc")
