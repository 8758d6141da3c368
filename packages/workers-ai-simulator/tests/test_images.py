"""Simulated images: painted, painted over, described."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workers_ai_simulator.catalogue import MODELS, find
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.images.painting import PAINTERS, describe, paint
from workers_ai_simulator.media import Media

SDXL = "@cf/stabilityai/stable-diffusion-xl-base-1.0"
DREAMSHAPER = "@cf/lykon/dreamshaper-8-lcm"
IMG2IMG = "@cf/runwayml/stable-diffusion-v1-5-img2img"
INPAINTING = "@cf/runwayml/stable-diffusion-v1-5-inpainting"
SCHNELL = "@cf/black-forest-labs/flux-1-schnell"
FLUX_2 = "@cf/black-forest-labs/flux-2-dev"
LUCID = "@cf/leonardo/lucid-origin"
PHOENIX = "@cf/leonardo/phoenix-1.0"
LLAVA = "@cf/llava-hf/llava-1.5-7b-hf"
MOONDREAM = "@cf/moondream/moondream3.1-9B-A2B"

SMALL = {"prompt": "a cat", "width": 256, "height": 256}


def content(model: str, inputs: dict[str, Any]) -> bytes:
    answer = paint(find(model), inputs)
    return answer.content if isinstance(answer, Media) else base64.b64decode(answer["image"], validate=True)


def picture(model: str, inputs: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(content(model, inputs)))


def pixels(image: Image.Image) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(image.convert("RGB"), np.int16)


def png(image: Image.Image) -> list[int]:
    """PNG of the image as a Worker sends it, a list of bytes."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return list(file.getvalue())


def red(width: int = 256, height: int = 256) -> Image.Image:
    return Image.new("RGB", (width, height), (224, 32, 32))


def refusal(answer: Any, model: str, inputs: dict[str, Any]) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        answer(find(model), inputs)
    return caught.value


# ---- painting ----------------------------------------------------------------------------------------------------


def test_every_model_for_images_has_its_row() -> None:
    tasks = ("text-to-image", "image-to-image", "inpainting")
    assert set(PAINTERS) == {model.id for model in MODELS.values() if model.task in tasks}


@pytest.mark.parametrize(
    ("model", "content_type", "format_", "size"),
    [
        (SDXL, "image/png", "PNG", (1024, 1024)),
        (DREAMSHAPER, "image/png", "PNG", (512, 512)),
        (PHOENIX, "image/jpeg", "JPEG", (1024, 1024)),
        (SCHNELL, None, "JPEG", (1024, 1024)),
        (LUCID, None, "JPEG", (1120, 1120)),
        (FLUX_2, None, "JPEG", (1024, 768)),
    ],
)
def test_a_model_answers_in_its_form_and_size(
    model: str, content_type: str | None, format_: str, size: tuple[int, int]
) -> None:
    answer = paint(find(model), {"prompt": "a cat"})
    assert (answer.content_type if isinstance(answer, Media) else None) == content_type
    image = picture(model, {"prompt": "a cat"})
    assert (image.format, image.size) == (format_, size)


def test_the_size_is_that_of_the_inputs() -> None:
    assert picture(SDXL, {"prompt": "a", "width": 640, "height": 256}).size == (640, 256)
    assert picture(FLUX_2, {"prompt": "a", "width": "300", "height": "256"}).size == (300, 256)
    assert picture(LUCID, {"prompt": "a", "width": 1, "height": 40}).size == (1, 40)


def test_the_same_prompt_and_seed_make_the_same_picture_and_others_another() -> None:
    one = content(SDXL, {**SMALL, "seed": 1})
    assert one == content(SDXL, {**SMALL, "seed": 1})
    for other in ({"seed": 2}, {"prompt": "a dog"}, {"negative_prompt": "fur"}):
        assert one != content(SDXL, {**SMALL, "seed": 1, **other})
    assert one != content(DREAMSHAPER, {**SMALL, "seed": 1})


def test_the_picture_is_not_plain_and_shows_text() -> None:
    seen = pixels(picture(SDXL, SMALL))
    assert seen.std() > 20
    panel = seen[150:240].min(axis=2)
    assert 20 < (panel > 200).sum() < panel.size / 4


def test_the_file_says_that_it_is_simulated_and_for_which_prompt() -> None:
    info = picture(SDXL, {**SMALL, "prompt": "naïve café, 東京"}).info
    assert "simulated" in info["Software"]
    assert info["Description"] == "naïve café, 東京"
    assert b"simulated): a cat" in picture(PHOENIX, SMALL).info["comment"]


@pytest.mark.parametrize("prompt", ["x" * 3000, "word " * 30_000, "東京 \ud83d 👋🏽 \0\x1b[0m\n\t", " ", "שלום عالم"])
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    for width, height in ((256, 256), (2048, 256)):
        assert picture(SDXL, {"prompt": prompt, "width": width, "height": height}).size == (width, height)


def test_strength_is_the_share_of_the_paint() -> None:
    original = pixels(red())

    def distance(strength: float) -> float:
        made = picture(IMG2IMG, {"prompt": "a cat", "image": png(red()), "strength": strength})
        return float(np.abs(pixels(made) - original).mean())

    assert distance(0) == 0
    assert 0 < distance(0.3) < distance(0.6) < distance(1)
    whole = {"prompt": "a cat", "width": 256, "height": 256}
    assert content(IMG2IMG, {**whole, "image": png(red())}) == content(
        IMG2IMG, {**whole, "image": png(Image.new("L", (99, 50)))}
    )


def test_the_input_image_may_be_base64_and_is_the_default_size() -> None:
    image = png(red(300, 260))
    encoded = base64.b64encode(bytes(image)).decode()
    inputs = {"prompt": "a cat", "strength": 0.5}
    assert content(IMG2IMG, {**inputs, "image_b64": encoded}) == content(IMG2IMG, {**inputs, "image": image})
    assert picture(IMG2IMG, {**inputs, "image_b64": encoded}).size == (300, 260)
    assert picture(IMG2IMG, {**inputs, "image_b64": encoded, "width": 512, "height": 256}).size == (512, 256)


def test_inpainting_changes_what_the_mask_selects_and_nothing_else() -> None:
    mask = Image.new("L", (256, 256), 0)
    mask.paste(255, (64, 64, 192, 128))
    made = pixels(picture(INPAINTING, {"prompt": "a cat", "image": png(red()), "mask": png(mask)}))
    changed = (made != pixels(red())).any(axis=2)
    inside = np.asarray(mask) > 0
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.99


def test_flux_2_paints_over_the_images_of_its_form() -> None:
    form = {"prompt": "a cat", "width": "256", "height": "256", "input_image_0": bytes(png(red()))}
    alone = pixels(picture(FLUX_2, {"prompt": "a cat", "width": "256", "height": "256"}))
    made = pixels(picture(FLUX_2, form))
    assert np.abs(made - (alone + pixels(red())) / 2).mean() < 6
    blue = bytes(png(Image.new("RGB", (256, 256), (0, 0, 255))))
    both = pixels(picture(FLUX_2, {**form, "input_image_1": blue}))
    assert both[:, :100, 0].mean() > both[:, 156:, 0].mean() + 60
    assert both[:, 156:, 2].mean() > both[:, :100, 2].mean() + 60


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (SDXL, {}, "required properties at '/' are 'prompt'"),
        (SDXL, {"prompt": 5}, "Type mismatch of '/prompt', 'number' not in 'string'"),
        (SDXL, {"prompt": ""}, "'/prompt' length must be >= 1"),
        (SDXL, {"prompt": "a", "width": 255}, "'/width' must be >= 256"),
        (SDXL, {"prompt": "a", "height": 2049}, "'/height' must be <= 2048"),
        (SDXL, {"prompt": "a", "width": "512"}, "Type mismatch of '/width', 'string' not in 'number'"),
        (SDXL, {"prompt": "a", "width": 512.5}, "Type mismatch of '/width', 'number' not in 'integer'"),
        (SDXL, {"prompt": "a", "seed": float("nan")}, "Type mismatch of '/seed', 'number' not in 'integer'"),
        (SDXL, {"prompt": "a", "num_steps": 21}, "'/num_steps' must be <= 20"),
        (SDXL, {"prompt": "a", "negative_prompt": 5}, "Type mismatch of '/negative_prompt'"),
        (SCHNELL, {"prompt": "a" * 2049}, "'/prompt' length must be <= 2048"),
        (SCHNELL, {"prompt": "a", "steps": 9}, "'/steps' must be <= 8"),
        (SCHNELL, {"prompt": "a", "width": 512, "height": 512}, "properties '/width, /height' not allowed"),
        (PHOENIX, {"prompt": "a", "guidance": 1}, "'/guidance' must be >= 2"),
        (LUCID, {"prompt": "a", "seed": -1}, "'/seed' must be >= 0"),
        (LUCID, {"prompt": "a", "width": 2501}, "'/width' must be <= 2500"),
        (FLUX_2, {"prompt": "a", "width": "wide"}, "Type mismatch of '/width', 'string' not in 'number'"),
        (FLUX_2, {"prompt": "a", "width": "1921"}, "'/width' must be <= 1920"),
        (IMG2IMG, {"prompt": "a"}, "required properties at '/' are 'image'"),
        (IMG2IMG, {"prompt": "a", "image": png(red()), "strength": 1.1}, "'/strength' must be <= 1"),
        (IMG2IMG, {"prompt": "a", "image": [1, 256]}, "'/image/1' must be <= 255"),
        (IMG2IMG, {"prompt": "a", "image": [1, -1]}, "'/image/1' must be >= 0"),
        (IMG2IMG, {"prompt": "a", "image": [1, "a"]}, "Type mismatch of '/image/1', 'string' not in 'integer'"),
        (IMG2IMG, {"prompt": "a", "image": "abc"}, "Type mismatch of '/image', 'string' not in 'array'"),
        (IMG2IMG, {"prompt": "a", "image_b64": 5}, "Type mismatch of '/image_b64', 'number' not in 'string'"),
        (INPAINTING, {"prompt": "a", "image": png(red())}, "required properties at '/' are 'mask'"),
    ],
)
def test_invalid_inputs_of_image_models_are_5006(model: str, inputs: dict[str, Any], words: str) -> None:
    error = refusal(paint, model, inputs)
    assert (error.status, error.code) == (400, 5006)
    assert words in error.description


@pytest.mark.parametrize("encoded", ["%%%", "abc", "ab=c", "é"])
def test_bad_base64_is_5004(encoded: str) -> None:
    error = refusal(paint, IMG2IMG, {"prompt": "a", "image_b64": encoded})
    assert (error.status, error.code) == (400, 5004)


HUGE = png(Image.new("1", (5000, 5000)))


@pytest.mark.parametrize("broken", [[], [1, 2, 3], png(red())[:300], png(red())[:40], HUGE])
def test_an_image_that_cannot_be_read_is_3030(broken: list[int]) -> None:
    for model, name in ((IMG2IMG, "image"), (INPAINTING, "mask"), (FLUX_2, "input_image_0")):
        error = refusal(paint, model, {"prompt": "a", "image": png(red()), name: broken})
        assert (error.status, error.code) == (400, 3030)
        assert error.description.startswith("Invalid image: ")


def test_flux_2_takes_no_image_beyond_512_pixels() -> None:
    error = refusal(paint, FLUX_2, {"prompt": "a", "input_image_0": bytes(png(red(513, 20)))})
    assert error.code == 3030
    assert "512x512" in error.description


# ---- describing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [LLAVA])
def test_a_description_is_honest_about_size_format_and_colours(model: str) -> None:
    image = red(300, 200)
    image.paste((255, 255, 255), (0, 0, 75, 200))
    description = describe(find(model), {"image": png(image), "prompt": "What is it?"})["description"]
    assert description == (
        "[simulated] A landscape PNG image of 300x200 pixels, mostly red (75%) and white (25%). "
        "You asked: “What is it?”."
    )
    assert describe(find(model), {"image": png(image), "max_tokens": 3})["description"] == "[simulated"


def test_a_picture_of_the_simulator_is_recognised() -> None:
    for model in (SDXL, PHOENIX):
        made = list(content(model, {**SMALL, "prompt": "a cat: café"}))
        assert "for the prompt “a cat: café”" in describe(find(LLAVA), {"image": made})["description"]


def test_moondream_answers_each_of_its_tasks() -> None:
    white = Image.new("RGB", (128, 128), "white")
    white.paste((224, 32, 32), (32, 64, 96, 128))
    inputs = {"image": "data:image/png;base64," + base64.b64encode(bytes(png(white))).decode()}

    def ask(**others: Any) -> dict[str, Any]:
        return describe(find(MOONDREAM), {**inputs, **others})

    assert "What's in this image?" in ask()["answer"]
    assert ask()["reasoning"]["text"].startswith("[simulated]")
    assert ask(reasoning=False)["reasoning"] is None
    assert "white (75%) and red (25%)" in ask(task="caption")["caption"]
    assert "red" not in ask(task="caption", caption_length="short")["caption"]
    assert ask(task="caption", max_tokens=2)["finish_reason"] == "length"
    assert ask(task="detect")["objects"] == [{"x_min": 0.25, "y_min": 0.5, "x_max": 0.75, "y_max": 1.0}]
    assert ask(task="point")["points"] == [{"x": 0.5, "y": 0.75}]
    assert describe(find(MOONDREAM), {"task": "detect", "image": png(red())})["objects"] == []
    assert "without an image" in describe(find(MOONDREAM), {"question": "Who?"})["answer"]
    for answer in (ask(), ask(task="point")):
        assert len([answer[name] for name in ("answer", "caption", "points", "objects") if answer[name]]) == 1
        assert answer["metrics"]["input_tokens"] > 0


@pytest.mark.parametrize(
    ("model", "inputs", "code", "words"),
    [
        (LLAVA, {}, 5006, "required properties at '/' are 'image'"),
        (LLAVA, {"image": 5}, 5006, "Type mismatch of '/image', 'number' not in 'array'"),
        (LLAVA, {"image": [300]}, 5006, "'/image/0' must be <= 255"),
        (LLAVA, {"image": png(red()), "prompt": 5}, 5006, "Type mismatch of '/prompt'"),
        (LLAVA, {"image": png(red()), "max_tokens": 0}, 5006, "'/max_tokens' must be >= 1"),
        (LLAVA, {"image": "%"}, 5004, "Invalid base64"),
        (LLAVA, {"image": []}, 3030, "Invalid image"),
        (LLAVA, {"image": HUGE}, 3030, "5000x5000 pixels are too many"),
        (MOONDREAM, {"task": "sing", "image": png(red())}, 5006, "enum sing not in query,caption,point,detect"),
        (MOONDREAM, {"task": "detect"}, 5006, "required properties at '/' are 'image'"),
        (MOONDREAM, {"image": png(red()), "temperature": 3}, 5006, "'/temperature' must be <= 2"),
    ],
)
def test_invalid_inputs_of_image_to_text_are_refused(model: str, inputs: dict[str, Any], code: int, words: str) -> None:
    error = refusal(describe, model, inputs)
    assert (error.status, error.code) == (400, code)
    assert words in error.description


def test_an_image_url_is_not_fetched() -> None:
    with pytest.raises(NotSimulated):
        describe(find(MOONDREAM), {"image": "https://example.com/cat.png"})
