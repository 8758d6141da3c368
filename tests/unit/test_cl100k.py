"""The Worker's table of tokens against OpenAI's own tiktoken, and against lists that js-tiktoken 1.0.21 has made."""

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as some

from aiworker.errors import ApiError
from aiworker.models.cl100k import FILE, TokenTable
from tests import tiktoken_cache
from tools import ROOT

RECORDED: dict[str, list[int]] = {
    "hello world": [15339, 1917],
    "  def f(x):\n\treturn x ** 2\n": [220, 711, 282, 2120, 997, 862, 865, 3146, 220, 17, 198],
    "Die Straße führt über die Brücke.": [18674, 27745, 24352, 51332, 3423, 14104, 2815, 3320, 19919, 68, 13],
    "Ледник течёт к морю": [65014, 13404, 70959, 11047, 56857, 45122, 1830, 7820, 11562, 9239, 12182],
    "氷の川は海へ流れる。": [30320, 115, 16144, 17597, 251, 15682, 56235, 2243, 116, 89753, 33121, 30369, 1811],
    "نهر من الجليد": [12061, 16552, 11318, 64337, 17607, 34190, 8700, 14900, 13628],
    "नमस्ते दुनिया": [61196, 88344, 79468, 31584, 97, 35470, 15272, 99, 73753, 61196, 43411, 107, 24810],
    "👋🏽 à bientôt": [9468, 239, 233, 9468, 237, 121, 3869, 293, 1188, 35657],
    "<|endoftext|>": [100257],
}
TABLE = TokenTable((ROOT / "public" / FILE.lstrip("/")).read_bytes())
SPECIAL = [100257, 100258, 100259, 100260, 100276]


@pytest.fixture(scope="module")
def openai_s(tmp_path_factory: pytest.TempPathFactory) -> tiktoken.Encoding:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in tiktoken_cache.fill(tmp_path_factory.mktemp("tiktoken")).items():
            patched.setenv(name, value)
        return tiktoken.get_encoding("cl100k_base")


@pytest.mark.parametrize("text", RECORDED)
def test_tokens_become_the_text_that_they_were_made_of(text: str) -> None:
    assert TABLE.decode(RECORDED[text]) == text
    assert TABLE.size(RECORDED[text], "input") == len(text.encode())


def test_every_token_is_openai_s(openai_s: tiktoken.Encoding) -> None:
    ids = [*range(100256), *SPECIAL]
    assert [TABLE.decode([each]) for each in ids] == [openai_s.decode([each]) for each in ids]
    assert openai_s.max_token_value == SPECIAL[-1]


@given(text=some.text())
def test_any_text_comes_back(openai_s: tiktoken.Encoding, text: str) -> None:
    tokens = openai_s.encode_ordinary(f"{text}.")
    assert TABLE.decode(tokens) == f"{text}."
    assert TABLE.size(tokens, "input") == len(f"{text}.".encode())


@given(tokens=some.lists(some.integers(0, 100255), min_size=1))
def test_tokens_that_are_no_utf_8_are_replaced_as_openai_does(openai_s: tiktoken.Encoding, tokens: list[int]) -> None:
    assert TABLE.decode(tokens) == openai_s.decode(tokens)


@pytest.mark.parametrize("wrong", [-1, 100256, 100261, 100275, 100277, 10**6, -(10**30), 10**30])
def test_an_id_that_is_no_token_is_named(wrong: int) -> None:
    with pytest.raises(ApiError) as raised:
        TABLE.size([15339, 1917, wrong, 0], "input.4")
    assert (raised.value.type, raised.value.param) == ("invalid_request", "input.4.2")
    assert raised.value.message.startswith("input.4.2 must be a token")
