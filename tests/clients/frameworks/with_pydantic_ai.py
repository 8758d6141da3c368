"""pydantic-ai: a conversation with a tool, streamed and not, and a typed result."""

import asyncio
import os

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"23 degrees in {city}"


async def main() -> None:
    provider = OpenAIProvider(base_url=f"{os.environ['AIWORKER_URL']}/v1", api_key="unused")
    for model in (
        OpenAIChatModel("gpt-4o-mini", provider=provider),
        OpenAIResponsesModel("gpt-5-mini", provider=provider),
    ):
        agent = Agent(model, tools=[get_weather])
        first = await agent.run('What is the weather in "Paris"?')
        assert "23 degrees in Paris" in first.output, first.output
        history = first.all_messages()
        async with agent.run_stream('And what is the weather in "Rome"?', message_history=history) as stream:
            text = "".join([part async for part in stream.stream_text(delta=True)])
        assert "23 degrees in Rome" in text, text
        typed = await Agent(model, output_type=Person).run("The person Ann is 30 years of age.")
        assert typed.output == Person(name="Ann", age=30), typed.output


asyncio.run(main())
