"""Fetching the pages of a site, which answers as it likes."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from aiworker.bindings import WebResponse
from aiworker.errors import ApiError
from aiworker.rag import crawl, robots
from aiworker.rag.crawl import PageError, Site
from aiworker.rag.robots import Robots

SITE = Site("example.com")


class Body:
    def __init__(self, text: str) -> None:
        self.size = len(text.encode())
        self._text = text

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._text.encode()[start:end]


class FakeWeb:
    """Answers by address: a text, a status, an address to redirect to, or an error."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers
        self.called: list[str] = []

    async def get(self, url: str, headers: Mapping[str, str], limit: int, seconds: float) -> WebResponse:
        self.called.append(url)
        answer = self._answers.get(url, 404)
        if isinstance(answer, ApiError):
            raise answer
        if isinstance(answer, int):
            return WebResponse(answer, {}, None)
        if answer.startswith("->"):
            return WebResponse(302, {"location": answer[2:]}, None)
        body: Any = Body(answer)
        return WebResponse(200, {"content-type": "text/html"}, body)


def resources(answers: Mapping[str, Any], hosts: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(web=FakeWeb(answers), settings=SimpleNamespace(sync_hosts=hosts))


async def failure(answers: Mapping[str, Any], url: str = "https://example.com/", site: Site = SITE) -> str:
    with pytest.raises(PageError) as raised:
        await crawl.fetch(resources(answers), site, url, 100)
    return str(raised.value)


async def test_redirects_within_the_site_are_followed() -> None:
    answers = {
        "https://example.com/": "->/a",
        "https://example.com/a": "->http://www.example.com/b",
        "http://www.example.com/b": "b",
    }
    page = await crawl.fetch(resources(answers), SITE, "https://example.com/#top", 100)
    assert (page.url, page.response.status) == ("http://www.example.com/b", 200)


async def test_a_redirect_that_leads_nowhere_is_told() -> None:
    assert await failure({"https://example.com/": "->/"}) == "It redirects to itself."
    chain = {f"https://example.com/{n}": f"->/{n + 1}" for n in range(10)}
    assert await failure(chain, "https://example.com/0") == "It redirects more than 5 times."
    circle = {"https://example.com/": "->/a", "https://example.com/a": "->/"}
    assert await failure(circle) == "It redirects to itself."


@pytest.mark.parametrize(
    "target",
    ["https://example.org/", "//evil.example/", "http://127.0.0.1/", "http://localhost/", "http://169.254.169.254/"],
)
async def test_a_redirect_that_leaves_the_site_is_not_followed(target: str) -> None:
    web = resources({"https://example.com/": f"->{target}"})
    with pytest.raises(PageError):
        await crawl.fetch(web, SITE, "https://example.com/", 100)
    assert web.web.called == ["https://example.com/"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://[", "javascript:x", "https://user@example.com/"])
async def test_a_redirect_to_no_address_of_the_web_is_not_followed(target: str) -> None:
    assert await failure({"https://example.com/": f"->{target}"})


async def test_a_site_out_of_reach_is_told() -> None:
    error = ApiError("timeout", "The site has not answered within 30 seconds.")
    assert await failure({"https://example.com/": error}) == error.message


async def test_rules_hold_behind_a_redirect() -> None:
    site = Site("example.com", Robots.parse("User-agent: *\nDisallow: /secret"))
    assert "robots.txt" in await failure({"https://example.com/": "->/secret"}, site=site)


@pytest.mark.parametrize(
    ("answer", "is_allowed"),
    [
        ("User-agent: *\nDisallow: /a", False),
        ("", True),
        (404, True),
        (403, True),
        (429, False),
        (500, False),
        (200, True),
    ],
)
async def test_robots_txt_is_read_as_its_status_says(answer: Any, is_allowed: bool) -> None:
    answers = {"https://example.com/robots.txt": "User-agent: x" if answer == 200 else answer}
    rules = await crawl.read_robots(resources(answers), "https://example.com/sitemap.xml?x")
    assert rules.allows("https://example.com/a") is is_allowed


async def test_a_robots_txt_out_of_reach_forbids_everything() -> None:
    unreachable = resources({"https://example.com/robots.txt": ApiError("upstream_error", "no")})
    assert await crawl.read_robots(unreachable, "https://example.com/") == robots.NOTHING


async def test_sitemaps_of_a_sitemap_are_read() -> None:
    answers = {
        "https://example.com/all.xml": "<sitemapindex><loc>https://example.com/1.xml</loc><loc>/2.xml</loc></sitemapindex>",
        "https://example.com/1.xml": "<urlset><loc>https://example.com/a</loc></urlset>",
        "https://example.com/2.xml": "<urlset><loc>https://example.com/b</loc></urlset>",
    }
    answers["https://example.com/all.xml"] = answers["https://example.com/all.xml"].replace(
        "/2.xml", "https://example.com/2.xml"
    )
    addresses = await crawl.read_sitemap(resources(answers), SITE, "https://example.com/all.xml")
    assert addresses == ["https://example.com/a", "https://example.com/b"]


@pytest.mark.parametrize(
    "answer", [500, 404, "<html></html>", "<sitemapindex><loc>https://example.com/</loc></sitemapindex>"]
)
async def test_a_sitemap_that_lists_nothing_is_an_error(answer: Any) -> None:
    with pytest.raises(PageError):
        await crawl.read_sitemap(resources({"https://example.com/": answer}), SITE, "https://example.com/")


def test_the_title_of_a_page_is_read() -> None:
    assert crawl.title("<html><TITLE lang=en>\n A &amp; B\n</TITLE>") == "A & B"
    assert crawl.title("<title> </title>") is None
    assert crawl.title("# Markdown") is None
