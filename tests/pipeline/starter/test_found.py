from __future__ import annotations

from pathlib import Path

import pytest

from pytest_kaizen.pipeline.starter import FoundPrompt, find_prompts, task_name


def found(folder: Path, source: str) -> list[tuple[str, str]]:
    (folder / "bot.py").write_text(source, encoding="utf-8")
    return [(prompt.task, prompt.text) for prompt in find_prompts(folder)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("c.messages.create(system='Be kind.')", [("bot", "Be kind.")]),
        ("async def ask(c): await c.messages.create(system='A' 'B')", [("ask", "AB")]),
        (
            "T_SYSTEM_PROMPT: str = 'Be kind.'\nc.messages.stream(system=T_SYSTEM_PROMPT)",
            [("t_system", "Be kind.")],
        ),
        ("SYSTEM = 'S'\nc.messages.create(system=[{'type': 'text', 'text': SYSTEM}])", [("system", "S")]),
        ("c.responses.create(instructions='I')", [("bot", "I")]),
        ("c.responses.create(input=[{'role': 'developer', 'content': 'D'}])", [("bot", "D")]),
        ("c.a.create(messages=[{'role': 'user', 'content': 'U'}])", []),
        ("c.a.create(messages=[{**other}, wrong])", []),
        ("c.messages.create(system=f'{x}')", []),
        ("c.messages.create(system='  ')", []),
        ("c.messages.create(system=5)", []),
        ("c.messages.create(system='\\ud800')", []),
        ("create(system='no SDK')", []),
        ("A = 'a'\nA = 'b'\nc.messages.create(system=A)", []),
        ("A = 'a'\nA += 'b'\nc.messages.create(system=A)", []),
        ("A = 'a'\ndef ask(A): c.messages.create(system=A)", []),
        ("def broken(:", []),
        ("x = '\\d'\nc.messages.create(system='S')", [("bot", "S")]),
    ],
)
def test_what_is_a_prompt(source: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    assert found(tmp_path, source) == expected


def test_one_text_in_two_places_is_one_prompt(tmp_path: Path) -> None:
    functions = [("one", "S"), ("two", "S"), ("one", "T")]
    found(tmp_path, "\n".join(f"def {name}(c): c.m.create(system='{text}')" for name, text in functions))
    bot = Path("bot.py")
    assert find_prompts(tmp_path) == [
        FoundPrompt("one", "S", ((bot, 1), (bot, 2))),
        FoundPrompt("one_2", "T", ((bot, 3),)),
    ]


def test_files_that_are_not_the_project(tmp_path: Path) -> None:
    for name in ("tests/a.py", ".hidden/a.py", "env/a.py", "src/test_a.py", "src/conftest.py", "src/real.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("c.m.create(system='S')")
    (tmp_path / "env/pyvenv.cfg").touch()
    assert [prompt.places for prompt in find_prompts(tmp_path)] == [((Path("src/real.py"), 1),)]


@pytest.mark.parametrize(
    ("text", "name"),
    [("Sort Tickets!", "sort_tickets"), ("7 up", "task_7_up"), ("é!", "task"), ("A-b", "a_b")],
)
def test_task_names(text: str, name: str) -> None:
    assert task_name(text) == name
