"""HTML as Markdown, prepared as upstream documents it.

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

from workers_ai_simulator.markdown.encoding import decoded
from workers_ai_simulator.markdown.errors import UnconvertibleError
from workers_ai_simulator.markdown.models import InputFile, section
from workers_ai_simulator.markdown.pictures import Embedded

HIDDEN = frozenset(("script", "style", "head", "template", "noscript", "iframe", "object", "svg"))
BOILERPLATE = frozenset(("header", "footer", "nav"))
"""Elements left out unless a `cssSelector` selects the content. Upstream names header and footer as examples."""

META = {"description": ("description", "og:description"), "title": ("og:title",), "image": ("og:image",)}
"""Line of the front matter → names of the meta elements that supply it. The page's `<title>` takes precedence."""

MAX_DEPTH = 100
"""Levels of elements that are converted; deeper elements become their text."""

MAX_COLUMN_SPAN = 50
"""Columns that one cell may span."""


def convert_html(file: InputFile, options: dict[str, Any]) -> str:
    """Convert to the page's metadata as front matter, its content, and its JSON-LD as a block of code.

    `html.cssSelector` selects the content, `html.hostname` and the page's `<base>` resolve its links, `html.images`
    (`convert`, `maxConvertedImages`, …) has pictures in data URLs described; other pictures are left out. Front matter
    and JSON-LD have the form of Cloudflare's Markdown for Agents: for this call, none is documented.

    Raises UnconvertibleError for an invalid selector.
    """
    html_options = section(options, "html")
    page = Page(decoded(file), "html.parser")
    selector = html_options.get("cssSelector")
    writer = _Writer(
        Embedded(section(html_options, "images")),
        _base(page, html_options.get("hostname")),
        frozenset() if selector else BOILERPLATE,
    )
    content = [writer.write(part) for part in (_selected(page, str(selector)) if selector else [page])]
    parts = [_front_matter(page), *content, *_structured_data(page)]
    return "\n\n".join(part for part in parts if part)


def html_to_markdown(html: str, pictures: Embedded) -> str:
    """Convert HTML from another converter, in which everything is content."""
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
"""Start tag → open elements that it closes: https://html.spec.whatwg.org/#optional-tags"""

BOUNDARIES = {
    **dict.fromkeys(CLOSES, (BLOCKS | {"td", "th", "caption", "body"}) - {"p"}),
    **dict.fromkeys(("tr", "td", "th"), frozenset(("table",))),
}
"""Start tag → open elements beyond which it closes nothing."""

MAX_CLOSED_LEVELS = 20
"""Levels that are searched upwards for an element that a start tag closes."""


class Page(BeautifulSoup):
    """HTML whose optional end tags may be missing: `html.parser` by itself would nest the elements that follow."""

    def handle_starttag(self, name: str, *others: Any, **named: Any) -> Tag | None:
        if name in CLOSES and self.currentTag is not None:
            for element in (self.currentTag, *islice(self.currentTag.parents, MAX_CLOSED_LEVELS)):
                if element.name in CLOSES[name]:
                    self.handle_endtag(element.name)
                    break
                if element.name in BOUNDARIES[name]:
                    break
        return super().handle_starttag(name, *others, **named)


def _selected(page: Page, selector: str) -> list[Tag]:
    """Elements that match the selector, without those inside another match."""
    try:
        matches = page.select(selector)
    except (SelectorSyntaxError, NotImplementedError) as error:
        raise UnconvertibleError(f"The option html.cssSelector is not valid: {str(error).splitlines()[0]}") from None
    match_ids = {id(element) for element in matches}
    return [element for element in matches if not any(id(parent) in match_ids for parent in element.parents)]


def _base(page: Page, hostname: object) -> str:
    """Base address of relative links; empty if none is known."""
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
    contents: dict[str, str] = {}
    for element in page.find_all("meta", content=True):
        name = str(element.get("name") or element.get("property") or "").lower()
        contents.setdefault(name, " ".join(str(element["content"]).split()))
    lines = {line: next((contents[name] for name in names if contents.get(name)), "") for line, names in META.items()}
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
    """Language of a `<pre>`, from the class `language-…` of itself or of the `<code>` in it."""
    for each in (element, element.code):
        for name in each.get_attribute_list("class") if each else ():
            if str(name).startswith("language-"):
                return str(name).removeprefix("language-")
    return ""


class _Writer(MarkdownConverter):
    """Writes elements as Markdown; the methods `convert_…` are called by markdownify, one for each kind of element."""

    def __init__(self, pictures: Embedded, base: str, excluded: frozenset[str]) -> None:
        super().__init__(heading_style=ATX, bullets="*", table_infer_header=True, code_language_callback=_language)
        self._pictures = pictures
        self._base = base
        self._excluded = HIDDEN | excluded
        self._depth = 0
        self._numbers: dict[int, int] = {}

    def write(self, element: Tag) -> str:
        return str(self.convert_soup(element)).strip()

    def process_tag(self, node: Tag, parent_tags: set[str] | None = None) -> str:
        if node.name in self._excluded:
            return ""
        if self._depth == MAX_DEPTH:
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

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 - markdownify passes it by name
        address = str(el.get("src") or "")
        if not address.startswith("data:") or not self._pictures.has_budget:
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
        # markdownify counts all items before each item, which takes minutes for a list of 20,000
        start = str(el.parent.get("start") or "")[:9]
        number = self._numbers.get(id(el.parent), int(start) if start.isdecimal() else 1)
        self._numbers[id(el.parent)] = number + 1
        bullet = f"{number}. "
        return bullet + indent(text.strip(), " " * len(bullet))[len(bullet) :] + "\n"

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        span = str(el.get("colspan") or "1")
        if not span.isdecimal() or not 1 <= int(span[:9]) <= MAX_COLUMN_SPAN:
            el["colspan"] = "1"
        return str(cast("Any", super()).convert_td(el, text, parent_tags))

    def convert_th(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return self.convert_td(el, text, parent_tags)
