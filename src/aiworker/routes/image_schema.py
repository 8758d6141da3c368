"""The request and the response of `POST /image`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from aiworker.bindings import Binary, Inputs
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import Payload
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.image_parameters import FILES, IMAGE_MODELS, STABLE_DIFFUSION, TILE, ImageParameters

MAX_PROMPT = 2048
"""Characters. Source: the schema of flux-1-schnell; this Worker applies it to the others too."""


class ImageRequest(Schema):
    """Ranges are the widest of any model. A value outside of the chosen model's own range is refused."""

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
    """Description of what the image shows."""
    negative_prompt: Annotated[str | None, Field(min_length=1, max_length=MAX_PROMPT)] = None
    """Description of what the image must not show."""
    width: Annotated[int | None, Field(ge=256, le=2048)] = None
    """Pixels."""
    height: Annotated[int | None, Field(ge=256, le=2048)] = None
    """Pixels."""
    steps: Annotated[int | None, Field(ge=1, le=50)] = None
    """Diffusion steps: more take longer and cost more."""
    guidance: Annotated[float | None, Field(ge=0, le=100)] = None
    """How closely the image follows the prompt."""
    strength: Annotated[float | None, Field(ge=0, le=1)] = None
    """How much of `image` is replaced: 0 nothing, 1 everything."""
    seed: Annotated[int | None, Field(ge=0, le=9_999_999_999)] = None
    """The same seed and parameters give the same image."""
    image: str | None = None
    """The image to edit: base64 or a data URI; in a form, a file."""
    image_1: str | None = None
    image_2: str | None = None
    image_3: str | None = None
    """Further reference images, for models that take several."""
    mask: str | None = None
    """White where `image` is to be replaced, black where it is kept."""
    model: str | None = None
    """IMAGE_MODEL if left out; with an image EDIT_MODEL, with a mask too INPAINT_MODEL."""
    store: bool = False
    """Store the image and return its URL in place of its bytes."""
    gateway: GatewayOptions | None = None

    def numbers(self, supported: ImageParameters) -> dict[str, float]:
        """Return the numbers in the request, without those that the model always has."""
        numbers = self.model_dump(include={*STABLE_DIFFUSION.numbers}, exclude_none=True)
        return {name: value for name, value in numbers.items() if value != supported.fixed.get(name)}

    def optional_names(self, supported: ImageParameters) -> Iterator[str]:
        """Yield the names of the parameters in the request that not every model takes."""
        names = ("negative_prompt", *self.numbers(supported), *FILES)
        return (name for name in names if getattr(self, name) is not None)

    def with_files(self, files: Mapping[str, Payload]) -> "ImageRequest":
        """Return the request of a form, whose files arrive apart; each file's field holds its own name."""
        return self.model_copy(update={name: name for name in files})

    def check(self, model: Model) -> None:
        """Raises ApiError `invalid_request` for a parameter the model does not take, or a file it requires."""
        supported = IMAGE_MODELS[model.id]
        for name in self.optional_names(supported):
            if name not in supported.names:
                known = ", ".join(supported.names)
                raise ApiError("invalid_request", f"{model.id} does not take {name}: it takes {known}.", param=name)
        for name, value in self.numbers(supported).items():
            low, high = supported.numbers[name]
            if not low <= value <= high:
                text = f"{name} must be between {low} and {high} for {model.id}."
                raise ApiError("invalid_request", text, param=name)
        if supported.is_form and self.gateway:
            raise ApiError(
                "invalid_request", f"AI Gateway cannot be used with {model.id}: leave gateway out.", param="gateway"
            )
        self._check_files(model, supported)

    def _check_files(self, model: Model, supported: ImageParameters) -> None:
        for name in supported.required:
            if getattr(self, name) is None:
                raise ApiError("invalid_request", f"{name} is required by {model.id}.", param=name)
        if self.mask is not None and self.image is None:
            raise ApiError("invalid_request", "mask requires image.", param="image")

    def inputs(self, model: Model, files: Mapping[str, Payload]) -> Inputs:
        """Return the model's inputs: the request's parameters under the model's names."""
        supported = IMAGE_MODELS[model.id]
        fields: dict[str, Any] = {
            {"steps": supported.steps}.get(name, name): value for name, value in self.numbers(supported).items()
        }
        fields["prompt"] = self.prompt
        if self.negative_prompt is not None:
            fields["negative_prompt"] = self.negative_prompt
        if supported.is_form:
            images = {supported.files[name][0]: payload for name, payload in files.items()}
            return Inputs({}, form={**{name: str(value) for name, value in fields.items()}, **images})
        binary: dict[str, Binary] = {}
        for name, payload in files.items():
            own, encoding = supported.files[name]
            assert encoding != "form"
            binary[own] = Binary(payload, encoding)
        return Inputs(fields, binary)

    def neurons(self, model: Model) -> float | None:
        """Return the image's cost; None if the price, the steps or the number of tiles is unknown.

        Cloudflare does not document how it counts a partial tile.
        """
        defaults = IMAGE_MODELS[model.id].defaults
        if defaults is None or "tile" not in model.neurons or "step" not in model.neurons:
            return None
        width, height, steps = (self.width or defaults[0], self.height or defaults[1], self.steps or defaults[2])
        if steps is None or width % TILE or height % TILE:
            return None
        return width // TILE * (height // TILE) * model.neurons["tile"] + steps * model.neurons["step"]


class StoredImage(Reply):
    key: str
    url: str
    content_type: str
    size: int
    """Bytes."""
    model: str
