"""The fields of a form: texts in Python, files where they are."""

from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.http.form_parts import MAX_HEAD_BYTES, MAX_TEXT_BYTES, form_fields, form_parts


class Body:
    """A Payload reduced to the methods that a form's parser calls."""

    def __init__(self, content: bytes, name: str = "", media_type: str = "", charset: str = "") -> None:
        self.content, self.name, self.media_type, self.charset = content, name, media_type, charset
        self.size = len(content)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self.content[start:end]

    def slice(self, start: int, end: int) -> "Body":
        return Body(self.content[start:end])

    def described(self, name: str, media_type: str, charset: str) -> "Body":
        return Body(self.content, name, media_type, charset)


async def fields_of(*parts: tuple[str, bytes], files: tuple[str, ...] = ()) -> dict[str, Any]:
    content = b"".join(
        b"--xyz\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"
        for head, body in parts
    )
    payload: Any = Body(content + b"--xyz--\r\n")
    return dict(form_fields(payload, await form_parts(payload, "xyz", 100), files))


async def refusal(*parts: tuple[str, bytes]) -> str:
    with pytest.raises(ApiError) as raised:
        await fields_of(*parts)
    return raised.value.type


async def test_the_last_text_of_a_name_counts_and_those_of_a_list_are_joined() -> None:
    parts = [('name="a"', b"1"), ('name="a"', b"2"), ('name="b[]"', b"x"), ('name="b[]"', b"y")]
    assert await fields_of(*parts) == {"a": "2", "b[]": "x,y"}


@pytest.mark.parametrize("head", ['name="file"', 'name="file"; filename=""', "name=file"])
async def test_a_file_is_one_though_it_has_no_name(head: str) -> None:
    fields = await fields_of((head, b"\xff\x00"), ('name="model"', b"m"), files=("file",))
    assert (fields["file"].content, fields["file"].name) == (b"\xff\x00", "")
    assert fields["model"] == "m"


async def test_a_file_has_its_name_media_type_and_charset() -> None:
    head = 'name="file"; filename="a.txt"\r\nContent-Type: Text/Plain; charset=latin1'
    file = (await fields_of((head, b"x")))["file"]
    assert (file.name, file.media_type, file.charset) == ("a.txt", "text/plain", "latin1")


async def test_an_input_in_which_no_file_was_chosen_is_none() -> None:
    assert await fields_of(('name="file"; filename=""', b""), files=("file",)) == {}
    assert list(await fields_of(('name="file"; filename="empty.txt"', b""))) == ["file"]


async def test_texts_are_bounded_together_and_files_are_not() -> None:
    half = b"a" * (MAX_TEXT_BYTES // 2)
    assert len(await fields_of(('name="a"', half), ('name="b"', half), ('name="c"; filename="c"', half * 3))) == 3
    assert await refusal(('name="a"', half), ('name="b"', half), ('name="c"', b"a")) == "payload_too_large"


async def test_a_long_head_of_a_part_is_refused() -> None:
    assert await refusal((f'name="{"a" * MAX_HEAD_BYTES}"', b"")) == "payload_too_large"
    assert await refusal(("x=1", b"")) == "invalid_request"
