"""instructor: typed results by tools, by JSON mode and by JSON Schema, whole and partial."""

import os

import instructor
from openai import OpenAI
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


ANN = Person(name="Ann", age=30)
messages = [{"role": "user", "content": "The person Ann is 30 years of age."}]
openai = OpenAI(base_url=f"{os.environ['AIWORKER_URL']}/v1", api_key="unused", max_retries=0)
for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(openai, mode=mode)
    person = client.chat.completions.create(model="gpt-4o-mini", response_model=Person, messages=messages)
    assert person.model_dump() == ANN.model_dump(), (mode, person)

client = instructor.from_openai(openai)
*_, last = client.chat.completions.create_partial(model="gpt-4o-mini", response_model=Person, messages=messages)
assert last.model_dump() == ANN.model_dump(), last
