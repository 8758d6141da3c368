"""Addresses that a sync may fetch, sitemaps and robots.txt."""

import pytest

from aiworker.errors import ApiError
from aiworker.rag import sites
from aiworker.rag.robots import EVERYTHING, NOTHING, Robots

PUBLIC = [
    "https://example.com",
    "http://example.com/a?b=c",
    "https://docs.example.co.uk/über",
    "https://bücher.example/",
    "https://93.184.215.14/",
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    "https://EXAMPLE.com:443/",
]
PRIVATE = [
    "http://localhost/", "http://localhost./", "http://a.localhost", "http://LOCALHOST:80",
    "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/",
    "http://017700000001/", "http://0177.0.0.1/", "http://0/", "http://0.0.0.0/", "http://10.1.2.3/",
    "http://172.16.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://169.254.169.254/latest/meta-data",
    "http://224.0.0.1/", "http://255.255.255.255/", "http://[::1]/", "http://[::]/", "http://[fe80::1]/",
    "http://[fc00::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:8.8.8.8]/", "http://[2002:7f00:1::]/",
    "http://[64:ff9b::7f00:1]/", "http://[fe80::1%25eth0]/", "http://metadata.google.internal/", "http://router/",
    "http://nas.local/", "http://host.lan", "http://127.0.0.1.nip.io/", "http://10-0-0-1.sslip.io/", "http://localtest.me/",
    "http://\u2460\u2461\u2466.0.0.1/", "http://127\u30020\u30020\u30021/",
    "http://loc\u00adalhost/", "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/", "http://localhost\u3002/",
]  # fmt: skip
INVALID = [
    "", "example.com", "//example.com", "/path", "ftp://example.com", "file:///etc/passwd", "javascript:alert(1)",
    "https://", "https://user@example.com", "https://a:b@example.com", "https://example.com:8080/",
    "https://example.com:x/", "https://exa mple.com/", "https://example.com\\@127.0.0.1/", "https://[::1",
    "https://example.com/" + "a" * 2_000, "http://-a.com/",
]  # fmt: skip


@pytest.mark.parametrize("url", PUBLIC)
def test_a_public_address_may_be_fetched(url: str) -> None:
    assert sites.check(f"{url}#fragment", ()) == url


@pytest.mark.parametrize("url", [*PRIVATE, *INVALID])
def test_a_private_or_invalid_address_may_not_be_fetched(url: str) -> None:
    with pytest.raises(ApiError) as refused:
        sites.check(url, ())
    assert refused.value.type == "invalid_request"


def test_named_hosts_are_the_only_ones() -> None:
    hosts = ("example.com", "127.0.0.1:8080")
    for allowed in ("https://example.com/a", "http://example.com:81/", "http://127.0.0.1:8080/"):
        assert sites.check(allowed, hosts) == allowed
    for refused in ("https://www.example.com/", "http://127.0.0.1/", "http://127.0.0.1:8081/", "ftp://example.com/"):
        with pytest.raises(ApiError):
            sites.check(refused, hosts)


def test_a_site_is_its_host() -> None:
    assert sites.site("https://www.Example.com/a") == sites.site("http://example.com") == "example.com"
    assert sites.site("http://example.com:81/") != sites.site("http://example.com/")
    assert sites.site("https://docs.example.com") != sites.site("https://example.com")


def test_addresses_of_a_sitemap_are_found() -> None:
    text = """<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
    <url><loc> https://example.com/?a=1&amp;b=2 </loc><lastmod>2026-01-01</lastmod></url>
    <url><LOC><![CDATA[https://example.com/c]]></LOC></url><url><loc>https://example.com/c</loc></url></urlset>"""
    assert sites.locations(text) == (["https://example.com/?a=1&b=2", "https://example.com/c"], False)
    index = "<sitemapindex><sitemap><loc>https://example.com/1.xml</loc></sitemap></sitemapindex>"
    assert sites.locations(index) == (["https://example.com/1.xml"], True)
    assert sites.locations("<html>no sitemap</html>") == ([], False)


ROBOTS = """
Sitemap: https://example.com/sitemap.xml
User-agent: other
Disallow: /

user-agent : *   # everybody
crawl-delay: 1
disallow: /private/
disallow: /*.pdf$
disallow: /search?
allow: /private/open
disallow:

User-Agent: another
User-Agent: AnotherBot
Disallow: /nothing
"""


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("", True), ("/", True), ("/private", True), ("/private/", False), ("/private/open/a", True), ("/a.pdf", False),
        ("/a.pdf?x", True), ("/deep/b.PDF", True), ("/search", True), ("/search?q=1", False), ("/nothing", True),
    ],
)  # fmt: skip
def test_the_longest_rule_decides(path: str, is_allowed: bool) -> None:
    assert Robots.parse(ROBOTS).allows(f"https://example.com{path}") is is_allowed


def test_a_group_for_this_worker_replaces_the_one_for_everybody() -> None:
    rules = Robots.parse("User-agent: AIWORKER\nUser-agent: x\nDisallow: /a\n\nUser-agent: *\nDisallow: /")
    assert rules.allows("https://example.com/b")
    assert not rules.allows("https://example.com/a")
    assert Robots.parse("User-agent: aiworker\n\nUser-agent: *\nDisallow: /").allows("https://example.com/a") is False
    assert Robots.parse("User-agent: aiworker\nDisallow:\n\nUser-agent: *\nDisallow: /").allows("https://example.com/a")


def test_a_file_that_is_no_robots_txt_allows_everything() -> None:
    for text in ("", "<html>not found</html>", "disallow: /", "\0\ufeff:::\n:"):
        assert Robots.parse(text).allows("https://example.com/a")
    assert EVERYTHING.allows("https://example.com/a")
    assert not NOTHING.allows("https://example.com/a")


def test_a_rule_of_many_stars_is_quickly_decided() -> None:
    rules = Robots.parse("User-agent: *\nDisallow: /" + "*a" * 500 + "b$")
    assert rules.allows("https://example.com/" + "a" * 1_500)
