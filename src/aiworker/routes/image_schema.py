"""The body of `POST /image`, and what each model takes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.bindings import Binary, Inputs
from aiworker.errors import ApiError
from aiworker.http.body import Schema
from aiworker.http.messages import Payload
from aiworker.models.catalogue import Model, Range
from aiworker.routes.gateway_schema import GatewayOptions

LONGEST_PROMPT = 2048
"""Characters; of flux-1-schnell by its schema, of the others by ours."""

REFERENCES = ("image", "image_1", "image_2", "image_3")
FILES = (*REFERENCES, "mask")
"""Fields that are images: base64 in JSON, files in a form."""

SIDE: Range = (256, 2048)
SEED: Range = (0, 9_999_999_999)
GUIDANCE: Range = (0, 100)
"""The upper end is ours, against slips; upstream has none for these models."""

Written = Literal["base64", "numbers", "form"]
"""How an image is sent: a string, an array of numbers, or as a file in a form."""


@dataclass(frozen=True)
class Takes:
    """What one model takes beside the prompt, and how it wants it."""

    numbers: Mapping[str, Range]
    steps: str
    """Its own name of `steps`."""
    negative_prompt: bool = False
    files: Mapping[str, tuple[str, Written]] = field(default_factory=dict[str, tuple[str, Written]])
    """Field here → its own name, and how it is written there."""
    needs: tuple[str, ...] = ()
    """The files that it cannot do without."""
    is_form: bool = False
    """It takes one form in place of JSON."""
    makes: tuple[int, int, int | None] | None = None
    """Width, height and steps where the request does not say; None where Cloudflare does not say."""

    @property
    def names(self) -> list[str]:
        negative = ["negative_prompt"] if self.negative_prompt else []
        return ["prompt", *negative, *self.numbers, *self.files]


SIDES = {"width": SIDE, "height": SIDE}

STABLE_DIFFUSION = Takes(
    {**SIDES, "steps": (1, 20), "guidance": GUIDANCE, "strength": (0, 1), "seed": SEED},
    steps="num_steps",
    negative_prompt=True,
    files={"image": ("image_b64", "base64"), "mask": ("mask", "numbers")},
)
FLUX_2 = Takes(
    {"width": (256, 1920), "height": (256, 1920), "steps": (1, 50), "guidance": GUIDANCE, "seed": SEED},
    steps="steps",
    files={name: (f"input_image_{number}", "form") for number, name in enumerate(REFERENCES)},
    is_form=True,
)
KLEIN = replace(FLUX_2, numbers={name: bounds for name, bounds in FLUX_2.numbers.items() if name != "steps"})
"""Its steps are always 4."""

TAKES: Mapping[str, Takes] = {
    "@cf/black-forest-labs/flux-1-schnell": Takes(
        {"steps": (1, 8), "seed": SEED}, steps="steps", makes=(1024, 1024, 4)
    ),
    "@cf/black-forest-labs/flux-2-dev": FLUX_2,
    "@cf/black-forest-labs/flux-2-klein-4b": KLEIN,
    "@cf/black-forest-labs/flux-2-klein-9b": KLEIN,
    "@cf/leonardo/lucid-origin": Takes(
        {**SIDES, "steps": (1, 40), "guidance": (0, 10), "seed": SEED}, steps="num_steps", makes=(1120, 1120, None)
    ),
    "@cf/leonardo/phoenix-1.0": Takes(
        {**SIDES, "steps": (1, 50), "guidance": (2, 10), "seed": SEED},
        steps="num_steps",
        negative_prompt=True,
        makes=(1024, 1024, 25),
    ),
    "@cf/stabilityai/stable-diffusion-xl-base-1.0": STABLE_DIFFUSION,
    "@cf/bytedance/stable-diffusion-xl-lightning": STABLE_DIFFUSION,
    "@cf/lykon/dreamshaper-8-lcm": STABLE_DIFFUSION,
    "@cf/runwayml/stable-diffusion-v1-5-img2img": replace(
        STABLE_DIFFUSION, files={"image": ("image_b64", "base64")}, needs=("image",)
    ),
    "@cf/runwayml/stable-diffusion-v1-5-inpainting": replace(
        STABLE_DIFFUSION,
        files={"image": ("image", "numbers"), "mask": ("mask", "numbers")},  # as its page shows them
        needs=("image", "mask"),
    ),
}
"""Every model of the catalogue that makes images.

Source: the schemas of developers.cloudflare.com/workers-ai/models, for flux-2 the changelogs of 2025-11-25 and
2026-01-28; sides below 256 and above 2048 are refused for all, as most models do.
"""

TILE = 512
"""Pixels of the side of the square by which images are priced."""


class ImageRequest(Schema):
    """The widest ranges that any model takes; TAKES knows each model's own."""

    prompt: Annotated[str, Field(min_length=1, max_length=LONGEST_PROMPT)]
    negative_prompt: Annotated[str | None, Field(min_length=1, max_length=LONGEST_PROMPT)] = None
    """What shall not be on the image."""
    width: Annotated[int | None, Field(ge=256, le=2048)] = None
    height: Annotated[int | None, Field(ge=256, le=2048)] = None
    """Pixels."""
    steps: Annotated[int | None, Field(ge=1, le=50)] = None
    guidance: Annotated[float | None, Field(ge=0, le=100)] = None
    """How closely the image follows the prompt."""
    strength: Annotated[float | None, Field(ge=0, le=1)] = None
    """How much of `image` is painted over: 0 nothing, 1 all."""
    seed: Annotated[int | None, Field(ge=0, le=9_999_999_999)] = None
    image: str | None = None
    """The image to start from: base64 or a data URI; in a form, a file."""
    image_1: str | None = None
    image_2: str | None = None
    image_3: str | None = None
    """Further references, for models that take several."""
    mask: str | None = None
    """White where `image` is to be painted over, black where it is to stay."""
    model: str | None = None
    """IMAGE_MODEL if left out; with an image EDIT_MODEL, with a mask too INPAINT_MODEL."""
    store: bool = False
    """Keep the image, and answer with its address in its place."""
    gateway: GatewayOptions | None = None

    def numbers(self) -> dict[str, float]:
        return self.model_dump(include={*STABLE_DIFFUSION.numbers}, exclude_none=True)

    def given(self) -> Iterator[str]:
        """Names of the parameters that were given and that not every model takes."""
        return (name for name in ("negative_prompt", *self.numbers(), *FILES) if getattr(self, name) is not None)

    def with_files(self, files: Mapping[str, Payload]) -> "ImageRequest":
        """The request of a form, in which files and texts come apart; each name stands for its file."""
        return self.model_copy(update={name: name for name in files})

    def check(self, model: Model) -> None:
        """Raises ApiError `invalid_request` for what the model does not take, or what it needs and lacks."""
        takes = TAKES[model.id]
        for name in self.given():
            if name not in takes.names:
                known = ", ".join(takes.names)
                raise ApiError("invalid_request", f"{model.id} does not take {name}: it takes {known}.", param=name)
        for name, value in self.numbers().items():
            least, most = takes.numbers[name]
            if not least <= value <= most:
                text = f"{name} must be between {least} and {most} for {model.id}."
                raise ApiError("invalid_request", text, param=name)
        if takes.is_form and self.gateway:
            raise ApiError("invalid_request", f"{model.id} takes a form, and AI Gateway takes none.", param="gateway")
        self._check_files(model, takes)

    def _check_files(self, model: Model, takes: Takes) -> None:
        for name in takes.needs:
            if getattr(self, name) is None:
                raise ApiError("invalid_request", f"{name} is required by {model.id}.", param=name)
        if self.mask is not None and self.image is None:
            raise ApiError("invalid_request", "mask needs the image that it is for.", param="image")

    def inputs(self, model: Model, files: Mapping[str, Payload]) -> Inputs:
        """What that model is sent: only what was given, under its own names."""
        takes = TAKES[model.id]
        fields: dict[str, Any] = {
            {"steps": takes.steps}.get(name, name): value for name, value in self.numbers().items()
        }
        fields["prompt"] = self.prompt
        if self.negative_prompt is not None:
            fields["negative_prompt"] = self.negative_prompt
        if takes.is_form:
            images = {takes.files[name][0]: payload for name, payload in files.items()}
            return Inputs({}, form={**{name: str(value) for name, value in fields.items()}, **images})
        binary: dict[str, Binary] = {}
        for name, payload in files.items():
            own, written_as = takes.files[name]
            assert written_as != "form"
            binary[own] = Binary(payload, written_as)
        return Inputs(fields, binary)

    def neurons(self, model: Model) -> float | None:
        """What the image has cost; None where the price, the steps or the number of tiles is not known.

        (How Cloudflare counts a tile that is not whole is not documented.)
        """
        makes = TAKES[model.id].makes
        if makes is None or "tile" not in model.neurons or "step" not in model.neurons:
            return None
        width, height, steps = (self.width or makes[0], self.height or makes[1], self.steps or makes[2])
        if steps is None or width % TILE or height % TILE:
            return None
        return width // TILE * (height // TILE) * model.neurons["tile"] + steps * model.neurons["step"]
