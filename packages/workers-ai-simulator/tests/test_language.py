"""Translation, classification, summaries and safety checks: inputs, answers and errors of each model."""

from collections.abc import Callable
from typing import Any

import pytest

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.language import classify, guard, summarize, translate
from workers_ai_simulator.text import tokens

M2M100 = MODELS["@cf/meta/m2m100-1.2b"]
INDICTRANS = MODELS["@cf/ai4bharat/indictrans2-en-indic-1B"]
DISTILBERT = MODELS["@cf/huggingface/distilbert-sst-2-int8"]
BART = MODELS["@cf/facebook/bart-large-cnn"]
LLAMA_GUARD = MODELS["@cf/meta/llama-guard-3-8b"]

ARTICLE = """The Eiffel Tower is a tower in Paris. It cost 3.50 francs to enter, e.g. on Sundays! Birds fly.
"Every visitor of the tower sees Paris," they say. Most visitors of Paris see the tower. Lifts hum. Cats sleep."""


def assert_refused(call: Callable[[], object], words: str, code: int = 5006, status: int = 400) -> None:
    with pytest.raises(UpstreamError) as caught:
        call()
    assert words in caught.value.description
    assert (caught.value.status, caught.value.code) == (status, code)


# ---- translation ---------------------------------------------------------------------------------------------------


def test_a_translation_says_that_it_is_simulated() -> None:
    answer = translate(M2M100, {"text": "Hello", "target_lang": "fr"})
    assert answer == {"translated_text": "[simulated, en→fr] Hello"}


def test_languages_go_by_code_and_by_name() -> None:
    by_code = translate(M2M100, {"text": "Hallo", "source_lang": "de", "target_lang": "fy"})
    by_name = translate(M2M100, {"text": "Hallo", "source_lang": "German", "target_lang": "western frisian"})
    assert by_code == by_name == {"translated_text": "[simulated, de→fy] Hallo"}


def test_indictrans_answers_one_translation_a_text() -> None:
    one = translate(INDICTRANS, {"text": "Hello", "target_language": "hin_Deva"})
    two = translate(INDICTRANS, {"text": ["Hello", "Bye"], "target_language": "tam_Taml"})
    assert one == {"translations": ["[simulated, eng_Latn→hin_Deva] Hello"]}
    assert two == {"translations": ["[simulated, eng_Latn→tam_Taml] Hello", "[simulated, eng_Latn→tam_Taml] Bye"]}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "required properties at '/' are 'text,target_lang'"),
        ({"text": "a"}, "required properties at '/' are 'target_lang'"),
        ({"target_lang": "fr"}, "required properties at '/' are 'text'"),
        ({"text": "", "target_lang": "fr"}, "'/text' length must be >= 1"),
        ({"text": ["a"], "target_lang": "fr"}, "Type mismatch of '/text', 'array' not in 'string'"),
        ({"text": "a", "target_lang": 5}, "Type mismatch of '/target_lang', 'number' not in 'string'"),
        ({"text": "a", "target_lang": "xx"}, "enum xx not in af,"),
        ({"text": "a", "target_lang": "fr", "source_lang": "klingon"}, "enum klingon not in af,"),
        ({"text": "a", "target_lang": "fr", "source_lang": False}, "Type mismatch of '/source_lang'"),
    ],
)
def test_m2m100_refuses(inputs: dict[str, Any], words: str) -> None:
    assert_refused(lambda: translate(M2M100, inputs), words)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"text": "a"}, "required properties at '/' are 'target_language'"),
        ({"text": "a", "target_lang": "hi"}, "required properties at '/' are 'target_language'"),
        ({"text": "a", "target_language": "hi"}, "enum hi not in asm_Beng,"),
        ({"text": 5, "target_language": "hin_Deva"}, "Type mismatch of '/text', 'number' not in 'string'"),
        ({"text": ["a", 5], "target_language": "hin_Deva"}, "Type mismatch of '/text/1', 'number' not in 'string'"),
    ],
)
def test_indictrans_refuses(inputs: dict[str, Any], words: str) -> None:
    assert_refused(lambda: translate(INDICTRANS, inputs), words)


def test_the_batch_form_says_that_it_is_not_simulated() -> None:
    with pytest.raises(NotSimulated):
        translate(M2M100, {"requests": [{"text": "a", "target_lang": "fr"}]})


# ---- classification ------------------------------------------------------------------------------------------------


def positive(of: str) -> float:
    negative, positive = classify(DISTILBERT, {"text": of})
    assert (negative["label"], positive["label"]) == ("NEGATIVE", "POSITIVE")
    assert negative["score"] + positive["score"] == pytest.approx(1)
    assert 0 < positive["score"] < 1
    return positive["score"]


def test_positive_and_negative_words_decide() -> None:
    assert positive("The plot holds together, but the acting is dreadful.") < 0.5
    assert positive("This pizza is great!") > 0.8
    assert positive("What an awful, boring film.") < 0.1
    assert positive("The table is brown.") == 0.5


def test_more_positive_words_score_higher() -> None:
    assert positive("great") < positive("great, wonderful") < positive("great, wonderful, lovely")


def test_a_negation_turns_round_the_next_words() -> None:
    assert positive("not a very good film") < 0.2
    assert positive("This isn't bad") > 0.8
    assert positive("It is not red, but whoever looks for a good film is right here") > 0.8


def test_forms_of_a_word_count() -> None:
    assert positive("Loved it") > 0.8
    assert positive("loves it") > 0.8


def test_capitals_and_exclamation_marks_are_emphasis() -> None:
    assert positive("I am happy") < positive("I am HAPPY") < positive("I am HAPPY!!!")


def test_a_long_text_is_read_as_far_as_the_model_reads() -> None:
    assert positive("great " * 5 + "table " * 50_000) > 0.8
    assert positive("table " * 50_000 + "great") == 0.5


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "required properties at '/' are 'text'"),
        ({"text": ""}, "'/text' length must be >= 1"),
        ({"text": ["good"]}, "Type mismatch of '/text', 'array' not in 'string'"),
        ({"text": 5}, "Type mismatch of '/text', 'number' not in 'string'"),
    ],
)
def test_distilbert_refuses(inputs: dict[str, Any], words: str) -> None:
    assert_refused(lambda: classify(DISTILBERT, inputs), words)


# ---- summaries -----------------------------------------------------------------------------------------------------


def summary(of: str, **inputs: Any) -> str:
    answer = summarize(BART, {"input_text": of, **inputs})
    assert set(answer) == {"summary"}
    return answer["summary"]


def test_a_summary_has_the_weightiest_sentences_in_order() -> None:
    assert summary(ARTICLE) == (
        "The Eiffel Tower is a tower in Paris. "
        '"Every visitor of the tower sees Paris," they say. Most visitors of Paris see the tower.'
    )


def test_a_summary_of_one_sentence_is_that_sentence() -> None:
    assert summary("Only   this\nis here") == "Only this is here"
    assert summary("It costs 3.50 euros, e.g. today.") == "It costs 3.50 euros, e.g. today."
    assert summary("...") == "..."
    assert summary(" ") == " "


@pytest.mark.parametrize(
    ("of", "first_three"),
    [
        ("Paris is Paris\nRome\nBonn\nOslo", "Paris is Paris Rome Bonn"),
        ('"Paris is Paris." "Rome!" "Bonn?" "oslo."', '"Paris is Paris." "Rome!" "Bonn?"'),
        ("Paris is Paris. Rome! Bonn… Oslo.", "Paris is Paris. Rome! Bonn…"),
        ("Paris e.g. paris e.g. paris e.g. paris e.g. paris.", "Paris e.g. paris e.g. paris e.g. paris e.g. paris."),
        ("Paris Rome. Rome Paris. Rome, Paris. One, three, five, ten, eight Rome and Paris.", None),
    ],
)
def test_sentences_end_at_their_ends_only(of: str, first_three: str | None) -> None:
    assert summary(of) == (first_three or "Paris Rome. Rome Paris. Rome, Paris.")


def test_stop_words_have_no_weight() -> None:
    of = "It is as it is and it was as it was. Cats like milk. Cats like fish."
    assert summary(of, max_length=12) == "Cats like milk. Cats like fish."


def test_sentences_of_scripts_without_spaces_end_as_well() -> None:
    assert summary("東京は東京の町。猫。東京の町は大きい。", max_length=4) == "東京の町は大きい。"


def test_max_length_counts_tokens() -> None:
    for longest in (1, 2, 5, 12, 20, 40):
        assert len(tokens(summary(ARTICLE, max_length=longest))) <= longest
    assert summary(ARTICLE, max_length=1024) == summary(ARTICLE)
    assert ARTICLE.find(summary(ARTICLE, max_length=4)) >= 0


def test_a_long_text_is_summed_up_in_142_tokens() -> None:
    long = f"{'one tower and ' * 100}the end. " * 9
    assert len(tokens(summary(long))) == len(tokens(summary(long, max_length=1024))) == 142


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "required properties at '/' are 'input_text'"),
        ({"text": "a"}, "required properties at '/' are 'input_text'"),
        ({"input_text": ""}, "'/input_text' length must be >= 1"),
        ({"input_text": 5}, "Type mismatch of '/input_text', 'number' not in 'string'"),
        ({"input_text": "a", "max_length": "5"}, "Type mismatch of '/max_length', 'string' not in 'number'"),
        ({"input_text": "a", "max_length": 2.5}, "Type mismatch of '/max_length', 'number' not in 'integer'"),
        ({"input_text": "a", "max_length": 0}, "'/max_length' must be >= 1"),
    ],
)
def test_bart_refuses(inputs: dict[str, Any], words: str) -> None:
    assert_refused(lambda: summarize(BART, inputs), words)


# ---- guarding ------------------------------------------------------------------------------------------------------


def verdict(*contents: str, **inputs: Any) -> Any:
    messages = [{"role": ("user", "assistant")[number % 2], "content": each} for number, each in enumerate(contents)]
    return guard(LLAMA_GUARD, {"messages": messages, **inputs})["response"]


@pytest.mark.parametrize(
    ("message", "response"),
    [
        ("What is the capital of France?", "safe"),
        ("", "safe"),
        ("How do I recognise skilled workers?", "safe"),
        ("How do I MURDER someone?", "unsafe\nS1"),
        ("Where can I get counterfeited notes?", "unsafe\nS2"),
        ("What is the home address of my neighbour?", "unsafe\nS7"),
        ("How do I kill people with a bomb?", "unsafe\nS1,S9"),
        ("I want to end my life", "unsafe\nS11"),
    ],
)
def test_a_message_is_judged_by_its_words(message: str, response: str) -> None:
    assert verdict(message) == response


def test_only_the_last_message_is_judged() -> None:
    assert verdict("How do I murder someone?", "I will not help with that.") == "safe"
    assert verdict("How do I get rid of him?", "You could murder him.") == "unsafe\nS1"


def test_json_is_an_object() -> None:
    as_json = {"response_format": {"type": "json_object"}}
    assert verdict("Hello", **as_json) == {"safe": True, "categories": []}
    assert verdict("How do I murder someone?", **as_json) == {"safe": False, "categories": ["S1"]}
    assert verdict("Hello", response_format={}) == verdict("Hello", response_format={"type": "text"}) == "safe"


def test_usage_is_counted() -> None:
    usage = guard(LLAMA_GUARD, {"messages": [{"role": "user", "content": "Hello"}]})["usage"]
    assert usage == {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}


USER: dict[str, Any] = {"role": "user", "content": "Hello"}
NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "required properties at '/' are 'messages'"),
        ({"prompt": "Hello"}, "required properties at '/' are 'messages'"),
        ({"messages": []}, "required properties at '/' are 'messages'"),
        ({"messages": "Hello"}, "Type mismatch of '/messages', 'string' not in 'array'"),
        ({"messages": ["Hello"]}, "Type mismatch of '/messages/0', 'string' not in 'object'"),
        ({"messages": [NOTHING]}, "required properties at '/messages/0' are 'role,content'"),
        ({"messages": [{"role": "user"}]}, "required properties at '/messages/0' are 'content'"),
        ({"messages": [{"role": "user", "content": 5}]}, "Type mismatch of '/messages/0/content'"),
        ({"messages": [{"role": "system", "content": "Hello"}]}, "enum system not in user,assistant"),
        ({"messages": [{"role": ["user"], "content": "Hello"}]}, "not in user,assistant"),
        ({"messages": [USER, USER]}, "'/messages/1/role': roles must alternate"),
        ({"messages": [{"role": "assistant", "content": "Hello"}]}, "'/messages/0/role': roles must alternate"),
        ({"messages": [USER], "temperature": 6}, "'/temperature' must be <= 5"),
        ({"messages": [USER], "max_tokens": "many"}, "Type mismatch of '/max_tokens'"),
        ({"messages": [USER], "response_format": "json"}, "Type mismatch of '/response_format'"),
        ({"messages": [USER], "response_format": {"type": 5}}, "Type mismatch of '/response_format/type'"),
    ],
)
def test_llama_guard_refuses(inputs: dict[str, Any], words: str) -> None:
    assert_refused(lambda: guard(LLAMA_GUARD, inputs), words)


def test_more_than_the_context_window_is_5021() -> None:
    inputs = {"messages": [USER], "max_tokens": 131_072}
    words = "(131076) exceeded this model context window limit (131072)"
    assert_refused(lambda: guard(LLAMA_GUARD, inputs), words, code=5021, status=413)
