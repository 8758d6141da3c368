"""A text that matches a regular expression, for the `pattern` of a JSON Schema.

Takes literals, classes, groups, alternatives, repetitions and anchors at the ends; anything else is refused. What comes
out is to be checked with the expression itself: an anchor in the middle, for one, is passed over.
"""

import string

from workers_ai_simulator.text_generation.schema_check import Unsatisfiable

LETTERS = string.ascii_lowercase + string.ascii_uppercase
LONGEST = 1 << 16
CLASSES = {"d": string.digits, "w": LETTERS + string.digits + "_", "s": " "}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
PRINTABLE = LETTERS + string.digits + " !#$%&'()*+,-./:;<=>?@[]^_`{|}~\"\\"


def sample(pattern: str, more: int = 0, variant: int = 0) -> str:
    """A text that matches; every repetition runs `more` times above its least, and `variant` turns the letters.

    Raises Unsatisfiable for an expression that is not understood, or that wants more than 65,536 letters.
    """
    reader = _Reader(pattern, more, variant)
    text = reader.alternatives()
    if reader.at < len(pattern):
        raise Unsatisfiable(f"pattern {pattern}")
    return text


class _Reader:
    def __init__(self, pattern: str, more: int, variant: int) -> None:
        self._pattern = pattern
        self._more = more
        self._variant = variant
        self.at = 0

    def alternatives(self) -> str:
        found = [self._sequence()]
        while self._taken("|"):
            found.append(self._sequence())
        return found[self._variant % len(found)]

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._next() not in ("", "|", ")"):
            start = self.at
            part = self._atom()
            least, most = self._repetition()
            times = least if most == least else min(least + self._more, most)
            if times * len(part) > LONGEST:
                raise self._refused()
            again = part
            for _ in range(times - 1):  # each time anew, for the letters to turn
                end, self.at, self._variant = self.at, start, self._variant + 1
                again += self._atom()
                self.at = end
            parts.append(again if times else "")
        return "".join(parts)

    def _atom(self) -> str:
        match self._read():
            case "^" | "$":
                return ""
            case "(":
                return self._group()
            case "[":
                return self._chosen(self._class())
            case ".":
                return self._chosen(LETTERS)
            case "\\":
                return self._chosen(self._escape())
            case "*" | "+" | "?":
                raise self._refused()
            case letter:
                return letter

    def _group(self) -> str:
        if self._taken("?"):
            named = self._taken("P") or self._next() == "<"
            if named and self._taken("<") and self._next() not in ("=", "!"):
                while self._read() != ">":
                    pass
            elif named or not self._taken(":"):
                raise self._refused()
        inside = self.alternatives()
        if not self._taken(")"):
            raise self._refused()
        return inside

    def _escape(self) -> str:
        letter = self._read()
        if letter.lower() in CLASSES:
            inside = CLASSES[letter.lower()]
            return inside if letter.islower() else "".join(each for each in PRINTABLE if each not in inside)
        if letter.isalnum() and letter not in ESCAPES:
            raise self._refused()
        return ESCAPES.get(letter, letter)

    def _class(self) -> str:
        negated = self._taken("^")
        inside = ""
        while not self._taken("]") or not inside:
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
        least, most = 1, 1
        if self._taken("*"):
            least, most = 0, LONGEST
        elif self._taken("+"):
            least, most = 1, LONGEST
        elif self._taken("?"):
            least, most = 0, 1
        elif self._next() == "{" and (bounds := self._bounds()):
            least, most = bounds
        if (least, most) != (1, 1):
            self._taken("?")  # a lazy one matches the same texts
        return least, most

    def _bounds(self) -> tuple[int, int] | None:
        inside, closed, _ = self._pattern[self.at + 1 :].partition("}")
        first, comma, last = inside.partition(",")
        if not closed or not first.isdigit() or (last and not last.isdigit()):
            return None
        self.at += len(inside) + 2
        return int(first), int(last) if last else LONGEST if comma else int(first)

    def _chosen(self, letters: str) -> str:
        if not letters:
            raise self._refused()
        return letters[self._variant % len(letters)]

    def _next(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def _read(self) -> str:
        letter = self._next()
        if not letter:
            raise self._refused()
        self.at += 1
        return letter

    def _taken(self, letter: str) -> bool:
        if self._next() == letter:
            self.at += 1
            return True
        return False

    def _refused(self) -> Unsatisfiable:
        return Unsatisfiable(f"pattern {self._pattern}")
