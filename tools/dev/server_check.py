"""Check whether a running server can pass the HTTP tests, before hundreds of them fail."""

import httpx


class Unreachable(Exception):  # noqa: N818 - a sentence for the user, not an error of ours
    """No server answers at the address."""


def complaint(url: str) -> str | None:
    """Return a sentence about the setting that keeps the tests from passing on a server; None if there is none.

    RATE_LIMITS and BREAKER cannot be seen from outside. Raises Unreachable.
    """
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            return _of_health(client) or _of_search(client)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"{url} cannot be reached: {error}.") from error


def _of_health(client: httpx.Client) -> str | None:
    response = client.get("/health")
    try:
        access = response.json()["access"]
    except (ValueError, KeyError, TypeError):
        return f"{client.base_url} is not aiworker: it answers GET /health with status {response.status_code}."
    if access != "public":
        return f"{client.base_url} is not open to all: its AUTH_MODE is {access}, and the tests send no keys."
    return None


def _of_search(client: httpx.Client) -> str | None:
    """Search as the tests do: with their metadata properties, in a tenant, which PUBLIC_SCOPES has to allow."""
    wanted = {"kind": "none", "year": 0, "folder": "none"}
    response = client.post("/rag/search", json={"query": "probe", "filter": wanted, "stages": {"vector": False}})
    if response.is_success:
        return None
    message = response.json()["error"]["message"] if "json" in response.headers.get("content-type", "") else ""
    return f"{client.base_url} refuses a search as the tests make it, with status {response.status_code}: {message}"
