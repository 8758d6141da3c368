"""HTML, prepared as upstream documents, and written as Markdown.

https://developers.cloudflare.com/workers-ai/features/markdown-conversion/how-it-works/#html
"""

import base64
import json
from itertools import islice
from textwrap import indent
from typing import Any, cast
from urllib.parse import unquote_to_bytes, urljoin

from bs4 import BeautifulSoup, Tag
from markdownify import ATX, MarkdownConverter
from soupsieve import SelectorSyntaxError

from workers_ai_simulator.markdown.pictures import Embedded
from workers_ai_simulator.markdown.source import SentFile, Unconvertible, decoded, section

NEVER_SHOWN = frozenset(("script", "style", "head", "template", "noscript", "iframe", "object", "svg"))
BOILERPLATE = frozenset(("header", "footer", "nav"))
"""Left out unless a `cssSelector` says what to keep. Upstream names header and footer as examples."""

META = {"description": ("description", "og:description"), "title": ("og:title",), "image": ("og:image",)}
"""Line of the front matter → names of the meta elements that it comes from; a title of the page's own goes first."""

DEEPEST = 100
"""Levels of elements that are converted; of what lies deeper the text is kept."""

WIDEST_CELL = 50
"""Columns that one cell may span."""


def convert_html(file: SentFile, options: dict[str, Any]) -> str:
    """The page's metadata as front matter, its content, its JSON-LD as a block of code.

    `html.cssSelector` chooses the elements that are kept, `html.hostname` and the page's `<base>` resolve its links,
    `html.images` (`convert`, `maxConvertedImages`, …) has pictures in data URLs described; pictures elsewhere are left
    out. Front matter and block are as in Cloudflare's Markdown for Agents: for this call their form is not documented.

    Raises Unconvertible for a selector that is none.
    """
    wanted = section(options, "html")
    page = Page(decoded(file), "html.parser")
    selector = wanted.get("cssSelector")
    writer = _Writer(
        Embedded(section(wanted, "images")),
        _base(page, wanted.get("hostname")),
        frozenset() if selector else BOILERPLATE,
    )
    content = [writer.write(part) for part in (_selected(page, str(selector)) if selector else [page])]
    parts = [_front_matter(page), *content, *_structured_data(page)]
    return "\n\n".join(part for part in parts if part)


def html_to_markdown(html: str, pictures: Embedded) -> str:
    """HTML that another converter has made: everything in it is content."""
    return _Writer(pictures, "", frozenset()).write(Page(html, "html.parser"))


# ---- reading -----------------------------------------------------------------------------------------------------

BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section"),
        *("table", "ul"),
    )
)

CLOSES = {
    **dict.fromkeys(BLOCKS, frozenset(("p",))),
    "li": frozenset(("li",)),
    "dt": frozenset(("dt", "dd")),
    "dd": frozenset(("dt", "dd")),
    "tr": frozenset(("tr",)),
    "td": frozenset(("td", "th")),
    "th": frozenset(("td", "th")),
    "option": frozenset(("option",)),
}
"""Start tag → the open elements that it ends: https://html.spec.whatwg.org/#optional-tags"""

BOUNDARIES = {
    **dict.fromkeys(CLOSES, (BLOCKS | {"td", "th", "caption", "body"}) - {"p"}),
    **dict.fromkeys(("tr", "td", "th"), frozenset(("table",))),
}
"""Start tag → the open elements behind which it ends nothing."""

ENDED_WITHIN = 20
"""Levels up to which an element is looked for that a start tag ends."""


class Page(BeautifulSoup):
    """HTML whose optional end tags may be missing: `html.parser` by itself would nest what follows."""

    def handle_starttag(self, name: str, *others: Any, **named: Any) -> Tag | None:
        if name in CLOSES and self.currentTag is not None:
            for element in (self.currentTag, *islice(self.currentTag.parents, ENDED_WITHIN)):
                if element.name in CLOSES[name]:
                    self.handle_endtag(element.name)
                    break
                if element.name in BOUNDARIES[name]:
                    break
        return super().handle_starttag(name, *others, **named)


def _selected(page: Page, selector: str) -> list[Tag]:
    """The elements that match, without those inside another that matches."""
    try:
        found = page.select(selector)
    except (SelectorSyntaxError, NotImplementedError) as error:
        raise Unconvertible(f"The option html.cssSelector is not valid: {str(error).splitlines()[0]}") from None
    matching = {id(element) for element in found}
    return [element for element in found if not any(id(parent) in matching for parent in element.parents)]


def _base(page: Page, hostname: object) -> str:
    """The address from which relative links start; empty if none is known."""
    host = str(hostname or "")
    if host and "://" not in host:
        host = f"https://{host}"
    element = page.find("base", href=True)
    return _joined(host, str(element["href"])) if isinstance(element, Tag) else host


def _joined(base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError:  # such as http://[
        return address


def _front_matter(page: Page) -> str:
    said: dict[str, str] = {}
    for element in page.find_all("meta", content=True):
        name = str(element.get("name") or element.get("property") or "").lower()
        said.setdefault(name, " ".join(str(element["content"]).split()))
    lines = {line: next((said[name] for name in names if said.get(name)), "") for line, names in META.items()}
    if page.title and page.title.get_text().strip():
        lines["title"] = " ".join(page.title.get_text().split())
    written = [f"{line}: {value}" for line, value in lines.items() if value]
    return "\n".join(["---", *written, "---"]) if written else ""


def _structured_data(page: Page) -> list[str]:
    blocks: list[str] = []
    for element in page.find_all("script", type="application/ld+json"):
        try:
            content = json.dumps(json.loads(element.get_text()), ensure_ascii=False, separators=(",", ":"))
        except (ValueError, RecursionError):
            continue
        blocks.append(f"```json\n{content}\n```")
    return blocks


# ---- writing -----------------------------------------------------------------------------------------------------


def _language(element: Tag) -> str:
    """Of a `<pre>`, from the class `language-…` of it or of the `<code>` in it."""
    for each in (element, element.code):
        for name in each.get_attribute_list("class") if each else ():
            if str(name).startswith("language-"):
                return str(name).removeprefix("language-")
    return ""


class _Writer(MarkdownConverter):
    def __init__(self, pictures: Embedded, base: str, left_out: frozenset[str]) -> None:
        super().__init__(heading_style=ATX, bullets="*", table_infer_header=True, code_language_callback=_language)
        self._pictures = pictures
        self._base = base
        self._left_out = NEVER_SHOWN | left_out
        self._depth = 0
        self._numbers: dict[int, int] = {}

    def write(self, element: Tag) -> str:
        return str(self.convert_soup(element)).strip()

    def process_tag(self, node: Tag, parent_tags: set[str] | None = None) -> str:
        if node.name in self._left_out:
            return ""
        if self._depth == DEEPEST:
            return " ".join(node.get_text(" ").split())
        self._depth += 1
        try:
            return str(cast("Any", super()).process_tag(node, parent_tags=parent_tags))
        finally:
            self._depth -= 1

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if self._base and el.get("href"):
            el["href"] = _joined(self._base, str(el["href"]))
        return str(cast("Any", super()).convert_a(el, text, parent_tags))

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 - given by name
        address = str(el.get("src") or "")
        if not address.startswith("data:") or not self._pictures.wanted:
            return ""
        kind, _, content = address.partition(",")
        try:
            picture = base64.b64decode(content) if kind.endswith(";base64") else unquote_to_bytes(content)
        except ValueError:
            return ""
        return self._pictures.describe(picture)

    def convert_li(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if el.parent is None or el.parent.name != "ol":
            return str(cast("Any", super()).convert_li(el, text, parent_tags))
        # the original counts all items before each item: minutes for a list of 20,000
        start = str(el.parent.get("start") or "")[:9]
        number = self._numbers.get(id(el.parent), int(start) if start.isdecimal() else 1)
        self._numbers[id(el.parent)] = number + 1
        mark = f"{number}. "
        return mark + indent(text.strip(), " " * len(mark))[len(mark) :] + "\n"

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        span = str(el.get("colspan") or "1")
        if not span.isdecimal() or not 1 <= int(span[:9]) <= WIDEST_CELL:
            el["colspan"] = "1"
        return str(cast("Any", super()).convert_td(el, text, parent_tags))

    def convert_th(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return self.convert_td(el, text, parent_tags)
