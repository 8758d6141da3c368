"""Images: painted for a prompt or over an input image, and described.

The inputs of each model are documented in https://developers.cloudflare.com/workers-ai/models/ (the JSON schema of its
page) and in `AiModels` of `@cloudflare/workers-types`.
"""

import base64
import hashlib
import io
import math
import unicodedata
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.media import Media
from workers_ai_simulator.text import tokens
from workers_ai_simulator.validation import (
    base64_input,
    byte_input,
    choice_input,
    invalid,
    mismatch,
    number_input,
    required,
    text_input,
)

Pixels = NDArray[np.floating]
Size = tuple[int, int]

MAX_INPUT_PIXELS = 4096 * 4096
"""Pixels of an input image; a larger one is refused before it is decoded."""

GENERATOR = "workers-ai-simulator"


@dataclass(frozen=True)
class Painter:
    """Inputs and output of a model that makes images. Ranges are `(minimum, maximum)`, None for no bound."""

    output: Literal["png", "jpeg", "json"]
    """Bytes of a PNG or a JPEG, or `{image: base64 JPEG}`."""
    size: Size
    """Default width and height."""
    side: tuple[int, int] = (256, 2048)
    steps: tuple[int | None, int | None] = (None, 20)
    guidance: tuple[float | None, float | None] = (None, None)
    min_seed: int | None = None
    max_prompt_length: int | None = None
    takes_image: bool = True
    required: tuple[str, ...] = ()
    """The required inputs among `image` and `mask`."""
    only: tuple[str, ...] = ()
    """The only inputs that it takes; empty if it ignores unknown ones."""
    takes_form: bool = False
    """Whether its inputs are fields of a form: numbers as text, images as `input_image_0` to `input_image_3`."""


FLUX_2 = Painter("json", (1024, 768), side=(256, 1920), steps=(1, 50), takes_image=False, takes_form=True)

PAINTERS = {
    "@cf/black-forest-labs/flux-1-schnell": Painter(
        "json",
        (1024, 1024),
        steps=(None, 8),
        max_prompt_length=2048,
        takes_image=False,
        only=("prompt", "steps", "seed"),
    ),
    "@cf/black-forest-labs/flux-2-dev": FLUX_2,
    "@cf/black-forest-labs/flux-2-klein-4b": FLUX_2,
    "@cf/black-forest-labs/flux-2-klein-9b": FLUX_2,
    "@cf/leonardo/lucid-origin": Painter(
        "json", (1120, 1120), side=(0, 2500), steps=(1, 40), guidance=(0, 10), min_seed=0, takes_image=False
    ),
    "@cf/leonardo/phoenix-1.0": Painter(
        "jpeg", (1024, 1024), side=(0, 2048), steps=(1, 50), guidance=(2, 10), min_seed=0, takes_image=False
    ),
    "@cf/stabilityai/stable-diffusion-xl-base-1.0": Painter("png", (1024, 1024)),
    "@cf/bytedance/stable-diffusion-xl-lightning": Painter("png", (1024, 1024)),
    "@cf/lykon/dreamshaper-8-lcm": Painter("png", (512, 512)),
    "@cf/runwayml/stable-diffusion-v1-5-img2img": Painter("png", (512, 512), required=("image",)),
    "@cf/runwayml/stable-diffusion-v1-5-inpainting": Painter("png", (512, 512), required=("image", "mask")),
}

FORM_NUMBERS = ("width", "height", "steps", "num_steps", "guidance", "seed", "strength")
FORM_IMAGES = tuple(f"input_image_{number}" for number in range(4))
FORM_IMAGE_SIDE = 512
"""https://developers.cloudflare.com/changelog/post/2025-11-25-flux-2-dev-workers-ai/: up to 4 images of 512x512."""
FORM_STRENGTH = 0.5
"""Share of the input images that flux-2's picture covers; the model has no such parameter."""


def paint(model: Model, inputs: dict[str, Any]) -> dict[str, Any] | Media:
    """Answer text-to-image, image-to-image and inpainting.

    `image` ([bytes]) or `image_b64` is the image to paint over, `strength` (0 to 1, default 1) the opacity of the
    paint, `mask` ([bytes]) white where to paint. The size is `width` by `height`, else the input image's, else the
    model's. Answers `{image: base64 JPEG}` or the bytes of a PNG or JPEG.

    Raises UpstreamError 5006 for inputs that the model does not take, 5004 for bad base64, 3030 for an image that
    cannot be read.
    """
    painter = PAINTERS[model.id]
    if painter.takes_form:
        inputs = _form_inputs(inputs)
    prompt, strength = _check(painter, inputs)
    original, mask = _original_and_mask(painter, inputs)
    size = _size(painter, inputs, original)
    seed = (model.id, prompt, inputs.get("negative_prompt"), inputs.get("seed"))
    picture = _captioned(_landscape(size, _random(*seed)), prompt, model.id)
    if original:
        resized = original.resize(size, Image.Resampling.LANCZOS) if original.size != size else original
        picture = Image.blend(resized, picture, strength)
        if mask:
            picture = Image.composite(picture, resized, mask.resize(size, Image.Resampling.NEAREST))
    return _answer(painter, picture, prompt)


def describe(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Answer image-to-text with the facts that need no model: size, format and colours of the image.

    llava, uform: `image` ([bytes] or base64), `prompt`, `max_tokens` → `{description}`. moondream: `image` (data URI,
    base64 or [bytes]), `task` (query, caption, point, detect), `question` → `{answer | caption | points | objects,
    reasoning, metrics, finish_reason}`, never a stream.

    Raises UpstreamError 5006 for inputs that the model does not take, 5004 for bad base64, 3030 for an image that
    cannot be read.
    """
    if model.id.startswith("@cf/moondream/"):
        return _moondream(inputs)
    image = input_image(inputs)
    _integer(inputs, "max_tokens", None, 1)
    question = text_input(inputs, "prompt", "")
    return {"description": _cut(_description(image, question), inputs.get("max_tokens"))}


# ---- inputs ------------------------------------------------------------------------------------------------------


def _check(painter: Painter, inputs: dict[str, Any]) -> tuple[str, float]:
    """Check all parameters. Returns the prompt and the strength. Raises UpstreamError 5006."""
    prompt = text_input(inputs, "prompt", max_length=painter.max_prompt_length)
    unknown = [f"/{name}" for name in inputs if painter.only and name not in painter.only]
    if unknown:
        raise invalid(f"Additional or unevaluated properties '{', '.join(unknown)}' not allowed")
    negative: Any = inputs.get("negative_prompt")
    if negative is not None and not isinstance(negative, str):
        raise mismatch("/negative_prompt", negative, "string")
    for name in ("steps", "num_steps"):
        _integer(inputs, name, None, *painter.steps)
    number_input(inputs, "guidance", None, *painter.guidance)
    _integer(inputs, "seed", None, painter.min_seed)
    strength = FORM_STRENGTH if painter.takes_form else number_input(inputs, "strength", 1, 0, 1)
    return prompt, strength or 0


def _size(painter: Painter, inputs: dict[str, Any], original: Image.Image | None) -> Size:
    default = painter.size
    if original and not painter.takes_form:
        # as in the pipelines of Stable Diffusion, the picture is as large as the input image
        default = (min(original.width, painter.side[1]), min(original.height, painter.side[1]))
    sides = [_integer(inputs, name, default[i], *painter.side) for i, name in enumerate(("width", "height"))]
    return sides[0] or default[0], sides[1] or default[1]


def _original_and_mask(painter: Painter, inputs: dict[str, Any]) -> tuple[Image.Image | None, Image.Image | None]:
    """The image to paint over and the mask, None for each that the inputs do not have."""
    if painter.takes_form:
        images = [_open(byte_input(inputs[name], f"/{name}")) for name in FORM_IMAGES if name in inputs]
        if any(max(image.size) > FORM_IMAGE_SIDE for image in images):
            raise _unreadable(f"an input image must not be larger than {FORM_IMAGE_SIDE}x{FORM_IMAGE_SIDE}")
        return (_side_by_side(images) if images else None), None
    if not painter.takes_image:
        return None, None
    encoded = inputs.get("image_b64")
    required(inputs, *[name for name in painter.required if name != "image" or encoded is None])
    image = inputs.get("image")
    mask = inputs.get("mask")
    original = None
    if image is not None:
        original = _open(byte_input(image, "/image")).convert("RGB")
    elif encoded is not None:
        original = _open(base64_input(encoded, "/image_b64")).convert("RGB")
    return original, None if mask is None else _open(byte_input(mask, "/mask")).convert("L")


def _form_inputs(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a form, with numbers for those that the model takes as numbers."""
    inputs = dict(fields)
    for name in FORM_NUMBERS:
        value: Any = fields.get(name)
        if isinstance(value, str):
            try:
                inputs[name] = float(value) if name in ("guidance", "strength") else int(value)
            except ValueError:
                raise mismatch(f"/{name}", value, "number") from None
    return inputs


def _integer(
    inputs: dict[str, Any], name: str, default: int | None, minimum: float | None = None, maximum: float | None = None
) -> int | None:
    value = number_input(inputs, name, default, minimum, maximum)
    if isinstance(value, float) and not value.is_integer():
        raise mismatch(f"/{name}", value, "integer")
    return None if value is None else int(value)


def _open(content: bytes) -> Image.Image:
    """Decode an image. Raises UpstreamError 3030 if the bytes are no image, or one that is broken or too large."""
    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MAX_INPUT_PIXELS:
            raise _unreadable(f"{image.width}x{image.height} pixels are too many")
        image.load()
    except UpstreamError:
        raise
    except Exception as error:  # each format raises its own kinds of exceptions
        raise _unreadable("the data is not an image that can be decoded") from error
    return image


def _unreadable(reason: str) -> UpstreamError:
    return UpstreamError(400, 3030, f"Invalid image: {reason}")


def _side_by_side(images: list[Image.Image]) -> Image.Image:
    height = max(image.height for image in images)
    joined = Image.new("RGB", (sum(image.width for image in images), height))
    left = 0
    for image in images:
        joined.paste(image.convert("RGB").resize((image.width, height)), (left, 0))
        left += image.width
    return joined


# ---- painting ----------------------------------------------------------------------------------------------------

PALETTES = (
    # sky at the top, sky at the horizon, sun, farthest hills, nearest hills
    ("#355c7d", "#f8b195", "#fff1d6", "#c06c84", "#2f2a4a"),
    ("#89c2d9", "#fdf0d5", "#fffdf4", "#90be6d", "#1b4332"),
    ("#0b132b", "#5bc0be", "#f4f1de", "#3a506b", "#0b132b"),
    ("#ff9a76", "#ffeadb", "#fffaf3", "#e0876a", "#4a2c3a"),
    ("#a9def9", "#ede7f6", "#ffffff", "#b39ddb", "#4527a0"),
    ("#264653", "#e9c46a", "#fff3d0", "#2a9d8f", "#16302f"),
    ("#cddafd", "#fff1e6", "#fff8ef", "#99c1b9", "#3d5a6c"),
    ("#3d0066", "#ff7b9c", "#ffe3c8", "#8e3b8a", "#240046"),
)

RIDGES = 5


def _random(*seed: object) -> np.random.Generator:
    digest = hashlib.sha256(repr(seed).encode("utf-8", "replace")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))


def _landscape(size: Size, random: np.random.Generator) -> Image.Image:
    """Hills before a sky with a sun, in random colours and shapes."""
    width, height = size
    top, horizon, sun, far, near = (_colour(each) for each in PALETTES[random.integers(len(PALETTES))])
    across = np.linspace(0, 1, width, dtype=np.float32)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    pixels = _mix(top, horizon, np.broadcast_to(np.clip(down / 0.75, 0, 1), (height, width)))
    _add_sun(pixels, sun, random)
    for ridge in range(RIDGES):
        nearness = ridge / (RIDGES - 1)
        crest = 0.42 + 0.45 * nearness + _waves(across, 1.5 + 2 * nearness, random) * (0.11 - 0.06 * nearness)
        covered = np.clip((down - crest) * height + 0.5, 0, 1)  # a soft edge of one pixel
        haze = np.clip((down - crest) * 2.2, 0, 0.45) * (1 - nearness)
        hill = _mix(_mix(far, near, nearness), horizon, haze)
        pixels += (hill - pixels) * covered[..., None]
    pixels += random.normal(0, 1.2, (height, width, 1)).astype(np.float32)  # grain against bands of colour
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _add_sun(pixels: Pixels, colour: Pixels, random: np.random.Generator) -> None:
    """Paint a sun and its glow into the sky."""
    height, width = pixels.shape[:2]
    unit = min(width, height)
    left, top = random.uniform(0.15, 0.85) * width, random.uniform(0.12, 0.36) * height
    radius = random.uniform(0.06, 0.12) * unit
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot(columns - left, rows - top).astype(np.float32)
    disc = np.clip(radius - distance + 0.5, 0, 1)
    glow = 0.55 * np.exp(-np.maximum(distance - radius, 0) / (0.16 * unit + 1))
    pixels += (colour - pixels) * np.maximum(disc, glow)[..., None]


def _waves(across: Pixels, pace: float, random: np.random.Generator) -> Pixels:
    """Heights of a line of hills, from about -1 to 1: a sum of waves of four lengths."""
    heights = np.zeros_like(across)
    for octave in range(4):
        turns = pace * 1.9**octave * random.uniform(0.8, 1.2)
        heights += np.sin(math.tau * (across * turns + random.uniform())).astype(np.float32) / 2.1**octave
    return heights / 1.7


def _mix(start: Pixels, end: Pixels, share: Pixels | float) -> Pixels:
    """Colours between two, at each share of the end colour (0 to 1)."""
    return start + (end - start) * np.asarray(share, np.float32)[..., None]


def _colour(code: str) -> Pixels:
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32)


def _captioned(picture: Image.Image, prompt: str, model_id: str) -> Image.Image:
    """The picture with a panel that shows the prompt and a note that it is simulated."""
    width, height = picture.size
    unit = min(width, height)
    if unit < 64:  # too small for text
        return picture
    margin = unit // 20
    font, lines = _fitting(_drawable(prompt), unit // 18, width - 4 * margin, height // 3)
    small = ImageFont.load_default(max(9, unit // 40))
    leading = _leading(font)
    note_height = _leading(small)
    panel = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(panel)
    top = height - 3 * margin - leading * len(lines) - note_height
    draw.rounded_rectangle((margin, top, width - margin, height - margin), margin // 2, fill=(16, 18, 32, 150))
    for number, line in enumerate(lines):
        draw.text((2 * margin, top + margin * 0.7 + number * leading), line, (255, 255, 255, 245), font)
    note = _shortened(f"simulated · {model_id}", small, width - 4 * margin)
    draw.text((2 * margin, height - margin * 1.6 - note_height), note, (255, 255, 255, 170), small)
    return Image.alpha_composite(picture.convert("RGBA"), panel).convert("RGB")


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WIDER_FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "DejaVuSans.ttf")
"""Fonts of Linux, macOS and Windows for text beyond ASCII, which Pillow's own font cannot draw."""

MAX_CAPTION_LENGTH = 4000
"""Characters of a prompt that are drawn and stored in the file; no picture has room for more."""


def _drawable(prompt: str) -> str:
    """The prompt on one line; without accents if it is ASCII then, so that Pillow's own font can draw it."""
    line = "".join(letter for letter in " ".join(prompt[:MAX_CAPTION_LENGTH].split()) if letter.isprintable())
    plain = "".join(part for part in unicodedata.normalize("NFKD", line) if not unicodedata.combining(part))
    return plain if plain.isascii() else line


def _font(text: str, size: int) -> Font:
    if not text.isascii():
        for name in WIDER_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)


def _fitting(text: str, font_size: int, width: int, height: int) -> tuple[Font, list[str]]:
    """Font and lines of the text, in the largest size that fits; the text is cut if no size fits."""
    min_size = max(9, font_size // 3)
    while True:
        font = _font(text, max(font_size, min_size))
        room = max(1, int(height / _leading(font)))
        lines = _wrapped(text, font, width, room + 1)
        if len(lines) <= room:
            return font, lines
        if font_size <= min_size:
            return font, [*lines[: room - 1], _shortened(lines[room - 1] + "…", font, width)]
        font_size -= max(1, font_size // 8)


def _wrapped(text: str, font: Font, width: int, max_lines: int) -> list[str]:
    """The text in lines of that width, at most `max_lines`."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        while font.getlength(word) > width and len(lines) < max_lines:  # break a word wider than the line
            fitting = bisect_right(range(1, len(word) + 1), width, key=lambda n: font.getlength(word[:n])) or 1
            lines[-1:] = [word[:fitting], ""]
            word = word[fitting:]
        lines[-1] = word
        if len(lines) >= max_lines:
            break
    return lines


def _shortened(line: str, font: Font, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"


def _leading(font: Font) -> int:
    return int(font.getbbox("Ég")[3] * 1.25)


def _answer(painter: Painter, picture: Image.Image, prompt: str) -> dict[str, Any] | Media:
    """The picture in the model's output format, whose metadata say that it is simulated, and the prompt."""
    content = io.BytesIO()
    prompt = prompt[:MAX_CAPTION_LENGTH].encode("utf-8", "replace").decode()
    if painter.output == "png":
        notes = PngInfo()
        notes.add_text("Software", f"{GENERATOR} (simulated)")
        notes.add_itxt("Description", prompt)
        picture.save(content, "PNG", pnginfo=notes)
        return Media(content.getvalue(), "image/png")
    picture.save(content, "JPEG", quality=90, comment=f"{GENERATOR} (simulated): {prompt}".encode())
    if painter.output == "jpeg":
        return Media(content.getvalue(), "image/jpeg")
    return {"image": base64.b64encode(content.getvalue()).decode()}


# ---- describing --------------------------------------------------------------------------------------------------

COLOURS = {
    "black": "#000000",
    "dark gray": "#404040",
    "gray": "#808080",
    "light gray": "#c8c8c8",
    "white": "#ffffff",
    "dark red": "#800000",
    "red": "#e02020",
    "pink": "#f4a0b4",
    "orange": "#f28c28",
    "brown": "#8b5a2b",
    "beige": "#f0dcc0",
    "yellow": "#f5e050",
    "olive": "#808000",
    "dark green": "#145a32",
    "green": "#28a745",
    "light green": "#a5d6a0",
    "teal": "#1f8a8a",
    "light blue": "#a0cdf0",
    "blue": "#2060d0",
    "dark blue": "#142850",
    "purple": "#7030a0",
    "lavender": "#c0b0e8",
    "magenta": "#d030a0",
}

GRID = 64
"""Cells of each side of the grid on which the colours of an image are sampled."""

MOONDREAM_TASKS = {"query": "answer", "caption": "caption", "point": "points", "detect": "objects"}
"""Task → property of the answer that holds its result."""


def _moondream(inputs: dict[str, Any]) -> dict[str, Any]:
    task = choice_input(inputs, "task", tuple(MOONDREAM_TASKS)) or next(iter(MOONDREAM_TASKS))
    length = choice_input(inputs, "caption_length", ("normal", "short", "long")) or "normal"
    question = text_input(inputs, "question", text_input(inputs, "prompt", "What's in this image?"))
    max_tokens = _integer(inputs, "max_tokens", 768, 1, 28_672)
    for name, maximum in (("temperature", 2), ("top_p", 1)):
        number_input(inputs, name, None, 0, maximum)
    _integer(inputs, "max_objects", None, 1, 500)
    image = input_image(inputs) if task != "query" or "image" in inputs else None
    answer: dict[str, Any] = {**dict.fromkeys(MOONDREAM_TASKS.values()), "reasoning": None}
    if task == "query":
        reply = _description(image, question) if image else f"[simulated] You asked: “{question}” without an image."
        answer["answer"] = _cut(reply, max_tokens)
        if inputs.get("reasoning") is not False:
            answer["reasoning"] = {"text": "[simulated] I looked at the size and the colours only.", "grounding": []}
    elif task == "caption":
        answer["caption"] = _cut(_description(_required_image(image), "", 1 if length == "short" else 3), max_tokens)
    elif box := _box(_required_image(image)):
        left, top, right, bottom = box
        answer["points"] = [{"x": (left + right) / 2, "y": (top + bottom) / 2}] if task == "point" else None
        answer["objects"] = (
            [{"x_min": left, "y_min": top, "x_max": right, "y_max": bottom}] if task == "detect" else None
        )
    else:
        answer[MOONDREAM_TASKS[task]] = []
    completion_tokens = len(tokens(answer["answer"] or answer["caption"] or ""))
    times = dict.fromkeys(("prefill_time_ms", "decode_time_ms", "ttft_ms"), 0.0)
    metrics = {
        "input_tokens": len(tokens(question)) + (729 if image else 0),
        "output_tokens": completion_tokens,
        **times,
    }
    return {**answer, "metrics": metrics, "finish_reason": "length" if completion_tokens == max_tokens else "stop"}


def _required_image(image: Image.Image | None) -> Image.Image:
    assert image
    return image


def input_image(inputs: dict[str, Any]) -> Image.Image:
    """Decode the input `image`: [bytes], base64 or a data URI.

    Raises UpstreamError 5006 if it is missing or of another type, 5004 for bad base64, 3030 if it cannot be decoded.
    """
    required(inputs, "image")
    image = inputs["image"]
    if not isinstance(image, str):
        return _open(byte_input(image, "/image"))
    if image.startswith(("http://", "https://")):
        raise NotSimulated("Fetching an image by its URL")
    return _open(base64_input(image, "/image"))


def _description(image: Image.Image, question: str, max_colours: int = 3) -> str:
    shares = Counter(colour_names(image).ravel().tolist()).most_common(max_colours)
    colours = [f"{name} ({share / GRID**2:.0%})" for name, share in shares if share >= GRID**2 / 20] or [shares[0][0]]
    listed = " and ".join(filter(None, [", ".join(colours[:-1]), colours[-1]]))
    shape = "square" if image.width == image.height else "landscape" if image.width > image.height else "portrait"
    parts = [f"[simulated] A {shape} {image.format} image of {image.width}x{image.height} pixels, mostly {listed}."]
    prompt = _prompt_in_metadata(image)
    if prompt:
        parts.append(f"It was made by this simulator for the prompt “{prompt}”.")
    if question:
        parts.append(f"You asked: “{question}”.")
    return " ".join(parts)


def _prompt_in_metadata(image: Image.Image) -> str | None:
    """The prompt, if this simulator painted the image; else None."""
    notes = cast("dict[str, Any]", image.info)
    if str(notes.get("Software", "")).startswith(GENERATOR):
        return str(notes.get("Description", ""))
    comment = notes.get("comment", b"")
    words = comment.decode(errors="ignore") if isinstance(comment, bytes) else str(comment)
    return words.partition(": ")[2] if words.startswith(GENERATOR) else None


def colour_names(image: Image.Image) -> NDArray[np.str_]:
    """Name of the colour in each cell of a grid over the image, an array of `GRID` by `GRID`."""
    small = image.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX)
    table = np.array([_colour(code) for code in COLOURS.values()])
    distances = np.linalg.norm(np.asarray(small, np.float32)[:, :, None] - table, axis=-1)
    return np.array(list(COLOURS))[distances.argmin(axis=-1)]


def _box(image: Image.Image) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom (0 to 1) of all that is not in the commonest colour; None if nothing is."""
    names = colour_names(image)
    commonest = Counter(names.ravel().tolist()).most_common(1)[0][0]
    rows, columns = np.nonzero(names != commonest)
    if not len(rows):
        return None
    return (
        float(columns.min()) / GRID,
        float(rows.min()) / GRID,
        float(columns.max() + 1) / GRID,
        float(rows.max() + 1) / GRID,
    )


def _cut(text: str, max_tokens: int | None) -> str:
    return "".join(tokens(text)[:max_tokens])
