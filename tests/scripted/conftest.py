from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from pytest_kaizen.scripted import ScriptedLLM


@pytest.fixture
def llm() -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        yield server


@pytest.fixture
def claude(llm: ScriptedLLM) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=llm.url, api_key="sk-ant-secret") as client:
        yield client


@pytest.fixture
def gpt(llm: ScriptedLLM) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{llm.url}/v1", api_key="sk-secret") as client:
        yield client
