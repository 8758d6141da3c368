"""Translation, classification, summaries and guarding: word lists in place of models, and true to their forms."""

import math
import re
from collections import Counter
from typing import Any, cast

from workers_ai_simulator import text
from workers_ai_simulator.embeddings.lexical import STOP_WORDS, stem, words
from workers_ai_simulator.errors import NotSimulated
from workers_ai_simulator.models import Model, check_window
from workers_ai_simulator.validation import invalid, mismatch, number_input, required, text_input

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
"""The hundred of M2M100, code and name: Workers AI takes both, in small letters or large."""

INDIC_LANGUAGES = (
    *("asm_Beng", "awa_Deva", "ben_Beng", "bho_Deva", "brx_Deva", "doi_Deva", "eng_Latn", "gom_Deva", "gon_Deva"),
    *("guj_Gujr", "hin_Deva", "hne_Deva", "kan_Knda", "kas_Arab", "kas_Deva", "kha_Latn", "lus_Latn", "mag_Deva"),
    *("mai_Deva", "mal_Mlym", "mar_Deva", "mni_Beng", "mni_Mtei", "npi_Deva", "ory_Orya", "pan_Guru", "san_Deva"),
    *("sat_Olck", "snd_Arab", "snd_Deva", "tam_Taml", "tel_Telu", "urd_Arab", "unr_Deva"),
)
"""`target_language` of indictrans2, as its schema has them."""

PRAISE = (
    "amazing attractive awesome beautiful best better brilliant charming clever comfortable cool delicious delightful "
    "easy elegant enjoy excellent excited fantastic fast favorite fine flawless friendly fun funny glad good gorgeous "
    "great happy helpful impressive incredible joy kind like love lovely nice outstanding perfect pleasant pleased "
    "recommend reliable satisfied smooth stunning superb thank thrilled useful well win wonderful worth yay"
)
BLAME = (
    "angry annoying awful bad bland boring broken bug cheap cold confusing crash cruel dirty disappointing disaster "
    "disgusting dislike dreadful dull error expensive fail failure fake fear frustrating garbage hate horrible hurt "
    "lose mediocre mess miserable nasty painful pathetic poor problem regret rude sad scam slow sorry stupid terrible "
    "tired ugly unhappy unpleasant useless waste weak worse worst worthless wrong"
)
POSITIVE = frozenset(map(stem, PRAISE.split()))
NEGATIVE = frozenset(map(stem, BLAME.split()))
NEGATIONS = frozenset(("not", "no", "never", "nothing", "hardly", "without", "isn", "wasn", "don", "didn", "doesn"))
NEGATION_REACHES = 3
"""So many words further on a negation still turns what is said: “not a very good film”."""

SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?![a-z])|(?<=[.!?][\"”)])\s+|(?<=[\u3002\uff01\uff1f])|\s*\n\s*")
"""Not the dots of “e.g. this” and “3.50”; the signs of Chinese and Japanese need no space after them."""
LONGEST_SUMMARY = 142
"""Tokens: `max_length` in the configuration of bart-large-cnn, which `max_length` of the input only narrows."""
MOST_SENTENCES = 3

ROLES = ("user", "assistant")
MAX_TOKENS = 256

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
"""Words of each category of Llama Guard 3, S1 (violent crimes) to S14 (code interpreter abuse)."""


def _stems(of: str) -> str:
    """The stems of a text between spaces, in which those of a phrase can be looked for."""
    return f" {' '.join(map(stem, words(of)))} "


HAZARD_STEMS = {category: tuple(map(_stems, phrases)) for category, phrases in HAZARDS.items()}


# ---- translation ---------------------------------------------------------------------------------------------------


def translate(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """The text as it is, after a note that its translation is simulated.

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
    of = text_input(inputs, "text")
    source, target = _language(inputs, "source_lang"), _language(inputs, "target_lang")
    return {"translated_text": _translated(of, source, target)}


def _translate_to_indic(inputs: dict[str, Any]) -> dict[str, Any]:
    required(inputs, "text", "target_language")
    given: Any = inputs["text"]
    if not isinstance(given, list):
        given = [text_input(inputs, "text")]
    texts = cast("list[Any]", given)
    for number, each in enumerate(texts):
        if not isinstance(each, str):
            raise mismatch(f"/text/{number}", each, "string")
    target = text_input(inputs, "target_language")
    if target not in INDIC_LANGUAGES:
        raise invalid(f"enum {target} not in {','.join(INDIC_LANGUAGES)}")
    return {"translations": [_translated(each, "eng_Latn", target) for each in texts]}


def _translated(of: str, source: str, target: str) -> str:
    return f"[simulated, {source}→{target}] {of}"


def _language(inputs: dict[str, Any], name: str) -> str:
    """The code of the language that the inputs name."""
    wanted = text_input(inputs, name, default="en")
    for code, language in LANGUAGES.items():
        if wanted.casefold() in (code, language):
            return code
    raise invalid(f"enum {wanted} not in {','.join(LANGUAGES)}")


# ---- classification ------------------------------------------------------------------------------------------------


def classify(model: Model, inputs: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG001 - there is but one
    """Whether a text is kind: `[{label: "NEGATIVE", score}, {label: "POSITIVE", score}]`, always in this order.

    The scores sum to 1; a text without a word of the lists gets 0.5 twice, where the model would still decide.

    Raises UpstreamError 5006 if the model does not take the inputs.
    """
    positive = 1 / (1 + math.exp(-2.0 * _mood(words(text_input(inputs, "text")))))
    return [{"label": "NEGATIVE", "score": 1 - positive}, {"label": "POSITIVE", "score": positive}]


def _mood(of: list[str]) -> int:
    """The kind words less the unkind, each turned round by a negation shortly before it; -5 to 5."""
    mood, turned_until = 0, -1
    for number, word in enumerate(of):
        if word in NEGATIONS:
            turned_until = number + NEGATION_REACHES
        root = stem(word)
        worth = (root in POSITIVE) - (root in NEGATIVE)
        mood += -worth if number <= turned_until else worth
    return max(-5, min(mood, 5))


# ---- summaries -----------------------------------------------------------------------------------------------------


def summarize(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - there is but one
    """The sentences that say most of what the text repeats, word for word and in their order: `{summary}`.

    At most three of them, and `max_length` tokens (1 or more, 142 at most); the first may be cut for that.

    Raises UpstreamError 5006 if the model does not take the inputs.
    """
    of = text_input(inputs, "input_text")
    longest = number_input(inputs, "max_length", LONGEST_SUMMARY, least=1)
    if not isinstance(longest, int):
        raise mismatch("/max_length", longest, "integer")
    return {"summary": _extract(of, min(longest, LONGEST_SUMMARY))}


def _extract(of: str, longest: int) -> str:
    sentences = [" ".join(each.split()) for each in SENTENCE_END.split(of) if each.strip()] or [of]
    counts = Counter(_content(of))
    ranked = sorted(range(len(sentences)), key=lambda number: -_weight(sentences[number], counts))
    chosen: list[int] = []
    for number in ranked[:MOST_SENTENCES]:
        together = " ".join(sentences[each] for each in sorted([*chosen, number]))
        if len(text.tokens(together)) <= longest:
            chosen.append(number)
    if not chosen:
        return "".join(text.tokens(sentences[ranked[0]])[:longest])
    return " ".join(sentences[number] for number in sorted(chosen))


def _content(of: str) -> list[str]:
    return [stem(word) for word in words(of) if word not in STOP_WORDS]


def _weight(sentence: str, counts: Counter[str]) -> float:
    """How often the text has the sentence's words; the root keeps long sentences from always being best."""
    content = _content(sentence)
    return sum(counts[word] for word in set(content)) / math.sqrt(len(content) or 1)


# ---- guarding ------------------------------------------------------------------------------------------------------


def guard(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Whether the last message is safe, judged by a short list of words.

    `{response: "safe" | "unsafe\\nS1,…", usage}`; with `response_format: {type: "json_object"}` the response is
    `{safe, categories}`.

    Raises UpstreamError 5006 if the model does not take the inputs, 5021 if they exceed its context window.
    """
    messages = _messages(inputs)
    number_input(inputs, "max_tokens", None)
    number_input(inputs, "temperature", None, 0, 5)
    as_json = _wants_json(inputs)
    prompt_tokens = text.count(messages)
    check_window(model, prompt_tokens + (inputs.get("max_tokens") or MAX_TOKENS))
    said = _stems(messages[-1]["content"])
    categories = [category for category, phrases in HAZARD_STEMS.items() if any(each in said for each in phrases)]
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
    wanted: Any = inputs.get("response_format")
    if wanted is None:
        return False
    if not isinstance(wanted, dict):
        raise mismatch("/response_format", wanted, "object")
    kind = cast("dict[str, Any]", wanted).get("type")
    if kind is not None and not isinstance(kind, str):
        raise mismatch("/response_format/type", kind, "string")
    return kind == "json_object"


def _messages(inputs: dict[str, Any]) -> list[dict[str, str]]:
    required(inputs, "messages")
    messages: Any = inputs["messages"]
    if not isinstance(messages, list):
        raise mismatch("/messages", messages, "array")
    if not messages:
        raise invalid("required properties at '/' are 'messages'")  # an empty list counts as none upstream
    checked = [_message(number, each) for number, each in enumerate(cast("list[Any]", messages))]
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
