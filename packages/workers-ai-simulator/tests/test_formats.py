"""Answers in a format that the messages ask for in words: lists of a number of lines, and JSON by a schema in them."""

import json
import time
from typing import Any

import pytest

from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.text_generation.generation import generate
from workers_ai_simulator.text_generation.schema_check import UnsatisfiableError
from workers_ai_simulator.text_generation.schema_instance import instance

GLM = MODELS["@cf/zai-org/glm-4.7-flash"]
LLAMA = MODELS["@cf/meta/llama-3.3-70b-instruct-fp8-fast"]
BOTH = pytest.mark.parametrize("model", [LLAMA, GLM], ids=["native", "openai"])
TEXT, INTEGER = {"type": "string"}, {"type": "integer"}
PERSON = {"type": "object", "properties": {"name": TEXT, "age": INTEGER}, "required": ["name", "age"]}
ALICE = {"name": "Alice", "age": 30}
BOTH_PERSONS = [ALICE, {"name": "Bob", "age": 41}]
SCHEMA = json.dumps(PERSON)


def text(model: Model, *messages: tuple[str, str], **inputs: Any) -> Any:
    listed = [{"role": role, "content": content} for role, content in messages]
    answer = generate(model, {"messages": listed, **inputs}).answer()
    return answer["response"] if "response" in answer else answer["choices"][0]["message"]["content"]


# ---- lists ---------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("messages", "count"),
    [
        ([("user", "5 queries, one per line, about bees in winter")], 5),
        ([("system", "Generate 5 search queries, each on a new line."), ("user", "bees in winter")], 5),
        ([("user", "Write three lines about bees in winter, separated by newlines")], 3),
        (
            [
                (
                    "user",
                    "Generate 4 search queries, one on each line, related to the following input query:\n"
                    "Query: bees in winter\nQueries:\n",
                )
            ],
            4,
        ),
        (
            [
                (
                    "user",
                    "Your task is to generate 3 different versions of the given user question to retrieve documents. "
                    "Provide these alternative questions separated by newlines. Original question: Do bees sleep?",
                )
            ],
            3,
        ),
        ([("user", "Give me twenty keywords on bees, one per line")], 20),
    ],
)
def test_as_many_lines_as_asked_for_and_nothing_else(model: Model, messages: list[tuple[str, str]], count: int) -> None:
    lines = text(model, *messages).split("\n")
    assert len(lines) == count
    assert len(set(lines)) == count
    assert all("bees" in line for line in lines)


def test_bullet_points_are_marked_and_say_that_they_are_simulated() -> None:
    lines = text(GLM, ("user", "Write three bullet points about Oslo")).split("\n")
    assert lines == [f"- Simulated point {number} about Oslo." for number in (1, 2, 3)]


def test_bullet_points_are_sentences_of_the_context() -> None:
    context = "Bees dance. The queen bee lays eggs. Honey keeps for years. Drones fly."
    lines = text(GLM, ("user", f"Summarize this in 3 bullet points:\n\n{context}")).split("\n")
    assert lines == ["- [simulated] Bees dance.", "- The queen bee lays eggs.", "- Honey keeps for years."]


def test_a_numbered_list_has_numbers() -> None:
    lines = text(GLM, ("user", "A numbered list of 12 facts about Oslo")).split("\n")
    assert [line.split(" ")[0] for line in lines] == [f"{number}." for number in range(1, 13)]


def test_a_json_list_is_json_with_so_many_texts() -> None:
    answer = json.loads(text(GLM, ("user", "Return a JSON list of 4 keywords for solar energy")))
    assert len(answer) == len(set(answer)) == 4
    assert answer[:2] == ["solar", "energy"]


def test_the_topic_may_stand_behind_a_colon() -> None:
    lines = text(GLM, ("user", "Rewrite as 3 questions, one per line: Do bees sleep in winter?")).split("\n")
    assert len(lines) == 3
    assert all("bees sleep winter" in line for line in lines)
    assert json.loads(text(GLM, ("user", "Output a JSON array with 3 city names"))) == ["city", "city 2", "city 3"]


def test_a_list_with_commas_is_one_line() -> None:
    answer = text(GLM, ("user", "Five tags about solar panels as a comma-separated list"))
    assert len(answer.split(", ")) == 5
    assert "\n" not in answer


@pytest.mark.parametrize(
    "request_text",
    ["Answer in bullet points", "Tell me about the 5 lakes", "Answer in one line", "Explain it in 2 sentences"],
)
def test_other_requests_are_no_lists(request_text: str) -> None:
    assert text(GLM, ("user", request_text)).startswith("This is a simulated answer")


# ---- JSON in words -------------------------------------------------------------------------------------------------

LANGCHAIN = (
    "Answer the user query.\nThe output should be formatted as a JSON instance that conforms to the JSON schema below."
    '\n\nAs an example, for the schema {"properties": {"foo": {"title": "Foo", "type": "array", "items": '
    '{"type": "string"}}}, "required": ["foo"]}\nthe object {"foo": ["bar", "baz"]} is a well-formatted instance.\n\n'
    f"Here is the output schema:\n```\n{SCHEMA}\n```\nAlice is 30.\n"
)
INSTRUCTOR = (
    "As a genius expert, your task is to understand the content and provide the parsed objects in json that match the "
    f"following json_schema:\n\n{SCHEMA}\n\nMake sure to return an instance of the JSON, not the schema itself"
)
PYDANTIC_AI = f"Always respond with a JSON object that's compatible with this schema:\n\n{SCHEMA}\n\nNo fencing."
VERCEL = f"JSON schema:\n{SCHEMA}\nYou MUST answer with a JSON object that matches the JSON schema above."


@BOTH
@pytest.mark.parametrize(
    "messages",
    [
        [("user", LANGCHAIN)],
        [("system", INSTRUCTOR), ("user", "Alice is 30 years old")],
        [("system", PYDANTIC_AI), ("user", "Alice is 30")],
        [("system", VERCEL), ("user", "Alice is 30")],
        [("user", f"Extract the person as JSON by this schema: {SCHEMA}\n\nAlice is 30.")],
        [("user", 'Extract the person as JSON like {"name": "...", "age": 0}: Alice is 30')],
        [("user", 'Reply in JSON with this format: {"name": string, "age": number}. Alice is 30')],
        [("user", "Return a JSON object with the keys name and age (integer). Alice is 30.")],
    ],
)
def test_json_asked_for_in_words_is_an_instance_of_the_schema(model: Model, messages: list[tuple[str, str]]) -> None:
    assert json.loads(text(model, *messages)) == ALICE


@BOTH
def test_json_mode_without_a_schema_follows_the_one_in_the_messages(model: Model) -> None:
    json_mode = {"type": "json_object"}
    answer = text(model, ("system", INSTRUCTOR), ("user", "Alice is 30"), response_format=json_mode)
    assert (json.loads(answer) if isinstance(answer, str) else answer) == ALICE


def test_json_is_in_a_code_block_where_the_request_says_so() -> None:
    system = f"Return the correct JSON response within a ```json codeblock. not the JSON_SCHEMA {SCHEMA}"
    assert text(GLM, ("system", system), ("user", "Alice is 30")) == f"```json\n{json.dumps(ALICE)}\n```"


def test_a_list_of_persons_is_asked_for_in_words() -> None:
    schema = json.dumps({"type": "array", "items": PERSON})
    request = f"Return a JSON array that matches {schema}\n\nAlice is 30, Bob is 41"
    assert json.loads(text(GLM, ("user", request))) == BOTH_PERSONS


@pytest.mark.parametrize(
    "request_text", ["What is JSON?", "Why do people like JSON {braces}?", 'My JSON {"a": 1} does not load. Why?']
)
def test_a_question_about_json_is_answered_in_words(request_text: str) -> None:
    assert text(GLM, ("user", request_text)).startswith("This is a simulated answer")


def test_the_results_of_tools_fill_the_json() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Who is it?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": '{"name": "Alice", "age": 30}'},
    ]
    json_mode = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    generation = generate(GLM, {"messages": messages, "response_format": json_mode})
    assert json.loads(generation.text) == ALICE


# ---- several records -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "Alice is 30, Bob is 41",
        "Extract the people: Alice is 30, Bob is 41.",
        "Alice (30) and Bob (41)",
        "- Alice: 30\n- Bob: 41",
        "name,age\nAlice,30\nBob,41",
        "30-year-old Alice and 41-year-old Bob",
        "There are 2 people. Alice is 30. Bob is 41.",
    ],
)
def test_a_list_of_persons_has_each_person_of_the_message(content: str) -> None:
    assert instance({"type": "array", "items": PERSON}, content) == BOTH_PERSONS
    wrapped = {"type": "object", "properties": {"people": {"$ref": "#/$defs/people"}}, "required": ["people"]}
    people = {"type": "array", "items": {"$ref": "#/$defs/person"}}
    assert instance({**wrapped, "$defs": {"person": PERSON, "people": people}}, content) == {"people": BOTH_PERSONS}


def test_names_in_lower_case_are_told_by_their_numbers() -> None:
    persons = instance({"type": "array", "items": PERSON}, "alice is 30, bob is 41")
    assert persons == [{"name": "alice", "age": 30}, {"name": "bob", "age": 41}]


def test_records_keep_what_belongs_to_them() -> None:
    properties = {"name": TEXT, "city": TEXT, "age": INTEGER}
    person = {"type": "object", "properties": properties, "required": list(properties)}
    expected = [{"name": "Alice", "city": "Paris", "age": 30}, {"name": "Bob", "city": "Rome", "age": 41}]
    for content in (
        "Alice is 30. She lives in Paris. Bob is 41. He lives in Rome.",
        "Alice is 30 and lives in Paris, Bob is 41 and lives in Rome",
    ):
        assert instance({"type": "array", "items": person}, content) == expected
    assert instance({"type": "array", "items": person, "maxItems": 1}, content) == expected[:1]


def test_one_person_is_a_list_of_one() -> None:
    assert instance({"type": "array", "items": PERSON}, "Alice is 30. She lives in Paris.") == [ALICE]


# ---- schemas that refer to themselves ------------------------------------------------------------------------------

NODE = {"$ref": "#/$defs/node"}
IMPOSSIBLE = {"type": "string", "minLength": 5, "maxLength": 2}
CHAIN = {
    **{f"node{n}": {"anyOf": [{"$ref": f"#/$defs/node{n + 1}"}] * 2} for n in range(40)},
    "node": {"$ref": "#/$defs/node0"},
    "node40": IMPOSSIBLE,
}


@pytest.mark.parametrize(
    "definitions",
    [
        {"node": {"anyOf": [NODE, NODE]}},
        {"node": {"oneOf": [NODE, {"anyOf": [NODE, NODE]}]}},
        {"node": {"anyOf": [{"allOf": [NODE, NODE]}, {"allOf": [NODE, NODE]}]}},
        {"node": {"allOf": [{"anyOf": [NODE, NODE]}, {"anyOf": [NODE, NODE]}]}},
        {"node": {"type": "object", "properties": {"a": {"anyOf": [NODE, NODE]}}, "required": ["a"]}},
        {"node": {"if": NODE, "then": {"anyOf": [NODE, NODE]}, "else": {"anyOf": [NODE, NODE]}}},
        {"node": {"not": {"anyOf": [NODE, NODE]}}},
        CHAIN,
    ],
)
@pytest.mark.parametrize("draft", [{}, {"$schema": "http://json-schema.org/draft-07/schema#"}])
def test_alternatives_that_refer_to_themselves_do_not_spin(definitions: dict[str, Any], draft: dict[str, str]) -> None:
    started = time.process_time()
    with pytest.raises(UnsatisfiableError):
        instance({**NODE, **draft, "$defs": definitions}, "Hello")
    assert time.process_time() - started < 20


def test_a_schema_that_refers_to_itself_in_json_mode_is_refused() -> None:
    schema = {**NODE, "$defs": {"node": {"anyOf": [NODE, NODE]}}}
    with pytest.raises(UpstreamError, match="5024"):
        generate(GLM, {"prompt": "Hi", "response_format": {"type": "json_schema", "json_schema": schema}})
    tool = {"type": "function", "function": {"name": "node", "parameters": {"properties": {"a": NODE}, **schema}}}
    generate(GLM, {"prompt": "node", "tools": [tool]})


def test_an_alternative_that_ends_is_found() -> None:
    tree = {
        "type": "object",
        "properties": {"value": INTEGER, "next": {"anyOf": [NODE, {"type": "null"}]}},
        "required": ["value", "next"],
    }
    assert instance({**NODE, "$defs": {"node": tree}}, "Hello") == {"value": 0, "next": None}
    deep: dict[str, Any] = TEXT
    for _ in range(400):
        deep = {"type": "array", "items": deep, "minItems": 1}
    with pytest.raises(UnsatisfiableError):
        instance(deep, "Hello")
    with pytest.raises(UnsatisfiableError):
        instance({"type": "string", "pattern": "(" * 500 + "a" + ")" * 500}, "Hello")
