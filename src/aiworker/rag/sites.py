"""Addresses on the web that the Worker may fetch: public ones, or those of hosts that a variable names."""

import html
import re
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from urllib.parse import urldefrag, urlsplit

from aiworker.errors import ApiError

PORTS = {"http": 80, "https": 443}
MAX_URL_CHARACTERS = 2_000
PRIVATE_SUFFIXES = (
    "localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa", "onion",
    # names that lead to an address that they contain, or to this machine
    "nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me", "vcap.me",
)  # fmt: skip
"""Ends of names that stand for private networks."""
NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))+")
NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
"""Last part of a host that is an IP address. Any form but the usual four numbers is refused."""
LOCATION = re.compile(r"<loc>\s*(?:<!\[CDATA\[)?([^<\]]{1,2100})", re.IGNORECASE)
INDEX = re.compile(r"<sitemapindex\b", re.IGNORECASE)


def check(url: str, hosts: Collection[str], variable: str = "SYNC_HOSTS") -> str:
    """Return the address without its fragment. Raises ApiError `invalid_request` for one that may not be fetched.

    hosts: the only ones, with or without a port, that may be fetched, private ones too; empty for all public ones.
    variable: the variable that names these hosts, for the message.
    """
    address, host, port = _parse(url)
    if hosts:
        if host not in hosts and f"{host}:{port}" not in hosts:
            raise _refused(url, f"is on a host that the Worker's variable {variable} does not name")
    elif port not in PORTS.values():
        raise _refused(url, "must not name a port")
    elif not _is_public(host):
        raise _refused(url, "leads to a private network")
    return address


def _parse(url: str) -> tuple[str, str, int]:
    """Return an address without its fragment, its host and its port."""
    try:
        address = urldefrag(url.strip()).url
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise _refused(url, "is no valid address") from None
    if len(address) > MAX_URL_CHARACTERS or not host or re.search(r"[\s\\]", address):
        raise _refused(url, "is no valid address")
    if parts.scheme not in PORTS:
        raise _refused(url, "must begin with https:// or http://")
    if "@" in parts.netloc:
        raise _refused(url, "must not have a user name or a password")
    return address, host, port or PORTS[parts.scheme]


def site(url: str) -> str:
    """Return the host of an address with its port, without `www.`. Two addresses of one site have the same."""
    return urlsplit(url).netloc.lower().rpartition("@")[2].removeprefix("www.")


def locations(sitemap: str) -> tuple[list[str], bool]:
    """Return the addresses in a sitemap, and whether they are those of further sitemaps."""
    addresses = [html.unescape(each).strip() for each in LOCATION.findall(sitemap)]
    return list(dict.fromkeys(addresses)), INDEX.search(sitemap) is not None


def _is_public(host: str) -> bool:
    if ":" in host:
        return _is_public_address(host)
    name = _ascii(host)  # as clients read a host: dots, digits and letters of all scripts are replaced by ASCII
    if NUMBER.fullmatch(name.rpartition(".")[2]):
        return _is_public_address(name)
    is_private = any(f".{name}".endswith(f".{suffix}") for suffix in PRIVATE_SUFFIXES)
    return NAME.fullmatch(name) is not None and not is_private


def _is_public_address(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:  # 127.1, 0x7f000001, 017700000001, a zone
        return False
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour or address.teredo):
        return False
    return address.is_global and not address.is_multicast and not f"{address}".startswith("64:ff9b:")


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode().lower().rstrip(".")
    except UnicodeError:
        return ""


def _refused(url: str, reason: str) -> ApiError:
    return ApiError("invalid_request", f"{url[:200]} {reason}.", param="url")
