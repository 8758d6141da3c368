"""Numbers of tokens without a tokenizer."""

from hypothesis import given
from hypothesis import strategies as some

from aiworker.models.token_counts import estimate_text, lower_bound, upper_bound

TEXTS = some.lists(some.text(some.characters(exclude_categories=["Cs"]) | some.sampled_from("a 雪𝄞\n")), min_size=1)


@given(TEXTS)
def test_no_count_exceeds_the_upper_bound(texts: list[str]) -> None:
    counted = sum(max(estimate_text(text), lower_bound(text)) for text in texts)
    assert counted <= upper_bound(sum(map(len, texts)), len(texts))


def test_the_upper_bound_is_reached() -> None:
    assert upper_bound(30) == estimate_text("𝄞" * 30)
