"""Bytes that become text in a model's inputs."""

from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.models import written_bytes
from aiworker.models.image_parameters import IMAGE_MODELS
from aiworker.models.written_bytes import MAX_WRITTEN_BYTES, PARALLEL_PIECES, PIECE_BYTES, check_written
from aiworker.routes import image

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
ROOM = 128_000_000 - 64_000_000
"""Bytes that an isolate has beside WebAssembly's memory."""
COST = {"base64": 5, "numbers": 16}
"""Bytes of memory that a byte takes."""


class Picture:
    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return PNG[start:end]


def test_the_largest_inputs_fit_into_an_isolate() -> None:
    for encoding, size in MAX_WRITTEN_BYTES.items():
        assert COST[encoding] * size < ROOM
        assert COST[encoding] * PIECE_BYTES[encoding] * PARALLEL_PIECES[encoding] < ROOM


def test_an_input_above_the_limit_says_the_limit_and_the_way_out() -> None:
    limit = MAX_WRITTEN_BYTES["base64"]
    check_written("image", limit, "base64", "a-model", "send less")
    with pytest.raises(ApiError) as raised:
        check_written("image", limit + 1, "base64", "a-model", "send less")
    assert (raised.value.type, raised.value.param) == ("payload_too_large", "image")
    assert raised.value.message == (
        "image has 8,388,609 bytes; a-model takes at most 8,388,608, because its inputs are JSON: send less."
    )


@pytest.mark.parametrize(("model", "each"), IMAGE_MODELS.items())
def test_every_image_model_has_a_limit_unless_it_takes_a_form(model: str, each: Any) -> None:
    for name, (_, encoding) in each.files.items():
        picture: Any = Picture(25 << 20)
        known: Any = type("Known", (), {"id": model})
        if encoding == "form":
            image.check_images(known, {name: picture})
            continue
        with pytest.raises(ApiError, match="send a smaller image"):
            image.check_images(known, {name: picture})
        small: Any = Picture(written_bytes.MAX_WRITTEN_BYTES[encoding])
        image.check_images(known, {name: small})
