"""LiteLLM: a conversation with a tool, streamed and not, a typed result, and embeddings."""

import json
import os

import litellm
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


OPTIONS = {"model": "openai/gpt-4o-mini", "api_base": f"{os.environ['AIWORKER_URL']}/v1", "api_key": "unused"}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": PARAMETERS}}
]

messages = [{"role": "user", "content": 'What is the weather in "Paris"?'}]
message = litellm.completion(messages=messages, tools=TOOLS, **OPTIONS).choices[0].message
[call] = message.tool_calls
assert json.loads(call.function.arguments) == {"city": "Paris"}, call
messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "23 degrees in Paris"}]
stream = litellm.completion(messages=messages, tools=TOOLS, stream=True, **OPTIONS)
text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
assert "23 degrees in Paris" in text, text

ask = [{"role": "user", "content": "The person Ann is 30 years of age."}]
typed = litellm.completion(messages=ask, response_format=Person, **OPTIONS).choices[0].message.content
assert Person.model_validate_json(typed) == Person(name="Ann", age=30), typed

vectors = litellm.embedding(**{**OPTIONS, "model": "openai/text-embedding-ada-002"}, input=["one", "two"])
assert [len(each["embedding"]) for each in vectors.data] == [1024, 1024]
