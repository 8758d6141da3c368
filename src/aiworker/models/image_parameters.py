"""The parameters of each image model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from aiworker.models.catalogue import Range

REFERENCES = ("image", "image_1", "image_2", "image_3")
FILES = (*REFERENCES, "mask")
"""Fields that hold images: base64 in JSON, files in a form."""

SIDE: Range = (256, 2048)
SEED: Range = (0, 9_999_999_999)
GUIDANCE: Range = (0, 100)
"""The upper bound is this Worker's own; Workers AI has none for these models."""

Encoding = Literal["base64", "numbers", "form"]
"""Encoding in which a model receives an image: a base64 string, an array of numbers, or a file in a form."""


@dataclass(frozen=True)
class ImageParameters:
    """The parameters that one model takes beside the prompt, and their names there."""

    numbers: Mapping[str, Range]
    steps: str
    """The model's name for `steps`."""
    negative_prompt: bool = False
    files: Mapping[str, tuple[str, Encoding]] = field(default_factory=dict[str, tuple[str, Encoding]])
    """Field of the request → the model's name for it, and its encoding."""
    required: tuple[str, ...] = ()
    """Files that the model requires."""
    is_form: bool = False
    """The model takes a form in place of JSON."""
    fixed: Mapping[str, float] = field(default_factory=dict[str, float])
    """Numbers that the model does not take, with the value that they always have."""
    defaults: tuple[int, int, int | None] | None = None
    """Default width, height and steps; None where Cloudflare documents none."""

    @property
    def names(self) -> list[str]:
        """Fields of a request that the model takes."""
        negative = ["negative_prompt"] if self.negative_prompt else []
        return ["prompt", *negative, *self.numbers, *self.files]


SIDES = {"width": SIDE, "height": SIDE}

STABLE_DIFFUSION = ImageParameters(
    {**SIDES, "steps": (1, 20), "guidance": GUIDANCE, "strength": (0, 1), "seed": SEED},
    steps="num_steps",
    negative_prompt=True,
    files={"image": ("image_b64", "base64"), "mask": ("mask", "numbers")},
)
FLUX_2 = ImageParameters(
    {"width": (256, 1920), "height": (256, 1920), "steps": (1, 50), "guidance": GUIDANCE, "seed": SEED},
    steps="steps",
    files={name: (f"input_image_{number}", "form") for number, name in enumerate(REFERENCES)},
    is_form=True,
)
KLEIN = replace(
    FLUX_2, numbers={name: bounds for name, bounds in FLUX_2.numbers.items() if name != "steps"}, fixed={"steps": 4}
)

IMAGE_MODELS: Mapping[str, ImageParameters] = {
    "@cf/black-forest-labs/flux-1-schnell": ImageParameters(
        {"steps": (1, 8), "seed": SEED}, steps="steps", fixed={"width": 1024, "height": 1024}, defaults=(1024, 1024, 4)
    ),
    "@cf/black-forest-labs/flux-2-dev": FLUX_2,
    "@cf/black-forest-labs/flux-2-klein-4b": KLEIN,
    "@cf/black-forest-labs/flux-2-klein-9b": KLEIN,
    "@cf/leonardo/lucid-origin": ImageParameters(
        {**SIDES, "steps": (1, 40), "guidance": (0, 10), "seed": SEED}, steps="num_steps", defaults=(1120, 1120, None)
    ),
    "@cf/leonardo/phoenix-1.0": ImageParameters(
        {**SIDES, "steps": (1, 50), "guidance": (2, 10), "seed": SEED},
        steps="num_steps",
        negative_prompt=True,
        defaults=(1024, 1024, 25),
    ),
    "@cf/stabilityai/stable-diffusion-xl-base-1.0": STABLE_DIFFUSION,
    "@cf/bytedance/stable-diffusion-xl-lightning": STABLE_DIFFUSION,
    "@cf/lykon/dreamshaper-8-lcm": STABLE_DIFFUSION,
    "@cf/runwayml/stable-diffusion-v1-5-img2img": replace(
        STABLE_DIFFUSION, files={"image": ("image_b64", "base64")}, required=("image",)
    ),
    "@cf/runwayml/stable-diffusion-v1-5-inpainting": replace(
        STABLE_DIFFUSION,
        files={"image": ("image", "numbers"), "mask": ("mask", "numbers")},  # as its page shows them
        required=("image", "mask"),
    ),
}
"""Every image model of the catalogue.

Source: the schemas of developers.cloudflare.com/workers-ai/models, for flux-2 the changelogs of 2025-11-25 and
2026-01-28; sides below 256 and above 2048 are refused for all, as most models do.
"""

TILE = 512
"""Side of the squares by which images are priced, in pixels."""
