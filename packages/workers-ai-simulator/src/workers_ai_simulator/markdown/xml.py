"""XML and SVG, read without entities: nothing is fetched, nothing grows."""

from typing import Any
from xml.parsers import expat

from workers_ai_simulator.markdown.source import SentFile, Unconvertible, decoded, section

SPOKEN = ("title", "desc", "text")
"""Elements of SVG whose text is for people."""


def check_xml(content: bytes | str, doctype_allowed: bool = False) -> None:
    """Raises Unconvertible unless this is well-formed XML without entities of its own."""
    _parse(expat.ParserCreate(), content, doctype_allowed)


def convert_xml(file: SentFile, _: dict[str, Any]) -> str:
    """The document as a block of code: what upstream makes of XML is not documented, and so nothing is lost.

    Raises Unconvertible for XML that is not well-formed, or that declares entities.
    """
    text = decoded(file).strip()
    check_xml(text, doctype_allowed=True)
    return f"```xml\n{text}\n```"


def convert_svg(file: SentFile, options: dict[str, Any]) -> str:
    """A description from the size that the drawing declares and its words; it is not drawn.

    Raises Unconvertible for XML that is not well-formed or no SVG, or that declares entities.
    """
    drawing = _read_svg(decoded(file).strip())
    words = f" Its words: “{'”, “'.join(drawing.words)}”." if drawing.words else ""
    language = section(options, "image").get("descriptionLanguage", "en")
    asked = "" if language == "en" else f" You asked for a description in “{language}”."
    return f"[simulated] An SVG drawing{drawing.size} with {drawing.shapes} elements.{words}{asked}"


class _Drawing:
    """What is noted while an SVG is read."""

    def __init__(self) -> None:
        self.root = ""
        self.size = ""
        self.shapes = 0
        self.words: list[str] = []
        self._heard: list[str] = []
        self._within = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if self.root:
            self.shapes += 1
            self._within += local in SPOKEN
            return
        self.root = local
        box = attributes.get("viewBox", "").replace(",", " ").split()
        sides = [attributes.get("width"), attributes.get("height")]
        sides = box[2:] if len(box) == 4 and not all(sides) else sides
        self.size = f" of {sides[0]} by {sides[1]}" if all(sides) else ""

    def end(self, name: str) -> None:
        if name.rpartition(":")[2] not in SPOKEN:
            return
        self._within -= 1
        words = " ".join("".join(self._heard).split())
        if words and not self._within:
            self.words.append(words)
            self._heard.clear()

    def hear(self, words: str) -> None:
        if self._within:
            self._heard.append(words)


def _read_svg(text: str) -> _Drawing:
    drawing = _Drawing()
    parser = expat.ParserCreate()
    parser.StartElementHandler = drawing.start
    parser.EndElementHandler = drawing.end
    parser.CharacterDataHandler = drawing.hear
    _parse(parser, text, doctype_allowed=True)
    if drawing.root != "svg":
        raise Unconvertible("The file is XML, but no SVG")
    return drawing


def _parse(parser: expat.XMLParserType, content: bytes | str, doctype_allowed: bool) -> None:
    def refuse(*_: object) -> None:
        raise Unconvertible("The file's XML declares entities, which are not read")

    parser.EntityDeclHandler = refuse
    if not doctype_allowed:
        parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise Unconvertible(f"The file's XML is not well-formed: {error}") from None
