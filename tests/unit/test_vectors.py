"""Finding the vectors in an answer without reading them, however the answer is written."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, cast

import pytest

from aiworker.errors import ApiError
from aiworker.models import catalogue, vectors
from aiworker.models.model_response import ModelResponse

MODEL = catalogue.MODELS["@cf/baai/bge-base-en-v1.5"]
DATA = [[0.25, -1e-05, 3], [1.5e22, 0.0, -7.125]]


@dataclass
class Bytes:
    """A Payload in Python."""

    held: bytes

    @property
    def size(self) -> int:
        return len(self.held)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self.held[start:end]

    def view(self, start: int, end: int) -> bytes:
        return self.held[start:end]


@dataclass
class Upstream:
    held: bytes

    async def payload(self) -> Bytes:
        return Bytes(self.held)


def read(body: str | bytes) -> vectors.Vectors:
    held = body if isinstance(body, bytes) else body.encode()
    return asyncio.run(vectors.read(ModelResponse(MODEL, cast("Any", Upstream(held)))))


def rows(result: vectors.Vectors) -> Any:
    return json.loads(b"[" + cast("bytes", result.rows) + b"]")


WRITTEN = json.dumps(DATA)
LONG = [[number + 0.123456789 for number in range(768)]] * 100


@pytest.mark.parametrize(
    "body",
    [
        f'{{"shape": [2, 3], "data": {WRITTEN}}}',
        f'{{"data": {WRITTEN}, "shape": [2, 3]}}',
        f'{{"usage": {{"prompt_tokens": 4}}, "shape": [2, 3], "data": {WRITTEN}, "pooling": "cls"}}',
        json.dumps({"pooling": "mean", "data": DATA, "shape": [2, 3]}, indent=4),
        json.dumps({"shape": [2, 3], "data": DATA}, separators=(",", ":")),
        '\r\n\t {"shape":[2,3],"data"\n:\t[ [0.25,-1E-05,3] , [1.5e+22,0.0,-7.125] ]\n,"pooling":"mean"} \n',
        f'{{"data": {WRITTEN}, "shape": [2, 3], "extra": [[1], [[2]]]}}',
        f'{{"note": "\\"data\\": [[9]]", "data": {WRITTEN}, "shape": [2, 3], "after": "]] [[9]]"}}',
    ],
)
def test_the_order_of_keys_and_spaces_do_not_matter(body: str) -> None:
    result = read(body)
    assert rows(result) == DATA
    assert (result.count, result.dimensions) == (2, 3)
    assert dict(result.extra) == {
        name: value for name, value in json.loads(body).items() if name not in ("shape", "data")
    }


@pytest.mark.parametrize("indent", [None, 2])
def test_many_vectors_are_found_by_the_answer_s_ends(indent: int | None) -> None:
    result = read(json.dumps({"shape": [100, 768], "data": LONG, "pooling": "mean"}, indent=indent))
    assert rows(result) == LONG
    assert result.extra == {"pooling": "mean"}
    assert rows(read(json.dumps({"data": LONG, "shape": [100, 768]}, indent=indent))) == LONG


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "{}",
        "[]",
        "Service unavailable",
        b"\xff\xfe\x00",
        '{"shape": [2, 3]}',
        '{"shape": [2, 3], "data": null}',
        '{"shape": [0, 3], "data": []}',
        '{"shape": [1, 3], "data": [0.1, 0.2, 0.3]}',
        '{"shape": [1, 2], "data": [["a", "b"]]}',
        '{"shape": "2,3", "data": [[1]]}',
        '{"shape": [1], "data": [[1]]}',
        '{"data": [[1]]}',
        f'{{"result": {{"shape": [2, 3], "data": {WRITTEN}}}}}',
        f'{{"inner": {{"data": [[1]]}}, "shape": [2, 3], "data": {WRITTEN}}}',
        f'{{"shape": [2, 3], "data": {WRITTEN}',
        f'{{"shape": [2, 3], "data": {WRITTEN}}} trailing',
        f'{{"shape": [2, 3], "data": {WRITTEN[:-1]}',
        f'{{"shape": [2, 3], "data": {WRITTEN}, "after": "{"x" * 9000}"}} ]]',
        json.dumps({"shape": [100, 768], "data": LONG})[:-100],
        json.dumps({"inner": {"data": LONG}, "shape": [100, 768], "data": LONG}),
        '{"shape": [1, 1], "data": [[[1]]]}',
        json.dumps({"shape": [100, 768], "data": LONG, "after": "x" * 9000}),
        json.dumps({"shape": [1, 100], "data": [LONG]}),
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_refused(body: str | bytes) -> None:
    with pytest.raises(ApiError) as raised:
        read(body)
    assert raised.value.type == "upstream_error"
    assert f"{MODEL.id} returned no vectors" in raised.value.message
