"""What can be said about an image without a model: which colours it has, and where.

The labels say so: `simulated: red` is none of ImageNet's or COCO's. Shapes after
https://developers.cloudflare.com/workers-ai/models/ (the JSON schemas of resnet-50 and detr-resnet-50).
"""

from collections import Counter
from typing import Any

import numpy as np

from workers_ai_simulator.images.painting import GRID, colour_names, given_image
from workers_ai_simulator.models import Model

MOST_LABELS = 5
LEAST_SHARE = 0.02
"""Of the image: what covers less is no object."""


def classify(model: Model, inputs: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG001 - there is but one
    """The commonest colours, `[{label, score}]`, at most five; the score is the share of the image, 0 to 1.

    Raises UpstreamError 5006 for inputs that the model does not take, 5004 for bad base64, 3030 for an image that
    cannot be read.
    """
    shares = Counter(colour_names(given_image(inputs)).ravel().tolist()).most_common(MOST_LABELS)
    return [{"label": f"simulated: {name}", "score": count / GRID**2} for name, count in shares]


def detect(model: Model, inputs: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG001 - there is but one
    """The boxes around each colour but the commonest, `[{label, score, box: {xmin, ymin, xmax, ymax}}]`, in pixels.

    The score is how much of its box a colour fills, 0 to 1; the best is first. An image of one colour has no objects.

    Raises UpstreamError as `classify` does.
    """
    image = given_image(inputs)
    names = colour_names(image)
    others = Counter(names.ravel().tolist()).most_common()[1:]
    found = [_object(names == name, name, image.size) for name, count in others if count >= LEAST_SHARE * GRID**2]
    return sorted(found, key=lambda each: -each["score"])


def _object(places: np.ndarray[Any, np.dtype[np.bool_]], name: str, size: tuple[int, int]) -> dict[str, Any]:
    """`places`: a grid laid over the image, true where it has the colour."""
    rows, columns = np.nonzero(places)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    across, down = size[0] / GRID, size[1] / GRID
    xmin, xmax = (round(float(at) * across) for at in (left, right))
    ymin, ymax = (round(float(at) * down) for at in (top, bottom))
    score = float(places[top:bottom, left:right].mean())
    return {
        "label": f"simulated: {name}",
        "score": score,
        "box": {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax},
    }
