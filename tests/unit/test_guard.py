"""The guard model: its input, and the effect of its verdict."""

import json
from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle
from aiworker.models import catalogue, guard
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.guard import Verdict, read_verdict, to_turns
from aiworker.models.model_response import ModelResponse
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeAnswer, FakeRequest, a_context, answered, refused

MODEL = "@cf/meta/llama-guard-3-8b"
CHAT = catalogue.MODELS["@cf/openai/gpt-oss-20b"]
MESSAGES = [{"role": "user", "content": "Hello"}]
SAFE, UNSAFE = answered({"response": "\n\nsafe"}), answered({"response": "\n\nunsafe\nS1,S10"})


def context(ai: FakeAi, **variables: Any) -> Any:
    return a_context(FakeRequest("POST", "/chat"), Settings.read({**VARIABLES, "GUARD_MODEL": MODEL, **variables}), ai)


async def refusal(check: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await check
    return raised.value


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


# ---- what it is asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "judged"),
    [
        ([user("a")], [user("a")]),
        ([{"role": "system", "content": "s"}, user("a")], [user("s\n\na")]),
        ([user("a"), assistant("b"), user("c")], [user("a"), assistant("b"), user("c")]),
        ([user("a"), user("b"), assistant("c"), assistant("d")], [user("a\n\nb"), assistant("c\n\nd")]),
        ([assistant("a"), user("b")], [user("a\n\nb")]),
        ([user("a"), assistant("b"), {"role": "tool", "content": "c"}], [user("a"), assistant("b"), user("c")]),
        ([user(""), user("  "), assistant("")], []),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}], [user("a")]),
    ],
)
def test_a_conversation_becomes_turns_that_begin_with_the_user(messages: Any, judged: Any) -> None:
    assert to_turns(messages) == judged


def test_arguments_of_tool_calls_are_judged() -> None:
    calls = [{"function": {"name": "mail", "arguments": '{"text":"x"}'}}]
    message = {"role": "assistant", "content": "", "tool_calls": calls}
    assert to_turns([user("a"), message]) == [user("a"), assistant('mail {"text":"x"}')]


async def test_it_is_asked_once_with_the_gateway_s_options_but_the_key() -> None:
    ai = FakeAi(SAFE)
    options = GatewayOptions(cache_key="k", skip_cache=True)
    await guard.check_input(context(ai, GATEWAY_ID="g"), MESSAGES, options)
    [(model, fields, sent, _)] = ai.calls
    assert model == MODEL
    assert fields["messages"] == MESSAGES
    assert sent["gateway"] == {"id": "g", "skipCache": True}


async def test_old_turns_are_cut_before_the_last_one() -> None:
    ai = FakeAi(SAFE)
    await guard.check_input(context(ai), [user("long " * 80_000), assistant("ok"), user("last")], None, stored=2)
    [(_, fields, _, _)] = ai.calls
    assert fields["messages"] == [user("last")]


async def test_a_request_cannot_push_its_own_question_out_of_the_guard_s_sight() -> None:
    ai = FakeAi(SAFE)
    filler = "a" + " " * 131_000 + "b"
    messages = [user("a bad question"), *([assistant(filler), user(filler)] * 2), user("Answer my first question")]
    with pytest.raises(ApiError) as refused:
        await guard.check_input(context(ai), messages, None)
    assert refused.value.type == "context_exceeded"
    assert ai.calls == []


TOOL = {"type": "function", "function": {"name": "bomb", "description": "d", "parameters": {"enum": ["poison"]}}}


@pytest.mark.parametrize(
    ("messages", "inputs", "texts"),
    [
        ([user("first"), assistant("forged"), user("last")], {}, ["first", "forged", "last"]),
        ([{"role": "system", "content": "s"}, {"role": "tool", "content": "t", "name": "n"}], {}, ["s", "t", "n"]),
        ([user("a")], {"tools": [TOOL]}, ["a", "bomb", '"description": "d"', "poison"]),
        ([user("a")], {"stop": ["stop here", "ß"]}, ["a", "stop here", "ß"]),
        ([user("a")], {"response_format": {"json_schema": {"title": "schema"}}}, ["schema"]),
    ],
)
async def test_everything_that_a_request_brings_is_judged_as_one_turn(messages: Any, inputs: Any, texts: Any) -> None:
    ai = FakeAi(SAFE)
    stored = [user("earlier"), assistant("answer")]
    await guard.check_input(context(ai), [*stored, *messages], None, stored=2, inputs=inputs)
    [(_, fields, _, _)] = ai.calls
    assert fields["messages"][:2] == stored
    [judged] = fields["messages"][2:]
    assert judged["role"] == "user"
    assert [text for text in texts if text not in judged["content"]] == []


async def test_tools_too_large_to_be_judged_are_refused() -> None:
    ai = FakeAi(SAFE)
    inputs = {"tools": [{"function": {"name": "f", "description": "long " * 100_000}}]}
    error = await refusal(guard.check_input(context(ai), MESSAGES, None, inputs=inputs))
    assert error.type == "context_exceeded"
    assert ai.calls == []


@pytest.mark.parametrize(
    ("variables", "calls"),
    [({"GUARD_MODEL": ""}, 0), ({"GUARD": "output"}, 0), ({"GUARD": "input"}, 1), ({}, 1)],
)
async def test_the_guard_judges_the_configured_sides(variables: dict[str, str], calls: int) -> None:
    ai = FakeAi(SAFE)
    await guard.check_input(context(ai, **variables), MESSAGES, None)
    assert len(ai.calls) == calls


@pytest.mark.parametrize("name", ["@cf/openai/gpt-oss-20b", "none"])
def test_a_guard_setting_that_is_not_a_guard_model_is_an_error(name: str) -> None:
    with pytest.raises(ApiError, match="GUARD_MODEL"):
        Settings.read({"GUARD_MODEL": name})


def test_an_unknown_side_is_a_wrong_setting() -> None:
    with pytest.raises(ApiError, match="GUARD must be both or input or output"):
        Settings.read({"GUARD_MODEL": MODEL, "GUARD": "on"})


# ---- its verdict ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("safe", Verdict(True, [])),
        ("\n\nsafe", Verdict(True, [])),
        ("unsafe\nS1", Verdict(False, ["S1"])),
        ("\n\nunsafe\nS1, S14", Verdict(False, ["S1", "S14"])),
        ("unsafe", Verdict(False, [])),
        ({"safe": True}, Verdict(True, [])),
        ({"safe": True, "categories": []}, Verdict(True, [])),
        ({"safe": False, "categories": ["S3"]}, Verdict(False, ["S3"])),
        ("I think it is safe", None),
        ("safe, but", None),
        ("", None),
        (None, None),
        ({"safe": "yes"}, None),
        ({}, None),
    ],
)
def test_its_answers(response: Any, verdict: Verdict | None) -> None:
    assert read_verdict(response) == verdict


async def test_an_unsafe_prompt_is_refused_with_the_names_of_its_categories() -> None:
    error = await refusal(guard.check_input(context(FakeAi(UNSAFE)), MESSAGES, None))
    assert error.type == "content_blocked"
    assert error.details == {
        "of": "input",
        "categories": [{"code": "S1", "name": "Violent Crimes"}, {"code": "S10", "name": "Hate"}],
    }
    assert "Violent Crimes, Hate" in error.message


async def test_an_unknown_category_is_reported_unchanged() -> None:
    ai = FakeAi(answered({"response": "unsafe\nS99"}))
    error = await refusal(guard.check_input(context(ai), MESSAGES, None))
    assert error.details == {"of": "input", "categories": [{"code": "S99", "name": None}]}
    assert "S99" in error.message


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (answered({"response": "perhaps"}), "upstream_error"),
        (answered(["safe"]), "upstream_error"),
        (FakeAnswer(200, "safe"), "upstream_error"),
        (refused(429, 3036), "rate_limited"),
        (ApiError("timeout", "too late"), "timeout"),
    ],
)
async def test_nothing_goes_past_a_guard_that_fails(answer: Any, kind: str) -> None:
    error = await refusal(guard.check_input(context(FakeAi(answer)), MESSAGES, None))
    assert error.type == kind


async def test_the_cost_of_a_guard_is_charged_to_the_request() -> None:
    ai = FakeAi(answered({"response": "safe", "usage": {"prompt_tokens": 1000, "completion_tokens": 2}}))
    request_context = context(ai)
    await guard.check_input(request_context, MESSAGES, None)
    assert request_context.log.input_tokens == 1000
    assert request_context.log.neurons == pytest.approx(44.008, abs=0.001)


# ---- answers -------------------------------------------------------------------------------------------------------


class Body(FakeAnswer):
    """Which can be read once."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(200, text, content_type=kind)
        self.body = JsHandle(text)
        self.reads = 0

    async def text(self) -> str:
        self.reads += 1
        assert self.reads == 1
        return self._text


def whole(**fields: Any) -> ModelResponse:
    return ModelResponse(CHAT, Body(json.dumps({"choices": [{"message": fields}]}), "application/json"))


def stream(*deltas: dict[str, Any], end: str = "data: [DONE]\n\n") -> ModelResponse:
    frames = [f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n" for delta in deltas]
    return ModelResponse(CHAT, Body("".join(frames) + end, "text/event-stream"))


CALL = {"index": 0, "id": "c", "function": {"name": "mail", "arguments": '{"to":1}'}}


@pytest.mark.parametrize(
    ("answer", "judged"),
    [
        (whole(content="Hi"), "Hi"),
        (whole(content="Hi", reasoning_content="Hm"), "Hm\n\nHi"),
        (whole(content=None, tool_calls=[CALL]), 'mail {"to":1}'),
        (stream({"content": "H"}, {"content": "i"}), "Hi"),
        (stream({"reasoning_content": "H"}, {"reasoning_content": "m"}, {"content": "Hi"}), "Hm\n\nHi"),
        (stream({"tool_calls": [CALL]}), 'mail {"to":1}'),
    ],
)
async def test_all_that_a_model_has_said_is_judged_and_then_given_as_it_came(
    answer: ModelResponse, judged: str
) -> None:
    ai = FakeAi(SAFE)
    screened = await guard.screen_response(context(ai), MESSAGES, answer, None)
    [(_, fields, _, _)] = ai.calls
    assert fields["messages"] == [*MESSAGES, assistant(judged)]
    assert screened.buffered == answer.raw.body
    if not screened.is_stream:
        assert (await screened.object())["choices"]


@pytest.mark.parametrize("answer", [whole(content="Hi"), stream({"content": "Hi"})])
async def test_an_unsafe_answer_is_refused(answer: ModelResponse) -> None:
    error = await refusal(guard.screen_response(context(FakeAi(UNSAFE)), MESSAGES, answer, None))
    assert (error.type, (error.details or {})["of"]) == ("content_blocked", "output")


async def test_a_stream_that_breaks_off_is_no_answer_to_be_judged() -> None:
    ai = FakeAi(SAFE)
    error = await refusal(guard.screen_response(context(ai), MESSAGES, stream({"content": "Hi"}, end=""), None))
    assert error.type == "upstream_error"
    assert ai.calls == []


async def test_where_no_output_is_judged_the_answer_is_not_even_read() -> None:
    answer = stream({"content": "Hi"})
    assert await guard.screen_response(context(FakeAi(SAFE), GUARD="input"), MESSAGES, answer, None) is answer
