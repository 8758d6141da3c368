"""Image classification and object detection: the colours of an image, their shares and their places."""

import io
from typing import Any

import pytest
from PIL import Image

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.images.vision import classify, detect

RESNET = MODELS["@cf/microsoft/resnet-50"]
DETR = MODELS["@cf/facebook/detr-resnet-50"]


def png(image: Image.Image) -> list[int]:
    content = io.BytesIO()
    image.save(content, "PNG")
    return list(content.getvalue())


def flag(width: int = 640, height: int = 320) -> Image.Image:
    """A red image whose upper left quarter is blue."""
    image = Image.new("RGB", (width, height), "#e02020")
    image.paste("#2060d0", (0, 0, width // 2, height // 2))
    return image


def test_the_labels_are_the_colours_with_their_shares() -> None:
    labels = classify(RESNET, {"image": png(flag())})
    assert labels == [{"label": "simulated: red", "score": 0.75}, {"label": "simulated: blue", "score": 0.25}]


def test_there_are_five_labels_at_most_the_best_first() -> None:
    colours = ("#000000", "#ffffff", "#e02020", "#28a745", "#2060d0", "#f5e050", "#7030a0")
    stripes = Image.new("RGB", (640, 64))
    for number, colour in enumerate(colours):
        stripes.paste(colour, (number * (number + 1) * 10, 0, 640, 64))
    scores = [each["score"] for each in classify(RESNET, {"image": png(stripes)})]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) < 1


@pytest.mark.parametrize("size", [(640, 320), (64, 64), (100, 900)])
def test_an_object_is_where_its_colour_is(size: tuple[int, int]) -> None:
    [detected] = detect(DETR, {"image": png(flag(*size))})
    assert (detected["label"], detected["score"]) == ("simulated: blue", 1.0)
    assert detected["box"] == {"xmin": 0, "ymin": 0, "xmax": size[0] // 2, "ymax": size[1] // 2}


def test_an_image_of_one_colour_has_no_objects() -> None:
    assert detect(DETR, {"image": png(Image.new("RGB", (64, 64), "white"))}) == []


@pytest.mark.parametrize("answer", [classify, detect])
@pytest.mark.parametrize(
    ("inputs", "code"),
    [({}, 5006), ({"image": 5}, 5006), ({"image": [256]}, 5006), ({"image": [1, 2]}, 3030), ({"image": "%"}, 5004)],
)
def test_bytes_that_are_no_image_are_refused(answer: Any, inputs: dict[str, Any], code: int) -> None:
    with pytest.raises(UpstreamError) as caught:
        answer(RESNET, inputs)
    assert caught.value.code == code
