"""Texts that match a regular expression, for the `pattern` of a JSON Schema.

Literals, classes, groups, alternatives, repetitions and anchors at the ends are understood; any other construct is
refused. Callers check the result with the expression itself, since an anchor in the middle, for example, is ignored.
"""

import string

from workers_ai_simulator.text_generation.schema_check import UnsatisfiableError

LETTERS = string.ascii_lowercase + string.ascii_uppercase
MAX_LENGTH = 1 << 16
CLASSES = {"d": string.digits, "w": LETTERS + string.digits + "_", "s": " "}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
PRINTABLE = LETTERS + string.digits + " !#$%&'()*+,-./:;<=>?@[]^_`{|}~\"\\"


def sample(pattern: str, more: int = 0, variant: int = 0) -> str:
    """A text that matches the pattern.

    more: number of times that each repetition runs beyond its minimum. variant: selects other letters. Raises
    UnsatisfiableError for an expression that is not understood, or whose matches exceed 65,536 characters.
    """
    reader = _Reader(pattern, more, variant)
    text = reader.alternatives()
    if reader.at < len(pattern):
        raise UnsatisfiableError(f"pattern {pattern}")
    return text


class _Reader:
    """Reads a regular expression from left to right, and returns the texts that match its parts."""

    def __init__(self, pattern: str, more: int, variant: int) -> None:
        self._pattern = pattern
        self._more = more
        self._variant = variant
        self.at = 0

    def alternatives(self) -> str:
        texts = [self._sequence()]
        while self._skip("|"):
            texts.append(self._sequence())
        return texts[self._variant % len(texts)]

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._next() not in ("", "|", ")"):
            start = self.at
            part = self._atom()
            minimum, maximum = self._repetition()
            times = minimum if maximum == minimum else min(minimum + self._more, maximum)
            if times * len(part) > MAX_LENGTH:
                raise self._error()
            repeated = part
            for _ in range(times - 1):  # read again each time, with the next variant of its letters
                end, self.at, self._variant = self.at, start, self._variant + 1
                repeated += self._atom()
                self.at = end
            parts.append(repeated if times else "")
        return "".join(parts)

    def _atom(self) -> str:
        match self._read():
            case "^" | "$":
                return ""
            case "(":
                return self._group()
            case "[":
                return self._pick(self._class())
            case ".":
                return self._pick(LETTERS)
            case "\\":
                return self._pick(self._escape())
            case "*" | "+" | "?":
                raise self._error()
            case letter:
                return letter

    def _group(self) -> str:
        if self._skip("?"):
            named = self._skip("P") or self._next() == "<"
            if named and self._skip("<") and self._next() not in ("=", "!"):
                while self._read() != ">":
                    pass
            elif named or not self._skip(":"):
                raise self._error()
        inside = self.alternatives()
        if not self._skip(")"):
            raise self._error()
        return inside

    def _escape(self) -> str:
        letter = self._read()
        if letter.lower() in CLASSES:
            inside = CLASSES[letter.lower()]
            return inside if letter.islower() else "".join(each for each in PRINTABLE if each not in inside)
        if letter.isalnum() and letter not in ESCAPES:
            raise self._error()
        return ESCAPES.get(letter, letter)

    def _class(self) -> str:
        negated = self._skip("^")
        inside = ""
        while not self._skip("]") or not inside:
            letter = self._read()
            letters = self._escape() if letter == "\\" else letter
            if len(letters) == 1 and self._next() == "-" and self._pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                last = self._read()
                end = self._escape() if last == "\\" else last
                letters = "".join(map(chr, range(ord(letters), ord(end[0]) + 1)))
            inside += letters
        return "".join(each for each in PRINTABLE if each not in inside) if negated else inside

    def _repetition(self) -> tuple[int, int]:
        """Minimum and maximum of the repetition after an atom."""
        bounds = (1, 1)
        if self._skip("*"):
            bounds = (0, MAX_LENGTH)
        elif self._skip("+"):
            bounds = (1, MAX_LENGTH)
        elif self._skip("?"):
            bounds = (0, 1)
        elif self._next() == "{":
            bounds = self._bounds() or bounds
        if bounds != (1, 1):
            self._skip("?")  # a lazy repetition matches the same texts
        return bounds

    def _bounds(self) -> tuple[int, int] | None:
        inside, closed, _ = self._pattern[self.at + 1 :].partition("}")
        first, comma, last = inside.partition(",")
        if not closed or not first.isdigit() or (last and not last.isdigit()):
            return None
        self.at += len(inside) + 2
        return int(first), int(last) if last else MAX_LENGTH if comma else int(first)

    def _pick(self, letters: str) -> str:
        if not letters:
            raise self._error()
        return letters[self._variant % len(letters)]

    def _next(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def _read(self) -> str:
        letter = self._next()
        if not letter:
            raise self._error()
        self.at += 1
        return letter

    def _skip(self, letter: str) -> bool:
        if self._next() == letter:
            self.at += 1
            return True
        return False

    def _error(self) -> UnsatisfiableError:
        return UnsatisfiableError(f"pattern {self._pattern}")
