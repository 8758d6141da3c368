"""Translation, classification, summaries and safety checks, by rules and word lists in place of models."""

import importlib
import math
import re
from collections import Counter
from functools import cache
from typing import Any, cast

from workers_ai_simulator import text
from workers_ai_simulator.catalogue import Model, check_window
from workers_ai_simulator.embeddings.lexical import STOP_WORDS, stem, words
from workers_ai_simulator.errors import NotSimulated
from workers_ai_simulator.validation import invalid, list_input, mismatch, number_input, required, text_input

INDICTRANS = "@cf/ai4bharat/indictrans2-en-indic-1B"

LANGUAGE_NAMES = (
    "af afrikaans, am amharic, ar arabic, ast asturian, az azerbaijani, ba bashkir, be belarusian, bg bulgarian, "
    "bn bengali, br breton, bs bosnian, ca catalan, ceb cebuano, cs czech, cy welsh, da danish, de german, el "
    "greek, en english, es spanish, et estonian, fa persian, ff fulah, fi finnish, fr french, fy western frisian, "
    "ga irish, gd gaelic, gl galician, gu gujarati, ha hausa, he hebrew, hi hindi, hr croatian, ht haitian, hu "
    "hungarian, hy armenian, id indonesian, ig igbo, ilo iloko, is icelandic, it italian, ja japanese, jv "
    "javanese, ka georgian, kk kazakh, km khmer, kn kannada, ko korean, lb luxembourgish, lg ganda, ln lingala, "
    "lo lao, lt lithuanian, lv latvian, mg malagasy, mk macedonian, ml malayalam, mn mongolian, mr marathi, ms "
    "malay, my burmese, ne nepali, nl dutch, no norwegian, ns northern sotho, oc occitan, or oriya, pa panjabi, "
    "pl polish, ps pashto, pt portuguese, ro romanian, ru russian, sd sindhi, si sinhala, sk slovak, sl "
    "slovenian, so somali, sq albanian, sr serbian, ss swati, su sundanese, sv swedish, sw swahili, ta tamil, th "
    "thai, tl tagalog, tn tswana, tr turkish, uk ukrainian, ur urdu, uz uzbek, vi vietnamese, wo wolof, xh xhosa, "
    "yi yiddish, yo yoruba, zh chinese, zu zulu"
)
LANGUAGES = {code: name for code, _, name in (each.partition(" ") for each in LANGUAGE_NAMES.split(", "))}
"""Languages of M2M100, code → name. Workers AI takes both, in lower or upper case."""

INDIC_LANGUAGES = (
    *("asm_Beng", "awa_Deva", "ben_Beng", "bho_Deva", "brx_Deva", "doi_Deva", "eng_Latn", "gom_Deva", "gon_Deva"),
    *("guj_Gujr", "hin_Deva", "hne_Deva", "kan_Knda", "kas_Arab", "kas_Deva", "kha_Latn", "lus_Latn", "mag_Deva"),
    *("mai_Deva", "mal_Mlym", "mar_Deva", "mni_Beng", "mni_Mtei", "npi_Deva", "ory_Orya", "pan_Guru", "san_Deva"),
    *("sat_Olck", "snd_Arab", "snd_Deva", "tam_Taml", "tel_Telu", "urd_Arab", "unr_Deva"),
)
"""Values of indictrans2's `target_language`, by its schema."""

MAX_SENTIMENT_CHARACTERS = 2048
"""Characters of a text that are read for its sentiment: about the 512 tokens of distilbert's input, which is cut."""
SENTIMENT_STEEPNESS = 5.0
"""Steepness of the score over VADER's compound of -1 to 1."""

SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?![a-z])|(?<=[.!?][\"”)])\s+|(?<=[\u3002\uff01\uff1f])|\s*\n\s*")
"""End of a sentence; not the dots of “e.g. this” and “3.50”. Chinese and Japanese signs need no space after them."""
MAX_SUMMARY_TOKENS = 142
"""`max_length` in the configuration of bart-large-cnn, which the input `max_length` can only lower."""
MAX_SENTENCES = 3

ROLES = ("user", "assistant")
DEFAULT_MAX_TOKENS = 256

HAZARDS = {
    "S1": (
        "kill",
        "murder",
        "stab",
        "shoot him",
        "shoot her",
        "shoot them",
        "assault",
        "massacre",
        "torture",
        "kidnap",
    ),
    "S2": ("steal", "shoplift", "launder money", "fraud", "counterfeit", "smuggle", "cook meth", "forge a", "hotwire"),
    "S3": ("rape", "sexual assault", "sex trafficking", "molest"),
    "S4": ("child porn", "child abuse material", "csam", "groom a child", "groom children"),
    "S5": ("defame", "slander", "libel"),
    "S6": ("stop taking my medication", "diagnose me", "lethal dose of medicine", "guaranteed investment"),
    "S7": ("home address", "social security number", "dox", "stalk", "track my wife", "track my girlfriend"),
    "S8": ("pirate movies", "pirated", "crack the license", "bypass drm", "serial key"),
    "S9": ("bomb", "explosives", "nerve agent", "sarin", "anthrax", "dirty bomb", "chemical weapon", "nuclear weapon"),
    "S10": ("racial slur", "inferior race", "subhuman", "ethnic cleansing", "master race"),
    "S11": ("suicide", "kill myself", "hurt myself", "cut myself", "self harm", "end my life"),
    "S12": ("porn", "erotic story", "explicit sex", "nude pictures"),
    "S13": ("rig the election", "vote by text", "fake ballots", "election date is wrong"),
    "S14": ("escape the sandbox", "fork bomb", "exploit the interpreter", "container escape"),
}
"""Category of Llama Guard 3, S1 (violent crimes) to S14 (code interpreter abuse) → phrases that indicate it."""


def _stems(content: str) -> str:
    """Stems of a text, each between spaces, so that the stems of a phrase are a substring."""
    return f" {' '.join(map(stem, words(content)))} "


HAZARD_STEMS = {category: tuple(map(_stems, phrases)) for category, phrases in HAZARDS.items()}


# ---- translation ---------------------------------------------------------------------------------------------------


def translate(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Answer translation: the unchanged text, after a note that its translation is simulated.

    m2m100 takes `text`, `target_lang` and `source_lang` (en by default), each the code or the name of a language, and
    answers `{translated_text}`; indictrans2 takes `text` (one or a list) and `target_language`, and answers
    `{translations}`.

    Raises UpstreamError 5006 if the model does not take the inputs, or does not know a language.
    """
    if model.id == INDICTRANS:
        return _translate_to_indic(inputs)
    if "requests" in inputs and "text" not in inputs:
        raise NotSimulated("A batch (`requests`) without the option `queueRequest`")
    required(inputs, "text", "target_lang")
    content = text_input(inputs, "text")
    source, target = _language(inputs, "source_lang"), _language(inputs, "target_lang")
    return {"translated_text": _translation(content, source, target)}


def _translate_to_indic(inputs: dict[str, Any]) -> dict[str, Any]:
    required(inputs, "text", "target_language")
    value: Any = inputs["text"]
    texts: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [text_input(inputs, "text")]
    for number, each in enumerate(texts):
        if not isinstance(each, str):
            raise mismatch(f"/text/{number}", each, "string")
    target = text_input(inputs, "target_language")
    if target not in INDIC_LANGUAGES:
        raise invalid(f"enum {target} not in {','.join(INDIC_LANGUAGES)}")
    return {"translations": [_translation(each, "eng_Latn", target) for each in texts]}


def _translation(content: str, source: str, target: str) -> str:
    return f"[simulated, {source}→{target}] {content}"


def _language(inputs: dict[str, Any], name: str) -> str:
    """Code of the language in the input of that name. Raises UpstreamError 5006 for an unknown language."""
    value = text_input(inputs, name, default="en")
    for code, language in LANGUAGES.items():
        if value.casefold() in (code, language):
            return code
    raise invalid(f"enum {value} not in {','.join(LANGUAGES)}")


# ---- classification ------------------------------------------------------------------------------------------------


def classify(model: Model, inputs: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG001 - there is only one
    """Answer text-classification: `[{label: "NEGATIVE", score}, {label: "POSITIVE", score}]`, always in this order.

    The scores sum to 1. They follow from VADER's rules and word list, in English. A text without a word of the list
    scores 0.5 twice, where the model would still decide.

    Raises UpstreamError 5006 if the model does not take the inputs.
    """
    positive = 1 / (1 + math.exp(-SENTIMENT_STEEPNESS * sentiment(text_input(inputs, "text"))))
    return [{"label": "NEGATIVE", "score": 1 - positive}, {"label": "POSITIVE", "score": positive}]


def sentiment(content: str) -> float:
    """How positive a text is, -1 to 1, by VADER's compound score; 0 without a word that it knows."""
    return float(_vader().polarity_scores(content[:MAX_SENTIMENT_CHARACTERS])["compound"])


@cache
def _vader() -> Any:
    # read at the first text: the simulator starts without it
    return importlib.import_module("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()


# ---- summaries -----------------------------------------------------------------------------------------------------


def summarize(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - there is only one
    """Answer summarization, `{summary}`: the sentences with the text's most frequent words, unchanged and in order.

    They are at most three, and together at most `max_length` tokens (1 to 142); a single sentence may be cut.

    Raises UpstreamError 5006 if the model does not take the inputs.
    """
    content = text_input(inputs, "input_text")
    max_length = number_input(inputs, "max_length", MAX_SUMMARY_TOKENS, minimum=1)
    if not isinstance(max_length, int):
        raise mismatch("/max_length", max_length, "integer")
    return {"summary": _summary(content, min(max_length, MAX_SUMMARY_TOKENS))}


def _summary(content: str, max_tokens: int) -> str:
    sentences = [" ".join(each.split()) for each in SENTENCE_END.split(content) if each.strip()] or [content]
    counts = Counter(_content_stems(content))
    ranked = sorted(range(len(sentences)), key=lambda number: -_weight(sentences[number], counts))
    chosen: list[int] = []
    for number in ranked[:MAX_SENTENCES]:
        joined = " ".join(sentences[each] for each in sorted([*chosen, number]))
        if len(text.tokens(joined)) <= max_tokens:
            chosen.append(number)
    if not chosen:
        return "".join(text.tokens(sentences[ranked[0]])[:max_tokens])
    return " ".join(sentences[number] for number in sorted(chosen))


def _content_stems(content: str) -> list[str]:
    return [stem(word) for word in words(content) if word not in STOP_WORDS]


def _weight(sentence: str, counts: Counter[str]) -> float:
    """Frequency of the sentence's words in the text; the square root keeps long sentences from always winning."""
    stems = _content_stems(sentence)
    return sum(counts[each] for each in set(stems)) / math.sqrt(len(stems) or 1)


# ---- safety --------------------------------------------------------------------------------------------------------


def guard(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Answer a guard model: whether the last message is safe, by a short list of phrases.

    `{response: "safe" | "unsafe\\nS1,…", usage}`; with `response_format: {type: "json_object"}` the response is
    `{safe, categories}`.

    Raises UpstreamError 5006 if the model does not take the inputs, 5021 if they exceed its context window.
    """
    messages = _messages(inputs)
    number_input(inputs, "max_tokens", None)
    number_input(inputs, "temperature", None, 0, 5)
    as_json = _wants_json(inputs)
    prompt_tokens = text.count_prompt_tokens(messages)
    check_window(model, prompt_tokens + (inputs.get("max_tokens") or DEFAULT_MAX_TOKENS))
    last_stems = _stems(messages[-1]["content"])
    categories = [category for category, phrases in HAZARD_STEMS.items() if any(each in last_stems for each in phrases)]
    verdict = f"unsafe\n{','.join(categories)}" if categories else "safe"
    completion_tokens = len(text.tokens(verdict))
    return {
        "response": {"safe": not categories, "categories": categories} if as_json else verdict,
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _wants_json(inputs: dict[str, Any]) -> bool:
    response_format: Any = inputs.get("response_format")
    if response_format is None:
        return False
    if not isinstance(response_format, dict):
        raise mismatch("/response_format", response_format, "object")
    kind = cast("dict[str, Any]", response_format).get("type")
    if kind is not None and not isinstance(kind, str):
        raise mismatch("/response_format/type", kind, "string")
    return kind == "json_object"


def _messages(inputs: dict[str, Any]) -> list[dict[str, str]]:
    checked = [_message(number, each) for number, each in enumerate(list_input(inputs, "messages"))]
    for number, each in enumerate(checked):
        if each["role"] != ROLES[number % 2]:
            raise invalid(f"'/messages/{number}/role': roles must alternate between 'user' and 'assistant'")
    return checked


def _message(number: int, message: Any) -> dict[str, str]:
    at = f"/messages/{number}"
    if not isinstance(message, dict):
        raise mismatch(at, message, "object")
    role, content = (cast("dict[str, Any]", message).get(name) for name in ("role", "content"))
    required({"role": role, "content": content}, "role", "content", at=at)
    if role not in ROLES:
        raise invalid(f"enum {role} not in {','.join(ROLES)}")
    if not isinstance(content, str):
        raise mismatch(f"{at}/content", content, "string")
    return {"role": role, "content": content}
