"""Normalised text: words of passages and terms of queries, of many scripts and spellings."""
# ruff: noqa: RUF001 - texts of many scripts

import unicodedata

import pytest

from aiworker.rag.search_text import index_text, query_terms, query_terms_as_written


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The quick Fox", "the quick fox"),
        # what no reader sees
        ("co\u00adop\u200ber\u2060ate \u202ethe\u202c B\ufe0f", "cooperate the b"),
        (decomposed("Überlandbus"), "uberlandbus"),
        ("oﬃce ﬂow", "office flow"),
        ("ＡＢＣ ｆｕｌｌ　ｗｉｄｔｈ", "abc full width"),
        ("Foo™ Bar® m²", "foo bar m 2 m2"),
        # what people do not type
        ("Tromsø Łódź Straße naïve Đà Nẵng", "tromso lodz strasse naive da nang"),
        ("don’t the ferry’s O'Brien", "don t dont the ferry o brien obrien"),
        # words broken at the end of a line
        ("Fähren-\nverbindung", "fahren verbindung fahrenverbindung"),
        ("Fähren\u00ad\r\n  verbindung", "fahren verbindung fahrenverbindung"),
        ("one -\ntwo", "one two"),
        # compounds
        ("RFC-2119", "rfc 2119 rfc2119"),
        ("rfc2119", "rfc 2119 rfc2119"),
        ("userName user_name user-name", "user name username user name username user name username"),
        ("HTTPServer iPhone", "http server httpserver i phone iphone"),
        ("3.14 10:30 192.168.0.1", "3 14 10 30 192 168 0 1"),
        ("2024-05-06", "2024 05 06 20240506"),
        ("a@b.org https://c.org/d", "a b org https c org d"),
        ("3f2a9cd8e7b1", "3f2a9cd8e7b1"),
        ("U.S.A. node.js TCP/IP", "u s a usa node js nodejs tcp ip tcpip"),
        # scripts without spaces: pairs, and each run's last letter
        ("渡轮票价", "渡轮 轮票 票价 价"),
        ("第7码头RFC2119", "第 7 码头 头 rfc 2119 rfc2119"),
        ("渡轮\n票价", "渡轮 轮票 票价 价"),
        ("ひらがなカタカナ", "ひら らが がな なカ カタ タカ カナ ナ"),
        ("ｶﾞｲﾄﾞ", "ガイ イド ド"),
        ("서울에서", "서울 울에 에서 서"),
        (decomposed("서울"), "서울 울"),
        ("น้ำตก", index_text("น้ำตก")),
        # scripts whose marks are letters
        ("हिन्दी में खोज", "हिन्दी में खोज"),
        ("বাংলা தமிழ்", "বাংলা தமிழ்"),
        # scripts whose marks are left out
        ("السَّلَامُ عَلَيْكُم", "السلام عليكم"),
        ("كتاب کتاب", "كتاب كتاب"),
        ("עִבְרִית", "עברית"),
        ("Ελλάδα ΕΛΛΆΔΑΣ", "ελλαδα ελλαδασ"),
        ("Ёлка ЁЛКА", "елка елка"),
        ("٣٤ ۵ ५", "34 5 5"),
        ("", ""),
        ("🐧 — “…” \x00 \ud800", ""),
    ],
)
def test_words_of_a_text(text: str, words: str) -> None:
    assert index_text(text) == words


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("Where do the penguins live?", ['"penguins"', '"live"']),
        ("what is it", ['"what"', '"is"', '"it"']),
        ("H-118", ['"h 118"', '"h118"', '"118"']),
        ("rfc2119", ['"rfc 2119"', '"rfc2119"', '"rfc"', '"2119"']),
        ("渡轮票价", ['"渡轮 轮票 票价"', '"渡轮"', '"轮票"', '"票价"']),
        ("票价", ['"票价"']),
        ("船", ['"船" *']),
        (
            "码头每天早上七点开门吗",
            [f'"{pair}"' for pair in ["码头", "头每", "每天", "天早", "早上", "上七", "七点", "点开", "开门", "门吗"]],
        ),
        ('"quotes" NEAR(a, b) * ^ -', ['"quotes"', '"near"', '"b"']),
        ("🐧", []),
        ("penguins Penguins", ['"penguins"']),
    ],
)
def test_terms_of_a_query(query: str, terms: list[str]) -> None:
    assert query_terms(query) == terms


def test_terms_for_the_index_of_earlier_versions_are_as_they_were() -> None:
    assert query_terms_as_written("Does ZX-4711 need Überläufe?") == [
        '"zx-4711"',
        '"zx"',
        '"4711"',
        '"need"',
        '"überläufe"',
    ]
    assert query_terms_as_written(decomposed("Überläufe")) == ['"überläufe"']
    assert query_terms_as_written("what is it") == ['"what"', '"is"', '"it"']


def test_a_query_whose_letters_unfold_is_cut() -> None:
    """A letter may become eighteen, and each is looked at."""
    assert '"rain"' in query_terms("rain " + "ﷺ" * 8_000)
    assert '"rain"' not in query_terms("ﷺ" * 8_000 + " rain")
