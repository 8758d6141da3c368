"""LangGraph: an agent with a tool, streamed and not, with a typed response."""

import os

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel


class Report(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"23 degrees in {city}"


chat = ChatOpenAI(model="gpt-4o-mini", base_url=f"{os.environ['AIWORKER_URL']}/v1", api_key="unused", max_retries=0)
question = {"messages": [("user", 'What is the weather in "Paris"?')]}

agent = create_react_agent(chat, [get_weather], response_format=Report)
result = agent.invoke(question)
assert "23 degrees in Paris" in result["messages"][-1].text, result
assert isinstance(result["structured_response"], Report), result

plain = create_react_agent(chat, [get_weather])
chunks = [chunk for chunk, _ in plain.stream(question, stream_mode="messages")]
assert "23 degrees in Paris" in "".join(chunk.text for chunk in chunks), chunks
again = plain.invoke({"messages": [*result["messages"], ("user", 'And in "Rome"? What is the weather in "Rome"?')]})
assert "23 degrees in Rome" in again["messages"][-1].text, again
