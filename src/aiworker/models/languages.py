"""The languages of the translation models."""

from difflib import get_close_matches

from aiworker.errors import ApiError

_M2M100 = """
af afrikaans, am amharic, ar arabic, ast asturian, az azerbaijani, ba bashkir, be belarusian, bg bulgarian, bn bengali,
br breton, bs bosnian, ca catalan, ceb cebuano, cs czech, cy welsh, da danish, de german, el greek, en english,
es spanish, et estonian, fa persian, ff fulah, fi finnish, fr french, fy western frisian, ga irish, gd gaelic,
gl galician, gu gujarati, ha hausa, he hebrew, hi hindi, hr croatian, ht haitian, hu hungarian, hy armenian,
id indonesian, ig igbo, ilo iloko, is icelandic, it italian, ja japanese, jv javanese, ka georgian, kk kazakh, km khmer,
kn kannada, ko korean, lb luxembourgish, lg ganda, ln lingala, lo lao, lt lithuanian, lv latvian, mg malagasy,
mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, my burmese, ne nepali, nl dutch, no norwegian,
ns northern sotho, oc occitan, or oriya, pa panjabi, pl polish, ps pashto, pt portuguese, ro romanian, ru russian,
sd sindhi, si sinhala, sk slovak, sl slovenian, so somali, sq albanian, sr serbian, ss swati, su sundanese, sv swedish,
sw swahili, ta tamil, th thai, tl tagalog, tn tswana, tr turkish, uk ukrainian, ur urdu, uz uzbek, vi vietnamese,
wo wolof, xh xhosa, yi yiddish, yo yoruba, zh chinese, zu zulu
"""

M2M100 = {code: name for code, _, name in (each.strip().partition(" ") for each in _M2M100.split(","))}
"""Code → name of the hundred languages of M2M100 (its paper and model card)."""

INDIC = (
    *("asm_Beng", "awa_Deva", "ben_Beng", "bho_Deva", "brx_Deva", "doi_Deva", "eng_Latn", "gom_Deva", "gon_Deva"),
    *("guj_Gujr", "hin_Deva", "hne_Deva", "kan_Knda", "kas_Arab", "kas_Deva", "kha_Latn", "lus_Latn", "mag_Deva"),
    *("mai_Deva", "mal_Mlym", "mar_Deva", "mni_Beng", "mni_Mtei", "npi_Deva", "ory_Orya", "pan_Guru", "san_Deva"),
    *("sat_Olck", "snd_Arab", "snd_Deva", "tam_Taml", "tel_Telu", "urd_Arab", "unr_Deva"),
)
"""Codes of indictrans2's target languages: language and script (`target_language` in @cloudflare/workers-types)."""


def to_m2m100(language: str, param: str) -> str:
    """Return M2M100's code of a language. language: a code or an English name, in upper or lower case.

    Raises ApiError `invalid_request` for the field `param` if M2M100 does not have the language.
    """
    codes = {**{name: code for code, name in M2M100.items()}, **{code: code for code in M2M100}}
    return _look_up(language, codes, param, f"one of {', '.join(M2M100)}, or its name in English")


def to_indic(language: str, param: str) -> str:
    """Return indictrans2's code of a target language, given in upper or lower case. Raises as `to_m2m100` does."""
    return _look_up(language, {code.casefold(): code for code in INDIC}, param, f"one of {', '.join(INDIC)}")


def _look_up(language: str, codes: dict[str, str], param: str, allowed: str) -> str:
    """Return the code of a language. codes: name or code → code. allowed: the values that `param` takes, in words."""
    name = language.casefold().strip()
    if name in codes:
        return codes[name]
    near = get_close_matches(name[:100], codes, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ApiError("invalid_request", f"{param} must be {allowed}.{hint}", param=param)
