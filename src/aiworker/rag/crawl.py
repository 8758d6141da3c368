"""Fetching the pages of one site: redirects, robots.txt and sitemaps."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from aiworker import __version__
from aiworker.bindings import WebResponse
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.rag import robots, sites
from aiworker.rag.robots import Robots

MAX_PAGES = 1_000
"""Pages of one site."""
MAX_PAGE_BYTES = 10_485_760
MAX_SITEMAP_BYTES = 2_097_152
"""Bytes of a sitemap, which enters Python."""
MAX_SITEMAPS = 20
"""Sitemaps of one site, when its sitemap is a list of others."""
MAX_REDIRECTS = 5
SECONDS = 30.0
"""Time limit of one page."""
REDIRECTS = (301, 302, 303, 307, 308)
GONE = (404, 410)
USER_AGENT = f"{robots.PRODUCT}/{__version__}"
HTML_TITLE = re.compile(r"<title[^>]*>([^<]{1,1000})", re.IGNORECASE)


class PageError(Exception):
    """A page cannot be indexed. The message is for the owner of the documents."""


@dataclass(frozen=True)
class Site:
    """A site, and what it lets this Worker fetch."""

    host: str
    """The host, as sites.site returns it."""
    rules: Robots = robots.EVERYTHING


@dataclass(frozen=True)
class Page:
    url: str
    """The address that has answered, after redirects."""
    response: WebResponse


async def fetch(resources: Resources, site: Site, url: str, limit: int, headers: Mapping[str, str] = {}) -> Page:
    """Fetch a page of a site, following its redirects within the site.

    Raises PageError for an address that may not be fetched, and for a site that cannot be reached or is too slow.
    """
    seen: list[str] = []
    try:
        while True:
            url = sites.check(url, resources.settings.sync_hosts)
            _check_redirect(site, url, seen)
            if not site.rules.allows(url):
                raise PageError("The site's robots.txt forbids it.")
            sent = {"user-agent": USER_AGENT, **headers}
            response = await resources.web.get(url, sent, limit, SECONDS)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or not location:
                return Page(url, response)
            seen.append(url)
            url = _target(url, location)
    except ApiError as error:
        raise PageError(error.message) from error


def _target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise PageError("It redirects to an invalid address.") from None


def _check_redirect(site: Site, url: str, seen: Sequence[str]) -> None:
    if sites.site(url) != site.host:
        raise PageError(f"It redirects to another site, {sites.site(url)[:100]}." if seen else "It is on another site.")
    if url in seen:
        raise PageError("It redirects to itself.")
    if len(seen) > MAX_REDIRECTS:
        raise PageError(f"It redirects more than {MAX_REDIRECTS} times.")


async def read_robots(resources: Resources, url: str) -> Robots:
    """Return the rules of the site of an address; rules that allow nothing if its robots.txt cannot be read for now."""
    parts = urlsplit(url)
    site = Site(sites.site(url))
    try:
        page = await fetch(resources, site, f"{parts.scheme}://{parts.netloc}/robots.txt", robots.MAX_BYTES)
    except PageError:
        return robots.NOTHING
    if 400 <= page.response.status < 500 and page.response.status != 429:
        return robots.EVERYTHING
    if page.response.body is None:
        return robots.NOTHING
    return Robots.parse(page.response.body.read().decode(errors="replace"))


async def read_sitemap(resources: Resources, site: Site, url: str) -> list[str]:
    """Return the addresses that a sitemap lists, or the sitemaps that it lists. Raises PageError."""
    waiting, pages = [url], dict[str, None]()
    for _ in range(MAX_SITEMAPS):
        if not waiting or len(pages) > MAX_PAGES:
            break
        page = await fetch(resources, site, waiting.pop(0), MAX_SITEMAP_BYTES)
        if page.response.body is None:
            raise PageError(f"The sitemap {page.url} is answered with status {page.response.status}.")
        text = page.response.body.read().decode(errors="replace")
        addresses, is_index = sites.locations(text)
        if is_index:
            waiting += addresses
        else:
            pages |= dict.fromkeys(addresses)
    if not pages:
        raise PageError("The sitemap lists no addresses.")
    return list(pages)


def title(head: str) -> str | None:
    """Return the title of an HTML page. head: the first characters of it."""
    match = HTML_TITLE.search(head)
    return " ".join(html.unescape(match[1]).split())[:500] or None if match else None
