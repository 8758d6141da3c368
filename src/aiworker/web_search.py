"""The tool `web_search`: Cloudflare's Web Search API through AI Gateway, if WEB_SEARCH names a provider."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json

from aiworker.bindings import UpstreamResponse
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.models.call_failure import read_failure
from aiworker.models.vendors.prices import NEURONS_PER_DOLLAR
from aiworker.tools import WorkerTool

PRICES = {"ceramic": 0.25 / 1000, "exa": 7 / 1000, "linkup": 5 / 1000}
"""Provider → dollars of a search. Source: developers.cloudflare.com/web-search/providers"""
MAX_QUERY_CHARACTERS, MAX_RESULTS = 1_024, 10
"""Source: developers.cloudflare.com/web-search/how-to-use"""
MAX_DESCRIPTION = 2_000
"""Characters of a page's description that a model is sent: providers have up to 8,000."""
MAX_TITLE = 300
DEFAULT_GATEWAY = "default"
"""The gateway that every account has; searches need one."""
SECONDS = 30.0


class SearchArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARACTERS)]
    limit: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = 5


def tools_of(resources: Resources) -> dict[str, WorkerTool]:
    """Return the tool by its name; nothing if the Worker has none."""
    if resources.settings.web_search == "off":
        return {}

    async def web_search(query: str, limit: int) -> list[dict[str, str]]:
        """Search the web. Returns title, address and description of each page that was found, the best first."""
        return await search(resources, query, limit)

    return {"web_search": WorkerTool(web_search, SearchArguments)}


async def search(resources: Resources, query: str, limit: int) -> list[dict[str, str]]:
    """Return `title`, `url` and `description` of the pages that the provider finds.

    The search counts against the budgets and in the log as neurons, at the provider's list price. Raises ApiError
    `budget_exceeded` before the call, and otherwise the errors of model calls.
    """
    provider = resources.settings.web_search
    cost = PRICES[provider] * NEURONS_PER_DOLLAR
    [reservation] = await resources.request_budget.reserve([cost])
    request = {
        "gatewayId": resources.settings.gateway_id or DEFAULT_GATEWAY,
        "query": query, "limit": limit, "provider": provider,
    }  # fmt: skip
    response = await resources.ai.web_search(request, SECONDS)
    if not 200 <= response.status < 300:
        reservation.cost = 0
        raise (await read_failure(response, {})).error
    reservation.cost = cost
    resources.log.record_usage({}, cost)
    return await _pages(response)


async def _pages(response: UpstreamResponse) -> list[dict[str, str]]:
    try:
        data = from_json(await response.text())
    except ValueError:
        raise ApiError("upstream_error", "The web search returned something other than JSON.") from None
    items: Any = cast("dict[str, Any]", data).get("items") if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise ApiError("upstream_error", "The web search returned no list of results.")
    pages = [cast("dict[str, Any]", item) for item in cast("list[Any]", items) if isinstance(item, dict)]
    return [_page(each) for each in pages[:MAX_RESULTS] if isinstance(each.get("url"), str)]


def _page(item: Mapping[str, Any]) -> dict[str, str]:
    texts = {"title": item.get("title"), "url": item["url"], "description": item.get("description")}
    lengths = {"title": MAX_TITLE, "url": MAX_DESCRIPTION, "description": MAX_DESCRIPTION}
    return {name: text[: lengths[name]] for name, text in texts.items() if isinstance(text, str)}
