"""The names that a file of code defines, and the beginnings of its docstrings."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto


class Kind(Flag):
    """Role of a name in the code."""

    VARIABLE = auto()
    CONSTANT = auto()
    FUNCTION = auto()
    CLASS = auto()
    MODULE = auto()
    DOCSTRING = auto()
    VALUE = VARIABLE | CONSTANT
    NAME = VARIABLE | CONSTANT | FUNCTION | CLASS


@dataclass(frozen=True)
class Name:
    """A name where it is defined, or the beginning of a docstring."""

    text: str
    kind: Kind
    line: int


def python_names(code: bytes) -> Iterator[Name]:
    """Names in a Python module. Raises SyntaxError."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield Name(node.name, Kind.FUNCTION, node.lineno)
            case ast.ClassDef():
                yield Name(node.name, Kind.CLASS, node.lineno)
            case ast.arg():
                yield Name(node.arg, Kind.VARIABLE, node.lineno)
            case ast.Name(id=text, ctx=ast.Store()) | ast.Attribute(attr=text, ctx=ast.Store()):
                yield Name(text, _kind_of_value(text), node.lineno)
            case ast.MatchAs(name=str(text)) | ast.MatchStar(name=str(text)) | ast.ExceptHandler(name=str(text)):
                yield Name(text, Kind.VARIABLE, node.lineno)
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield Name(" ".join(text.split()[:3]), Kind.DOCSTRING, node.lineno)
            case _:
                pass


# ---- JavaScript and TypeScript: patterns in place of a parser, which Python does not have ----------------------------

DOCUMENTATION = re.compile(r"/\*\*[\s*]*(\w[^\n*]*)")
NO_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`
    | (?<=[=(,:;!&|?])\s*/(?![*/])(?:\\.|\[(?:\\.|[^]\\\n])*]|[^/\\[\n])+/""",
    re.DOTALL | re.VERBOSE,
)
"""Comments, strings and regular expressions. What templates embed is not read."""
DEFINITION = re.compile(r"\b(const|let|var|function|class)\b\s*\*?\s*([\w$]+)")
METHOD = re.compile(
    r"^[ \t]*(?:(?:static|async|get|set)\s+)*\*?#?(?!(?:if|for|while|switch|catch|with|function)\b)([\w$]+)"
    r"\(([^()]*)\)[^\n;={]*\{",
    re.MULTILINE,
)
PATTERNS = (
    re.compile(r"\b(?:const|let|var)\s*([\[{][^=;]*?)\s*(?:=|\bof\b)"),  # destructuring
    re.compile(r"\bcatch\s*\(([^()]*)\)"),
    re.compile(r"\bfunction\b[\s*]*[\w$]*\s*\(([^()]*)\)"),
    re.compile(r"\(([^()]*)\)[^\n;=(){}]*=>"),
    re.compile(r"([\w$]+)\s*=>"),
)
"""Places of variables and arguments: the group has their names, perhaps with defaults, types and keys."""
KINDS = {"function": Kind.FUNCTION, "class": Kind.CLASS}


def javascript_names(code: str) -> Iterator[Name]:
    """Names in a module of JavaScript or TypeScript. Definitions that span unusual syntax are passed over."""
    for match in DOCUMENTATION.finditer(code):
        yield Name(" ".join(match[1].split()[:3]), Kind.DOCSTRING, _line(code, match))
    blank = NO_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), code)
    for match in DEFINITION.finditer(blank):
        yield Name(match[2], KINDS.get(match[1]) or _kind_of_value(match[2]), _line(blank, match))
    for match in METHOD.finditer(blank):
        yield Name(match[1], Kind.FUNCTION, _line(blank, match))
        yield from (Name(text, _kind_of_value(text), _line(blank, match)) for text in _bound(match[2]))
    for pattern in PATTERNS:
        for match in pattern.finditer(blank):
            for text in _bound(match[1]):
                yield Name(text, _kind_of_value(text), _line(blank, match))


def _bound(pattern: str) -> Iterator[str]:
    """Names that a list of arguments or a destructuring pattern binds; of `key: name`, both."""
    without_defaults = re.sub(r"=[^,]*", "", pattern)
    yield from re.findall(r"[A-Za-z_$][\w$]*", without_defaults)


def _kind_of_value(name: str) -> Kind:
    return Kind.CONSTANT if name.isupper() else Kind.VARIABLE


def _line(code: str, match: re.Match[str]) -> int:
    return code.count("\n", 0, match.start()) + 1
