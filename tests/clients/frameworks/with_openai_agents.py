"""openai-agents: an agent with a tool, over Responses and chat completions, streamed and not, with a typed result."""

import asyncio
import os

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"23 degrees in {city}"


async def main() -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{os.environ['AIWORKER_URL']}/v1", api_key="unused", max_retries=0)
    for kind in (OpenAIResponsesModel, OpenAIChatCompletionsModel):
        model = kind(model="gpt-4o-mini", openai_client=client)
        agent = Agent(name="Weather", model=model, tools=[get_weather])
        first = await Runner.run(agent, 'What is the weather in "Paris"?', max_turns=4)
        assert "23 degrees in Paris" in first.final_output, first.final_output
        conversation = [*first.to_input_list(), {"role": "user", "content": 'What is the weather in "Rome"?'}]
        stream = Runner.run_streamed(agent, conversation, max_turns=4)
        kinds = [event.type async for event in stream.stream_events()]
        assert "raw_response_event" in kinds
        assert "23 degrees in Rome" in stream.final_output, stream.final_output
        typed = Agent(name="Reader", model=model, output_type=Person)
        result = await Runner.run(typed, "The person Ann is 30 years of age.")
        assert result.final_output == Person(name="Ann", age=30), result.final_output


asyncio.run(main())
