"""POST /image and GET /images/{key}, as their clients see them."""

import asyncio
import base64
import hashlib
import io
import json
import random
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from PIL import Image

from aiworker.auth.access import Caller, Key
from aiworker.auth.budget import RequestBudget
from aiworker.bindings import unbound
from aiworker.errors import ApiError
from aiworker.log import RequestLog
from aiworker.models import catalogue
from aiworker.models.breaker import Breaker
from aiworker.routes import image as route
from aiworker.routes.image_schema import ImageRequest
from aiworker.settings import Settings
from aiworker.tracing import NoTracer
from tests.conftest import ErrorOf, NewCalls, Simulator

ANNA = Caller(
    "site", frozenset({"image"}), "acme", "anna", Key("site", "", frozenset({"image"}), "acme"), has_token=True
)

SDXL = "@cf/stabilityai/stable-diffusion-xl-base-1.0"
LIGHTNING = "@cf/bytedance/stable-diffusion-xl-lightning"
DREAMSHAPER = "@cf/lykon/dreamshaper-8-lcm"
IMG2IMG = "@cf/runwayml/stable-diffusion-v1-5-img2img"
INPAINTING = "@cf/runwayml/stable-diffusion-v1-5-inpainting"
SCHNELL = "@cf/black-forest-labs/flux-1-schnell"
FLUX_2 = "@cf/black-forest-labs/flux-2-dev"
KLEIN = "@cf/black-forest-labs/flux-2-klein-4b"
LUCID = "@cf/leonardo/lucid-origin"
PHOENIX = "@cf/leonardo/phoenix-1.0"

SMALL = {"width": 256, "height": 256, "model": DREAMSHAPER}
MAX_UPLOAD_BYTES = 26_214_400


def picture(
    colour: tuple[int, int, int] = (224, 32, 32), size: tuple[int, int] = (256, 256), kind: str = "PNG"
) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def noise(side: int) -> bytes:
    """A PNG that does not shrink: 3 bytes a pixel."""
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3)).save(file, "PNG")
    return file.getvalue()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def opened(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/image", json={"prompt": "a red fox", **body})


def stored(client: httpx.Client, **body: Any) -> dict[str, Any]:
    response = ask(client, **{**SMALL, **body}, store=True)
    assert response.status_code == 201, response.text
    return response.json()


def sent(simulator: Simulator, response: httpx.Response) -> dict[str, Any]:
    return simulator.request(response.headers["x-ai-request-id"])["inputs"]


# ---- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "content_type", "size"),
    [
        (None, "image/jpeg", (1024, 1024)),
        (SCHNELL, "image/jpeg", (1024, 1024)),
        (FLUX_2, "image/jpeg", (1024, 768)),
        (KLEIN, "image/jpeg", (1024, 768)),
        (LUCID, "image/jpeg", (1120, 1120)),
        (PHOENIX, "image/jpeg", (1024, 1024)),
        (SDXL, "image/png", (1024, 1024)),
        (LIGHTNING, "image/png", (1024, 1024)),
        (DREAMSHAPER, "image/png", (512, 512)),
    ],
)
def test_a_prompt_becomes_an_image_of_the_type_that_its_bytes_have(
    client: httpx.Client, model: str | None, content_type: str, size: tuple[int, int]
) -> None:
    response = ask(client, **({"model": model} if model else {}))
    image = opened(response)
    assert image.size == size
    assert response.headers["content-type"] == content_type == Image.MIME[image.format or ""]
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["x-model"] == (model or SCHNELL)


def test_a_response_says_which_model_answered_and_is_not_to_be_cached(client: httpx.Client) -> None:
    headers = ask(client, **SMALL).headers
    assert headers["x-model"] == DREAMSHAPER
    assert headers["x-ai-request-id"]
    assert headers["server-timing"].startswith("model;dur=")
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "neurons"),
    [
        # 1024 by 1024 are four tiles
        ({"model": SCHNELL}, "57.6"),
        ({"model": SCHNELL, "steps": 8}, "96"),
        ({"model": PHOENIX, "width": 512, "height": 512, "steps": 1}, "540"),
        ({"model": LUCID, "width": 512, "height": 512, "steps": 1}, "648"),
        # not documented: a part of a tile, and how many steps there are if none are asked for
        ({"model": PHOENIX, "width": 512, "height": 300, "steps": 1}, None),
        ({"model": LUCID, "width": 512, "height": 512}, None),
        # free
        (SMALL, None),
    ],
)
def test_the_price_is_returned_where_it_is_known(
    client: httpx.Client, body: dict[str, Any], neurons: str | None
) -> None:
    response = ask(client, **body)
    assert response.status_code == 200
    assert response.headers.get("x-neurons") == neurons


# ---- what the model is sent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [SDXL, LIGHTNING, DREAMSHAPER, PHOENIX])
def test_every_parameter_arrives_under_the_model_s_own_name(
    client: httpx.Client, simulator: Simulator, model: str
) -> None:
    options = {"negative_prompt": "snow", "width": 320, "height": 256, "steps": 7, "guidance": 3.5, "seed": 42}
    response = ask(client, model=model, **options)
    assert opened(response).size == (320, 256)
    own = {**options, "prompt": "a red fox", "num_steps": 7}
    del own["steps"]
    assert sent(simulator, response) == own


def test_a_model_is_sent_no_more_than_was_given(client: httpx.Client, simulator: Simulator) -> None:
    response = ask(client, prompt="東京 👋🏽", steps=2, seed=0, store=False, negative_prompt=None, image=None)
    assert sent(simulator, response) == {"prompt": "東京 👋🏽", "steps": 2, "seed": 0}


def test_the_same_seed_makes_the_same_image_and_another_another(client: httpx.Client) -> None:
    one, same, other = (ask(client, **SMALL, seed=seed).content for seed in (1, 1, 2))
    assert one == same != other


def test_with_an_image_the_default_is_the_model_that_edits(client: httpx.Client, simulator: Simulator) -> None:
    source = picture(size=(300, 280))
    response = ask(client, image=encoded(source), strength=0, seed=3)
    assert response.headers["x-model"] == IMG2IMG
    assert sent(simulator, response) == {
        "prompt": "a red fox",
        "strength": 0,
        "seed": 3,
        "image_b64": encoded(source),
    }
    image = opened(response)
    assert image.size == (300, 280)
    assert image.getpixel((150, 20)) == (224, 32, 32)


def test_with_a_mask_the_default_is_the_model_that_inpaints(client: httpx.Client, simulator: Simulator) -> None:
    image, mask = picture(), picture((0, 0, 0))
    response = ask(client, image=encoded(image), mask=encoded(mask))
    assert response.headers["x-model"] == INPAINTING
    inputs = sent(simulator, response)
    assert inputs["image"] == f"<{len(image)} numbers>"
    assert inputs["mask"] == f"<{len(mask)} numbers>"
    # where the mask is black, the image stays
    assert opened(response).getcolors() == [(256 * 256, (224, 32, 32))]


def test_a_form_takes_the_same_fields_with_images_as_files(client: httpx.Client, simulator: Simulator) -> None:
    image = picture(kind="JPEG")
    response = client.post(
        "/image",
        data={"prompt": "naïve café", "strength": "0.5", "steps": "5", "seed": "7", "negative_prompt": "snow"},
        files={"image": ("any name.txt", image, "text/plain")},
    )
    assert opened(response).size == (256, 256)
    inputs = {**sent(simulator, response)}
    assert base64.b64decode(inputs.pop("image_b64")) == image
    assert inputs == {
        "prompt": "naïve café",
        "strength": 0.5,
        "num_steps": 5,
        "seed": 7,
        "negative_prompt": "snow",
    }


def test_a_form_without_files_is_taken(client: httpx.Client, simulator: Simulator) -> None:
    form = {"prompt": (None, "a fox"), "model": (None, DREAMSHAPER), "width": (None, "256"), "height": (None, "256")}
    response = client.post("/image", files=form)
    assert opened(response).size == (256, 256)


def test_a_form_with_image_and_mask_inpaints(client: httpx.Client) -> None:
    files = {"image": picture(), "mask": picture((0, 0, 0))}
    response = client.post("/image", data={"prompt": "a fox"}, files=files)
    assert response.headers["x-model"] == INPAINTING
    assert opened(response).getcolors() == [(256 * 256, (224, 32, 32))]


def test_a_data_uri_is_as_good_as_bare_base64(client: httpx.Client, simulator: Simulator) -> None:
    image = picture(kind="WEBP")
    response = ask(client, image=f"data:image/webp;base64,{encoded(image)}", strength=0.5)
    assert response.status_code == 200
    assert sent(simulator, response)["image_b64"] == encoded(image)


def test_flux_2_takes_up_to_four_references_in_its_form(client: httpx.Client, simulator: Simulator) -> None:
    references = {"image": picture(), "image_1": picture((0, 0, 255)), "image_2": picture(), "image_3": picture()}
    fields = {"model": FLUX_2, "width": 256, "height": 320, "steps": 2, "guidance": 3.5, "seed": 1}
    response = ask(client, **{name: encoded(content) for name, content in references.items()}, **fields)
    assert opened(response).size == (256, 320)
    images = {f"input_image_{number}": f"<{len(content)} bytes>" for number, content in enumerate(references.values())}
    numbers = {"width": "256", "height": "320", "steps": "2", "guidance": "3.5", "seed": "1"}
    assert sent(simulator, response) == {"prompt": "a red fox", **numbers, **images}
    by_form = client.post(
        "/image", data={"prompt": "a red fox", **{k: str(v) for k, v in fields.items()}}, files={**references}
    )
    assert by_form.content == response.content


def test_megabytes_of_an_image_arrive_unharmed(client: httpx.Client) -> None:
    image = noise(1400)  # 5.9 MB
    whole = Image.open(io.BytesIO(image)).convert("RGB")
    for response in (
        ask(client, image=encoded(image), strength=0),
        client.post("/image", data={"prompt": "a fox", "strength": "0"}, files={"image": image}),
    ):
        assert opened(response).convert("RGB").tobytes() == whole.tobytes()


# ---- bad input ---------------------------------------------------------------------------------------------------

RED = encoded(picture())


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"prompt": ""}, "prompt", "at least 1 character"),
        ({"prompt": "a" * 2049}, "prompt", "at most 2048 characters"),
        ({"prompt": 5}, "prompt", "valid string"),
        ({"num_steps": 5}, "num_steps", "the fields are prompt, negative_prompt, width, height, steps"),
        ({"model": SDXL, "width": 255}, "width", "between 256 and 2048"),
        ({"model": SDXL, "height": 2049}, "height", "between 256 and 2048"),
        ({"model": SDXL, "width": 512.5}, "width", "valid integer"),
        ({"model": SDXL, "width": "512"}, "width", "valid integer"),
        ({"model": SDXL, "steps": 21}, "steps", "between 1 and 20 for @cf/stab"),
        ({"model": SCHNELL, "steps": 9}, "steps", "between 1 and 8 for @cf/black-forest-labs/flux-1-schnell"),
        ({"model": SCHNELL, "steps": 0}, "steps", "between 1 and 50"),
        ({"model": LUCID, "steps": 41}, "steps", "between 1 and 40"),
        ({"model": LUCID, "guidance": 10.5}, "guidance", "between 0 and 10 for"),
        ({"model": PHOENIX, "guidance": 1.9}, "guidance", "between 2 and 10 for"),
        ({"model": FLUX_2, "width": 1921}, "width", "between 256 and 1920 for"),
        ({"model": SDXL, "strength": 1.1}, "strength", "between 0 and 1"),
        ({"model": SDXL, "strength": -0.1}, "strength", "between 0 and 1"),
        ({"model": SDXL, "seed": -1}, "seed", "between 0 and 9999999999"),
        ({"store": "yes"}, "store", "valid boolean"),
        # what a model does not take
        ({"model": SCHNELL, "width": 512}, "width", "does not take width: it takes prompt, steps, seed."),
        ({"model": SCHNELL, "negative_prompt": "a"}, "negative_prompt", "it takes prompt, steps, seed."),
        ({"model": SCHNELL, "image": RED}, "image", "does not take image"),
        ({"model": LUCID, "negative_prompt": "a"}, "negative_prompt", "does not take negative_prompt"),
        ({"model": FLUX_2, "strength": 0.5}, "strength", "image, image_1, image_2, image_3."),
        ({"model": KLEIN, "steps": 5}, "steps", "does not take steps"),
        ({"model": SDXL, "image": RED, "image_1": RED}, "image_1", "does not take image_1"),
        ({"model": IMG2IMG, "image": RED, "mask": RED}, "mask", "does not take mask"),
        ({"image_1": RED}, "image_1", "does not take image_1"),
        # what a model needs
        ({"model": IMG2IMG}, "image", "image is required by @cf/runwayml"),
        ({"model": INPAINTING, "image": RED}, "mask", "mask is required by @cf/runwayml"),
        ({"mask": RED}, "image", "image is required by"),
        ({"model": SDXL, "mask": RED}, "image", "mask requires image"),
        # what is no image
        ({"image": 5}, "image", "valid string"),
        ({"image": [RED]}, "image", "valid string"),
        ({"image": ""}, "image", "not a PNG, JPEG, WebP or GIF"),
        ({"image": "https://example.com/fox.png"}, "image", "must be base64"),
        ({"image": "nonsense!"}, "image", "must be base64"),
        ({"image": encoded(b"<svg xmlns='http://www.w3.org/2000/svg'/>")}, "image", "not a PNG, JPEG, WebP or GIF"),
        ({"image": RED, "mask": encoded(b"no mask")}, "mask", "not a PNG, JPEG, WebP or GIF"),
        ({"image": f"data:image/png;base64,{RED[:-7]}!"}, "image", "must be base64"),
        # a model of another kind
        ({"model": "@cf/openai/gpt-oss-20b"}, "model", "is a model for text-generation"),
        # no gateway is set up
        ({"gateway": {"skip_cache": True}}, "gateway", "GATEWAY_ID"),
        ({"model": FLUX_2, "gateway": {"skip_cache": True}}, "gateway", "AI Gateway cannot be used"),
    ],
)
def test_a_bad_request_is_refused_with_the_field_at_fault_and_costs_nothing(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, body: dict[str, Any], param: str, words: str
) -> None:
    calls = NewCalls(simulator)
    response = ask(client, **body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7504, "invalid_request", param)
    assert words in error["message"]
    assert calls.of(binding="AI") == []


def test_without_a_prompt_there_is_no_image(client: httpx.Client, error_of: ErrorOf) -> None:
    response = client.post("/image", json={})
    assert response.status_code == 400
    assert error_of(response)["param"] == "prompt"


@pytest.mark.parametrize("body", ["[1]", "null", '"x"', "5", "", "{", '{"prompt": "a", "image": '])
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, error_of: ErrorOf, body: str) -> None:
    response = client.post("/image", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request"


@pytest.mark.parametrize(
    ("fields", "files", "param", "words"),
    [
        ({}, {"image": picture()}, "prompt", "is required"),
        ({"prompt": "a", "steps": "many"}, {"image": picture()}, "steps", "valid integer"),
        ({"prompt": "a", "strength": "2"}, {"image": picture()}, "strength", "between 0 and 1"),
        ({"prompt": "a"}, {"image": b""}, "image", "not a PNG, JPEG, WebP or GIF"),
        ({"prompt": "a"}, {"image": b"%PDF-1.7"}, "image", "not a PNG, JPEG, WebP or GIF"),
        ({"prompt": "a"}, {"photo": picture()}, "photo", "image or image_1"),
        ({"prompt": "a", "image": RED}, {"mask": picture()}, "image", "is not a PNG"),
        ({"prompt": "a"}, {"mask": picture()}, "image", "is required by"),
    ],
)
def test_a_bad_form_is_refused_with_the_field_at_fault(
    client: httpx.Client, error_of: ErrorOf, fields: dict[str, str], files: dict[str, bytes], param: str, words: str
) -> None:
    response = client.post("/image", data=fields, files=files)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["param"]) == (7504, param)
    assert words in error["message"]


def test_a_body_that_is_not_a_form_is_refused(client: httpx.Client, error_of: ErrorOf) -> None:
    response = client.post("/image", content=b"--", headers={"content-type": "multipart/form-data; boundary=x"})
    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request"


def test_an_image_that_breaks_off_is_refused_by_the_model(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    response = ask(client, image=encoded(picture()[:200]), store=True)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["param"], error["upstream_code"]) == (7504, "image", 3030)
    both = ask(client, image=encoded(picture()[:200]), mask=encoded(picture()))
    assert both.status_code == 400
    assert error_of(both)["param"] is None  # upstream does not say which


def test_an_unknown_model_is_answered_with_the_nearest(client: httpx.Client, error_of: ErrorOf) -> None:
    response = ask(client, model="@cf/black-forest-labs/flux-1-schnel")
    assert response.status_code == 404
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7502, "model_not_found", "model")
    assert SCHNELL in error["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", "application/x-www-form-urlencoded"])
def test_another_media_type_is_refused(client: httpx.Client, error_of: ErrorOf, content_type: str) -> None:
    response = client.post("/image", content=b"prompt=a", headers={"content-type": content_type})
    assert response.status_code == 415
    assert error_of(response)["type"] == "unsupported_media_type"


def test_an_upload_that_is_too_large_is_refused(client: httpx.Client, error_of: ErrorOf) -> None:
    body = b'{"prompt": "a", "image": "' + b"A" * MAX_UPLOAD_BYTES + b'"}'
    for content_type in ("application/json", "multipart/form-data; boundary=x"):
        response = client.post("/image", content=body, headers={"content-type": content_type})
        assert response.status_code == 413
        assert error_of(response)["type"] == "payload_too_large"
    assert ask(client, **SMALL).status_code == 200


# ---- upstream's errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "answered", "kind"),
    [
        (429, 3036, 429, "rate_limited"),
        (429, 3040, 429, "rate_limited"),
        (400, 5006, 400, "invalid_request"),
        (400, 5007, 404, "model_not_found"),
        (403, 5018, 403, "forbidden"),
        (408, 3007, 408, "timeout"),
        (413, 3006, 413, "payload_too_large"),
        (500, 8007, 502, "upstream_error"),
    ],
)
def test_an_upstream_refusal_is_returned_and_nothing_is_stored(
    client: httpx.Client,
    simulator: Simulator,
    error_of: ErrorOf,
    status: int,
    code: int,
    answered: int,
    kind: str,
) -> None:
    seed = 1_000_000 + code
    simulator.set_fault(status=status, code=code, description="the model's own words", count=None)
    response = ask(client, **SMALL, seed=seed, store=True)
    simulator.clear_faults()
    assert response.status_code == answered
    error = error_of(response)
    assert (error["type"], error["upstream_code"]) == (kind, code)
    assert "the model's own words" in error["message"]
    assert response.headers["x-model"] == DREAMSHAPER
    # the image that would have been stored
    made = ask(client, **SMALL, seed=seed)
    assert client.get(f"/images/{hashlib.sha256(made.content).hexdigest()}.png").status_code == 404


@pytest.mark.parametrize("model", [SCHNELL, DREAMSHAPER])
def test_an_answer_that_is_no_image_is_an_upstream_error(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, model: str
) -> None:
    simulator.set_fault(empty_body=True)
    response = ask(client, model=model, store=True)
    assert response.status_code == 502
    assert error_of(response)["type"] == "upstream_error"
    assert response.headers["x-model"] == model
    assert ask(client, **SMALL).status_code == 200


# ---- stored images -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "extension", "content_type"),
    [(SMALL, "png", "image/png"), ({"model": FLUX_2, "width": 256, "height": 256}, "jpg", "image/jpeg")],
)
def test_an_image_is_stored_under_the_hash_of_its_bytes(
    client: httpx.Client, body: dict[str, Any], extension: str, content_type: str
) -> None:
    made = ask(client, **body, seed=5)
    response = ask(client, **body, seed=5, store=True)
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    key = f"{hashlib.sha256(made.content).hexdigest()}.{extension}"
    answer = response.json()
    assert answer == {
        "key": key,
        "url": str(client.base_url.join(f"/images/{key}")),
        "content_type": content_type,
        "size": len(made.content),
        "model": body["model"],
    }
    assert response.headers["location"] == answer["url"]
    assert response.headers["x-model"] == body["model"]
    assert response.headers["x-ai-request-id"]
    got = client.get(answer["url"])
    assert got.status_code == 200
    assert got.content == made.content
    assert got.headers["content-type"] == content_type
    assert got.headers["content-length"] == str(len(made.content))


def test_the_same_image_has_the_same_key_however_often_it_is_stored(client: httpx.Client) -> None:
    one, same = stored(client, seed=6), stored(client, seed=6)
    assert one["key"] == same["key"] != stored(client, seed=7)["key"]
    assert client.get(one["url"]).status_code == 200


@pytest.mark.parametrize("prompt", ["東京 👋🏽 naïve café", "👋" * 2048, "a" * 2047 + "東", '" \\ \u0000 \n'])
def test_an_image_of_any_prompt_can_be_stored(client: httpx.Client, prompt: str) -> None:
    assert client.get(stored(client, prompt=prompt)["url"]).status_code == 200


def test_a_form_can_store_too(client: httpx.Client) -> None:
    response = client.post("/image", data={"prompt": "a fox", "store": "true"}, files={"image": picture()})
    assert response.status_code == 201
    assert client.get(response.json()["url"]).headers["content-type"] == "image/png"


def test_a_deleted_image_is_gone(client: httpx.Client, error_of: ErrorOf) -> None:
    url = stored(client, seed=61)["url"]
    assert client.delete(url).status_code == 204
    for method in ("GET", "DELETE"):
        response = client.request(method, url)
        assert response.status_code == 404
    assert error_of(client.delete("/images/passwords"))["type"] == "not_found"


def test_a_stored_image_may_be_kept_for_ever(client: httpx.Client) -> None:
    headers = client.get(stored(client)["url"]).headers
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"')
    assert headers["last-modified"].endswith(" GMT")


def test_head_tells_what_get_would(client: httpx.Client) -> None:
    url = stored(client)["url"]
    whole, head = client.get(url), client.head(url)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "last-modified", "cache-control"):
        assert head.headers[name] == whole.headers[name]
    # a range is a matter of GET
    assert client.head(url, headers={"range": "bytes=0-3"}).status_code == 200
    assert client.head(url, headers={"if-none-match": whole.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "key",
    [
        *("0" * 64 + end for end in (".png", "", ".svg", "0.png", ".png%00", ".png%0a", ".png%2f")),
        *("0" * 63 + ".png", "A" * 64 + ".png", "x.png", "..%2f..%2fsecret", "%ff"),
    ],
)
def test_an_unknown_image_key_is_not_found(client: httpx.Client, error_of: ErrorOf, key: str) -> None:
    response = client.get(f"/images/{key}")
    assert response.status_code == 404
    assert error_of(response)["type"] == "not_found"
    assert "immutable" not in response.headers.get("cache-control", "")
    assert client.head(f"/images/{key}").status_code == 404


def test_an_image_cannot_be_changed(client: httpx.Client, error_of: ErrorOf) -> None:
    response = client.put(stored(client)["url"], content=b"other")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, DELETE, HEAD"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": "ETAG"}, 304),
        ({"if-none-match": "W/ETAG"}, 304),
        ({"if-none-match": '"other", W/"another" ,ETAG'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"other", W/"another"'}, 200),
        ({"if-none-match": "without quotes"}, 200),
        ({"if-none-match": ""}, 200),
        ({"if-modified-since": "MODIFIED"}, 304),
        ({"if-modified-since": "Thu, 01 Jan 2099 00:00:00 GMT"}, 304),
        ({"if-modified-since": "Thu, 01 Jan 2015 00:00:00 GMT"}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        # a tag outweighs a date
        ({"if-none-match": '"other"', "if-modified-since": "MODIFIED"}, 200),
        ({"if-none-match": "ETAG", "if-modified-since": "Thu, 01 Jan 2015 00:00:00 GMT"}, 304),
        ({"if-match": "ETAG"}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": 'W/"x", ETAG'}, 200),
        ({"if-match": "W/ETAG"}, 412),
        ({"if-match": '"other"'}, 412),
        ({"if-unmodified-since": "MODIFIED"}, 200),
        ({"if-unmodified-since": "Thu, 01 Jan 2015 00:00:00 GMT"}, 412),
        ({"if-match": "ETAG", "if-unmodified-since": "Thu, 01 Jan 2015 00:00:00 GMT"}, 200),
        ({"if-match": "ETAG", "if-none-match": "ETAG"}, 304),
    ],
)
def test_a_condition_is_kept(client: httpx.Client, headers: dict[str, str], status: int) -> None:
    url = stored(client)["url"]
    whole = client.get(url)
    for name, value in headers.items():
        known = value.replace("ETAG", whole.headers["etag"]).replace("MODIFIED", whole.headers["last-modified"])
        headers = {**headers, name: known}
    response = client.get(url, headers=headers)
    assert response.status_code == status
    assert response.content == (whole.content if status == 200 else b"")
    assert response.headers["etag"] == whole.headers["etag"]
    assert ("immutable" in response.headers.get("cache-control", "")) == (status != 412)


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-199", 100, 199),
        ("BYTES= 10-19", 10, 19),
        ("bytes=100-", 100, -1),
        ("bytes=-100", -100, -1),
        ("bytes=-999999999", 0, -1),
        ("bytes=50-999999999", 50, -1),
    ],
)
def test_a_part_of_an_image_can_be_had(client: httpx.Client, span: str, first: int, last: int) -> None:
    url = stored(client)["url"]
    whole = client.get(url).content
    start, end = first % len(whole), last % len(whole)
    response = client.get(url, headers={"range": span})
    assert response.status_code == 206
    assert response.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"
    assert response.headers["content-length"] == str(end - start + 1)
    assert response.headers["content-type"] == "image/png"
    assert response.content == whole[start : end + 1]


@pytest.mark.parametrize("span", ["bytes=999999999-", "bytes=999999998-999999999", "bytes=-0"])
def test_a_part_outside_the_image_is_refused_with_its_size(client: httpx.Client, span: str) -> None:
    image = stored(client)
    response = client.get(image["url"], headers={"range": span})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{image['size']}"
    assert response.content == b""


@pytest.mark.parametrize(
    "headers",
    [
        # several parts, and what is no range at all
        {"range": "bytes=0-1,5-9"},
        {"range": "bytes=9-5"},
        {"range": "bytes=-"},
        {"range": "bytes=a-b"},
        {"range": "bytes=" + "9" * 5000 + "-"},
        {"range": "pages=1-2"},
        {"range": ""},
        # of another image than the one that the client has begun
        {"range": "bytes=0-9", "if-range": '"other"'},
        {"range": "bytes=0-9", "if-range": "W/ETAG"},
        {"range": "bytes=0-9", "if-range": "Thu, 01 Jan 2015 00:00:00 GMT"},
        {"range": "bytes=999999999-", "if-range": '"other"'},
    ],
)
def test_a_range_that_cannot_be_kept_brings_all_of_it(client: httpx.Client, headers: dict[str, str]) -> None:
    url = stored(client)["url"]
    whole = client.get(url)
    known = {name: value.replace("ETAG", whole.headers["etag"]) for name, value in headers.items()}
    response = client.get(url, headers=known)
    assert response.status_code == 200
    assert response.content == whole.content
    assert "content-range" not in response.headers


def test_a_download_goes_on_if_the_image_is_the_same(client: httpx.Client) -> None:
    url = stored(client)["url"]
    whole = client.get(url)
    for same in (whole.headers["etag"], whole.headers["last-modified"]):
        response = client.get(url, headers={"range": "bytes=10-", "if-range": same})
        assert response.status_code == 206
        assert response.content == whole.content[10:]


def test_a_condition_that_fails_outweighs_a_range(client: httpx.Client) -> None:
    url = stored(client)["url"]
    etag = client.get(url).headers["etag"]
    assert client.get(url, headers={"range": "bytes=0-9", "if-none-match": etag}).status_code == 304
    assert client.get(url, headers={"range": "bytes=0-9", "if-match": '"other"'}).status_code == 412


# ---- a bucket that fails, or is missing (no client can bring that about) -------------------------------------------


class FullBucket:
    def __init__(self) -> None:
        self.tried: dict[str, Any] = {}

    async def put(self, key: str, payload: Any, content_type: str, metadata: dict[str, str]) -> None:
        self.tried = {"key": key, "content_type": content_type, "metadata": metadata}
        raise ApiError("upstream_error", "The bucket could not answer: full")

    async def metadata(self, key: str) -> None:
        """None: the bucket is without this image."""


class Upload:
    """A payload of Python's own."""

    def __init__(self, content: bytes) -> None:
        self.size, self.body, self._content = len(content), content, content

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._content[start:end]

    async def sha256(self) -> str:
        return hashlib.sha256(self._content).hexdigest()


class OneModel:
    def __init__(self, image: bytes) -> None:
        self.calls, self.status, self.body = 0, 200, None
        self._image = image

    def header(self, name: str) -> str | None:
        return {"content-type": "image/png", "cf-ai-req-id": "the-call"}.get(name)

    async def run(self, *_: Any) -> "OneModel":
        self.calls += 1
        return self

    async def payload(self) -> Upload:
        return Upload(self._image)


def create(model: OneModel, bucket: FullBucket | None, **body: Any) -> ApiError:
    async def read_with_files(*_: Any) -> tuple[bytes, dict[str, Upload]]:
        return json.dumps({"prompt": "a red fox", **SMALL, **body}).encode(), {}

    request = SimpleNamespace(header={"content-type": "application/json"}.get, read_with_files=read_with_files)
    context: Any = SimpleNamespace(
        request=request, settings=Settings.read({}), ai=model, bucket=bucket or unbound("bucket"), log=RequestLog(),
        breaker=Breaker(), request_budget=RequestBudget(), caller=ANNA, tracer=NoTracer(),
    )  # fmt: skip
    with pytest.raises(ApiError) as caught:
        asyncio.run(route.create_image(context))
    return caught.value


def test_a_bucket_that_fails_is_an_upstream_error_of_the_call_that_was_made() -> None:
    bucket = FullBucket()
    prompt = "👋" * 2048
    error = create(OneModel(picture()), bucket, store=True, prompt=prompt, seed=9)
    assert (error.type, error.headers["x-ai-request-id"]) == ("upstream_error", "the-call")
    assert bucket.tried["key"] == f"images/{hashlib.sha256(picture()).hexdigest()}.png"
    assert bucket.tried["content_type"] == "image/png"
    kept = bucket.tried["metadata"]
    assert (kept["model"], kept["seed"], kept["owner"]) == (DREAMSHAPER, "9", "acme/site/anna")
    # clipped between two letters; R2 takes 8,192 bytes in all
    assert prompt.startswith(kept["prompt"])
    assert sum(len(text.encode()) for pair in kept.items() for text in pair) <= 8192


@pytest.mark.parametrize(("owner", "is_stored"), [("other/site/", False), ("acme/site/anna", False), ("", True)])
def test_an_image_that_has_an_owner_is_not_stored_again(owner: str, is_stored: bool) -> None:
    class FilledBucket(FullBucket):
        async def metadata(self, key: str) -> Any:
            return {"owner": owner}

    bucket: Any = FilledBucket()
    context: Any = SimpleNamespace(caller=ANNA)
    image: Any = Upload(picture())
    body = ImageRequest(prompt="a red fox")
    with suppress(ApiError):
        asyncio.run(route.store(context, bucket, body, catalogue.MODELS[DREAMSHAPER], image, "image/png"))
    assert bool(bucket.tried) is is_stored


def test_without_a_bucket_no_image_is_made_that_cannot_be_stored() -> None:
    model = OneModel(picture())
    assert create(model, None, store=True).type == "not_configured"
    assert model.calls == 0
