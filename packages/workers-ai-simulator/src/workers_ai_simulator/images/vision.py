"""Image classification and object detection without a model: the colours of an image, and their places.

The labels, such as `simulated: red`, are none of ImageNet's or COCO's. Answers have the shapes of
https://developers.cloudflare.com/workers-ai/models/ (the JSON schemas of resnet-50 and detr-resnet-50).
"""

from collections import Counter
from typing import Any

import numpy as np

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.images.painting import GRID, colour_names, input_image

MAX_LABELS = 5
MIN_SHARE = 0.02
"""Share of the image that a colour must cover to count as an object."""


def classify(model: Model, inputs: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG001 - there is only one
    """Answer image-classification: the commonest colours, `[{label, score}]`, at most five.

    The score is the colour's share of the image, 0 to 1.

    Raises UpstreamError 5006 for inputs that the model does not take, 5004 for bad base64, 3030 for an image that
    cannot be read.
    """
    shares = Counter(colour_names(input_image(inputs)).ravel().tolist()).most_common(MAX_LABELS)
    return [{"label": f"simulated: {name}", "score": count / GRID**2} for name, count in shares]


def detect(model: Model, inputs: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG001 - there is only one
    """Answer object-detection: a box around each colour but the commonest, in pixels.

    `[{label, score, box: {xmin, ymin, xmax, ymax}}]`, best first. The score is the share of the box that the colour
    fills, 0 to 1. An image of one colour has no objects.

    Raises UpstreamError as `classify` does.
    """
    image = input_image(inputs)
    names = colour_names(image)
    others = Counter(names.ravel().tolist()).most_common()[1:]
    objects = [_object(names == name, name, image.size) for name, count in others if count >= MIN_SHARE * GRID**2]
    return sorted(objects, key=lambda each: -each["score"])


def _object(mask: np.ndarray[Any, np.dtype[np.bool_]], name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Object of one colour. `mask`: a grid over the image, true where it has the colour. `size`: of the image."""
    rows, columns = np.nonzero(mask)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    across, down = size[0] / GRID, size[1] / GRID
    xmin, xmax = (round(float(at) * across) for at in (left, right))
    ymin, ymax = (round(float(at) * down) for at in (top, bottom))
    score = float(mask[top:bottom, left:right].mean())
    return {
        "label": f"simulated: {name}",
        "score": score,
        "box": {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax},
    }
