"""XML and SVG, read without entities, so that no file is fetched and no text expands."""

from typing import Any
from xml.parsers import expat

from workers_ai_simulator.markdown.encoding import decoded
from workers_ai_simulator.markdown.errors import UnconvertibleError
from workers_ai_simulator.markdown.models import InputFile, section

TEXT_ELEMENTS = ("title", "desc", "text")
"""Elements of SVG whose text is for people."""


def check_xml(content: bytes | str, doctype_allowed: bool = False) -> None:
    """Check that the content is well-formed XML that declares no entities. Raises UnconvertibleError otherwise."""
    _parse(expat.ParserCreate(), content, doctype_allowed)


def convert_xml(file: InputFile, _: dict[str, Any]) -> str:
    """Convert to a block of code, which loses nothing: upstream's conversion of XML is not documented.

    Raises UnconvertibleError for XML that is not well-formed, or that declares entities.
    """
    text = decoded(file).strip()
    check_xml(text, doctype_allowed=True)
    return f"```xml\n{text}\n```"


def convert_svg(file: InputFile, options: dict[str, Any]) -> str:
    """Describe a drawing by its declared size, its number of elements and its texts, without rendering it.

    Raises UnconvertibleError for XML that is not well-formed, is no SVG, or declares entities.
    """
    drawing = _read_svg(decoded(file).strip())
    words = f" Its words: “{'”, “'.join(drawing.words)}”." if drawing.words else ""
    language = section(options, "image").get("descriptionLanguage", "en")
    note = "" if language == "en" else f" You asked for a description in “{language}”."
    return f"[simulated] An SVG drawing{drawing.size} with {drawing.shapes} elements.{words}{note}"


class _Drawing:
    """Facts collected while an SVG is parsed."""

    def __init__(self) -> None:
        self.root = ""
        self.size = ""
        self.shapes = 0
        self.words: list[str] = []
        self._buffer: list[str] = []
        self._text_depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if self.root:
            self.shapes += 1
            self._text_depth += local in TEXT_ELEMENTS
            return
        self.root = local
        box = attributes.get("viewBox", "").replace(",", " ").split()
        sides = [attributes.get("width"), attributes.get("height")]
        sides = box[2:] if len(box) == 4 and not all(sides) else sides
        self.size = f" of {sides[0]} by {sides[1]}" if all(sides) else ""

    def end(self, name: str) -> None:
        if name.rpartition(":")[2] not in TEXT_ELEMENTS:
            return
        self._text_depth -= 1
        words = " ".join("".join(self._buffer).split())
        if words and not self._text_depth:
            self.words.append(words)
            self._buffer.clear()

    def add_text(self, words: str) -> None:
        if self._text_depth:
            self._buffer.append(words)


def _read_svg(text: str) -> _Drawing:
    drawing = _Drawing()
    parser = expat.ParserCreate()
    parser.StartElementHandler = drawing.start
    parser.EndElementHandler = drawing.end
    parser.CharacterDataHandler = drawing.add_text
    _parse(parser, text, doctype_allowed=True)
    if drawing.root != "svg":
        raise UnconvertibleError("The file is XML, but no SVG")
    return drawing


def _parse(parser: expat.XMLParserType, content: bytes | str, doctype_allowed: bool) -> None:
    def refuse(*_: object) -> None:
        raise UnconvertibleError("The file's XML declares entities, which are not read")

    parser.EntityDeclHandler = refuse
    if not doctype_allowed:
        parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise UnconvertibleError(f"The file's XML is not well-formed: {error}") from None
