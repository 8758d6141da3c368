"""Model inputs as the REST API takes them: JSON, a form, or the bytes of one sound or image."""

from typing import Any

from starlette.requests import Request

from workers_ai_simulator.catalogue import known
from workers_ai_simulator.errors import UpstreamError, incomplete
from workers_ai_simulator.gateway.options import from_headers
from workers_ai_simulator.http import form_fields, media_type, object_body
from workers_ai_simulator.validation import invalid
from workers_ai_simulator.vendors.models import find_vendor_model

GATEWAY_HEADER = "cf-aig-gateway-id"
DEFAULT_GATEWAY = "default"

JSON_MEDIA_TYPES = {"", "application/json", "application/x-www-form-urlencoded", "text/plain"}
"""Media types of bodies that may be JSON. curl declares any data a form unless it is given another type, and
Cloudflare's own examples give it none."""


async def inputs_for(model: str, request: Request) -> dict[str, Any]:
    """Inputs in the request's body for that model; bytes become its `audio` or `image`.

    Raises UpstreamError 3003 for a body that begins as a JSON object and is not one, 5007 for bytes if there is no such
    model.
    """
    declared = media_type(request)
    if declared == "multipart/form-data":
        return await form_fields(request)
    body = await request.body()
    if declared in JSON_MEDIA_TYPES and body.lstrip().startswith(b"{"):
        return await json_inputs(request)
    return {"audio" if known(model).task == "speech-to-text" else "image": body}


async def json_inputs(request: Request) -> dict[str, Any]:
    """Inputs in the request's body, which must be a JSON object. Raises UpstreamError 3003 for any other body."""
    return await object_body(request, _not_an_object)


async def model_and_inputs(request: Request, needed: str) -> tuple[str, dict[str, Any]]:
    """Model and inputs of an OpenAI-compatible request, whose body names the model.

    Raises UpstreamError 3003 for a body that is no JSON object, 5006 if `model` or the input `needed` is missing.
    """
    inputs = await json_inputs(request)
    missing = [name for name in ("model", needed) if name not in inputs]
    if missing:
        raise invalid(f"required properties at '/' are '{','.join(missing)}'")
    return str(inputs.pop("model")), inputs


def gateway_options(request: Request, model: str) -> dict[str, Any]:
    """Options of a call of the REST API: `gateway`, if its header names one, or if the model is another vendor's.

    After https://developers.cloudflare.com/ai-gateway/usage/rest-api/: other vendors' models go through the account's
    default gateway, and Workers AI's through one only if the header names it.
    """
    gateway_id = request.headers.get(GATEWAY_HEADER)
    if gateway_id is None and find_vendor_model(model) is None:
        return {}
    return {"gateway": from_headers(gateway_id or DEFAULT_GATEWAY, request.headers) | {"surface": "run"}}


def _not_an_object(_: str) -> UpstreamError:
    return incomplete("the body must be a JSON object")
