"""Texts for people in the form that a question asks for: steps, lists, tables, code, letters, calculations.

Their content is made up of the question's words and of fixed phrases. The notice before them says that they are
simulated; what only looks like a fact, such as the cells of a table, says so itself.
"""

import ast
import operator
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from workers_ai_simulator.text_generation import code_samples, extraction
from workers_ai_simulator.text_generation.facts import EXPRESSION, Facts
from workers_ai_simulator.text_generation.lists import COUNT, WORD_NUMBERS

MAX_QUESTION = 2_000
"""Maximum characters of a question for which a form is looked for: longer ones contain a text."""
MAX_ITEMS = 20
MAX_GAP = 60
"""Characters between the number of items and their noun."""
MAX_TOPIC = 80
"""Characters of what a question is about."""

ASPECTS = (
    "the basics", "where to begin", "a common example", "what it needs", "how long it takes", "a frequent mistake",
    "how to check it", "an alternative", "what it costs", "who is involved", "a detail that matters", "what comes next",
    "its limits", "a small experiment", "a question to ask", "a tool that helps", "what changes over time",
    "when to stop", "what others do", "a summary",
)  # fmt: skip
"""Subjects of the items of a list, in this order."""
KNOWN: dict[str, str] = {
    "name": "Ada Basil Cleo Dot Elmo Flora Gus Hazel Iris Juno Kit Luna Milo Nell Otis Pip Quinn Ruby Sam Tilly",
    "city": "Oslo Lisbon Vienna Utrecht Kyoto Montreal Bogotá Ghent Nairobi Bologna Porto Malmö Seville Basel Quito "
    "Turin Graz Bern Lyon Cork",
    "country": "Norway Portugal Japan Kenya Chile Canada Austria Ghana Peru Italy Fiji Latvia Nepal Oman Spain Togo "
    "India Iceland Malta Cuba",
    "animal": "otter heron lynx badger gecko ibis marmot newt osprey puffin raven seal tapir urchin vole whale yak "
    "zebra beaver crane",
    "word": "amber breeze cobalt dusk ember fjord grove harbour ivory juniper kelp lantern meadow north opal pebble "
    "quartz ripple slate thistle",
}
"""Noun → things of that kind, for lists of them."""
STEPS = (
    ("Prepare", "collect what you need {}."),
    ("Begin", "do the smallest part first."),
    ("Check", "compare the result with what you expected."),
    ("Go on", "do the rest in the same way."),
    ("Finish", "clean up, and note what worked."),
    ("Share", "show somebody what you have."),
    ("Repeat", "take what you have learned into the next round."),
)
"""Title and text of the steps, in this order; `{}` is what they are for."""
CELLS = ("low", "medium", "high", "yes", "no", "partly", "some", "many", "few")
"""Cells of a table."""
NUMERIC = re.compile(
    r"\b(?:price|cost|stock|year|age|count|amount|quantity|number|score|rating|total|size|weight|id)s?\b", re.IGNORECASE
)
"""Columns of a table that have numbers."""
ROWS = ("Basics", "Speed", "Cost", "Effort", "Support", "Fit")
"""Rows of a table that compares things."""
MADE_UP = "*The cells are made up.*"

SINGULAR = {"cities": "city", "countries": "country", "activities": "activity", "dishes": "dish"}
VERB_TOPIC = re.compile(
    r"\b(?:how (?:to|do|can|should|would)|(?:instructions|steps|ways?|guide|recipe) (?:on how )?to)\b", re.IGNORECASE
)
"""Words before the verb of a request for instructions."""
ROW_NOUN = re.compile(r"\b(?:for|with|of)\s+(?:\d+|[a-z]+)\s+(?P<noun>[a-z]+s)\b", re.IGNORECASE)
"""Noun for the rows of a table: “for 4 products”."""
TRANSLATION = re.compile(
    r"\btranslate\b[^\n]{0,40}?[\"“'\u2018](?P<quoted>[^\n]{1,500}?)[\"”'\u2019]"
    r"[^\n]{0,40}?\b(?:to|into)\s+(?P<language>[a-z]{3,20})\b"
    r"|\btranslate\b[^\n:]{0,60}?\b(?:to|into)\s+(?P<first>[a-z]{3,20})\s*:\s*(?P<after>.{1,500})",
    re.IGNORECASE | re.DOTALL,
)
"""Request for a translation of a quoted text, or of the text behind a colon."""
TOPIC = re.compile(
    r"\b(?:about|regarding|concerning|on the (?:topic|subject) of|for|of|between|on|against)\s+"
    r"(?P<topic>[^\n.?!;:]{2,200})",
    re.IGNORECASE,
)
"""Subject of a question."""
REQUEST_WORDS = re.compile(
    r"^(?:(?:please|could you|can you|would you|i want|i need|i'd like|you to|help me|to|me|us|"
    r"how (?:do|can|should|would) (?:i|we|you)|how to|what (?:are|is)|what's|give|tell|show|list|name|write|make|"
    r"create|explain|describe|compare|draft|suggest|in detail|some|simple|short|small|long|brief|detailed|good|"
    r"step[- ]by[- ]step|steps|step|guide|instructions)\b[\s,:]*)+",
    re.IGNORECASE,
)
"""Words at the start of a request that name the form of the answer, not its subject."""
ENDING = re.compile(
    r"[\s,]*\b(?:please|in detail|with (?:headings|examples|code|pictures)\b.*|(?:as|in) (?:a )?(?:markdown )?table|"
    r"as a list|step by step|with (?:the )?columns\b.*|"
    r"in (?:\w+ ){1,2}(?:words?|sentences?|steps?|paragraphs?|lines?))[\s.?!]*$",
    re.IGNORECASE,
)
"""Words at the end of a request that say how to write it."""
COLUMNS = re.compile(r"\bcolumns?\b(?: named| called| for| of)?:?\s+([^.?!\n]{3,200})", re.IGNORECASE)
VERSUS = re.compile(
    r"\b(?:compare|between|differences? between|pros and cons of)\s+(.{1,60}?)\s+(?:and|with|to|vs\.?|versus)\s+"
    r"([^\n.?!,;]{1,60})"
    r"|(\S[^\n.?!,;]{0,40}?)\s+(?:vs\.?|versus)\s+([^\n.?!,;]{1,40})",
    re.IGNORECASE,
)
THINGS = re.compile(
    r"\b(?P<noun>ideas?|ways?|reasons?|tips?|examples?|facts?|things?|benefits?|advantages?|disadvantages?|names?|titles?|"
    r"options?|suggestions?|questions?|rules?|mistakes?|features?|uses?|goals?|risks?|points?|books?|films?|movies?|songs?|"
    r"places?|cities|countries|animals?|recipes?|dishes|exercises?|activities|gifts?|slogans?|headlines?|arguments?|words?)\b",
    re.IGNORECASE,
)
"""Noun for the items of a list."""
MAX_VALUE = 1e15
"""Bound of the results that are written out."""
ASKS_FOR_ITEMS = re.compile(
    r"\b(?:give|list|name|suggest|tell|write|show|what|which|need|want|recommend|propose|brainstorm|create|generate|"
    r"think of|come up with|find|make)\b",
    re.IGNORECASE,
)
"""Words that ask for the items of a list."""
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda one, other: one / other,
}


@dataclass(frozen=True)
class Question:
    """A question without a context."""

    text: str
    topic: str
    """Subject of the question, in its own words."""
    seed: object

    @property
    def count(self) -> int:
        """Number that the question asks for; 0 if it names none."""
        match = COUNT.search(self.text)
        if match is None:
            return 0
        number = match["count"].lower()
        return min(int(number) if number.isdecimal() else WORD_NUMBERS[number], MAX_ITEMS)

    def random(self) -> random.Random:
        return random.Random(repr((self.text, self.seed)))


def compose(text: str, seed: object = None) -> str | None:
    """The answer in the form that the question asks for, in Markdown; None if it asks for none."""
    stripped = text.strip()
    if not stripped or len(stripped) > MAX_QUESTION:
        return None
    question = Question(stripped, topic(stripped), seed)
    for pattern, write in FORMS:
        if re.search(pattern, stripped, re.IGNORECASE) and (answer := write(question)):
            return answer
    return None


def topic(text: str) -> str:
    """Subject of a question: its words after “about” and the like, else all but those that say how to answer."""
    plain = ENDING.sub("", text.partition("\n")[0].strip())
    match = None if VERB_TOPIC.search(plain) else TOPIC.search(plain)
    about = match["topic"] if match else VERB_TOPIC.split(re.split(r"[.?!](?:\s|$)", plain)[0])[-1]
    words = ENDING.sub("", REQUEST_WORDS.sub("", about.strip())).strip(" ,.?!:\"“”'`")
    words = re.sub(r"^(?:i|we|you|one)\s+", "", words, flags=re.IGNORECASE)
    return (words or " ".join(extraction.content_words(text)) or "this")[:MAX_TOPIC].strip()


# ---- forms -----------------------------------------------------------------------------------------------------------


def _code(question: Question) -> str | None:
    return code_samples.answer(question.text)


def _translation(question: Question) -> str | None:
    match = TRANSLATION.search(question.text)
    if match is None:
        return None
    words, language = (match["quoted"] or match["after"]).strip(), match["language"] or match["first"]
    return f"**[simulated, into {language.capitalize()}]** {words}"


def _calculation(question: Question) -> str | None:
    results: list[str] = []
    plain = re.sub(r"[.?!,=](?=[\s=]|$)", " ", question.text)
    text = f" {plain} "
    for match in EXPRESSION.finditer(text):
        written = match.group()
        if not (text[match.start() - 1].isspace() and text[match.end()].isspace()):
            return None  # part of a name or of a path
        value = _value(written.replace("\u00d7", "*").replace("\u00f7", "/"))
        if value is None:
            return None
        results.append(f"{written.strip()} = **{value}**")
    return "\n\n".join(results) or None


def _value(expression: str) -> str | None:
    """Value of arithmetic with `+ - * /`; None for anything else."""

    def evaluate(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -evaluate(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return OPERATORS[type(op)](evaluate(left), evaluate(right))
            case _:
                raise ValueError(expression)

    try:
        value = evaluate(ast.parse(expression.strip(), mode="eval").body)
    except (ValueError, SyntaxError, ArithmeticError, RecursionError):
        return None
    if not -MAX_VALUE < value < MAX_VALUE:
        return None
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _table(question: Question) -> str:
    columns = _columns(question)
    if columns:
        kind = ROW_NOUN.search(question.text)
        name = _title((kind["noun"] if kind else columns[0]).removesuffix("s"))
        rows = [f"{name} {number}" for number in range(1, (question.count or 3) + 1)]
    else:
        columns = ["", *(_compared(question) or [question.topic])]
        rows = [*ROWS[: question.count or 4]]
    source = question.random()
    cells = [[row, *(_cell(column, source) for column in columns[1:])] for row in rows]
    lines = [[_title(each) for each in columns], ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(each.replace('|', '/') for each in line)} |" for line in lines) + f"\n\n{MADE_UP}"


def _cell(column: str, source: random.Random) -> str:
    return str(source.randint(1, 99)) if NUMERIC.search(column) else source.choice(CELLS)


def _compared(question: Question) -> list[str]:
    if match := VERSUS.search(question.text):
        pair = [each for each in match.groups() if each]
        cleaned = [ENDING.sub("", REQUEST_WORDS.sub("", each)).strip(" ,.?!") for each in pair]
        return [each for each in cleaned if each]
    return Facts(question.text).listed()[:5]


def _columns(question: Question) -> list[str]:
    match = COLUMNS.search(question.text)
    listed = re.split(r"\s+(?:for|with|of|in)\s", match[1])[0] if match else ""
    named = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*/\s*", listed)
    return [each.strip(" \"“”'`*") for each in named if each.strip()][:8]


def _steps(question: Question) -> str:
    is_verb = bool(VERB_TOPIC.search(question.text))
    purpose = f"to {question.topic}" if is_verb else f"for {question.topic}"
    heading = f"How to {question.topic}" if is_verb else f"{_title(question.topic)}, step by step"
    titles = [STEPS[at % len(STEPS)] for at in range(question.count or 5)]
    steps = [f"{number}. **{title}**: {text.format(purpose)}" for number, (title, text) in enumerate(titles, 1)]
    return f"## {heading}\n\n" + "\n".join(steps)


def _items(question: Question) -> str | None:
    number = COUNT.search(question.text)
    noun = number and THINGS.search(question.text, number.end(), number.end() + MAX_GAP)
    if not noun or not ASKS_FOR_ITEMS.search(question.text):
        return None
    singular = SINGULAR.get(noun["noun"].lower(), noun["noun"].lower().removesuffix("s"))
    known = KNOWN.get(singular, "").split()
    items = known or [f"**{_title(singular)} {at + 1}**: {aspect}." for at, aspect in enumerate(ASPECTS)]
    heading = ENDING.sub("", question.text[noun.start() :].partition("\n")[0]).strip(" .?!:")
    lines = [f"{number}. {_title(item)}" for number, item in enumerate(items[: question.count], 1)]
    return f"## {question.count} {heading}\n\n" + "\n".join(lines)


def _pros_and_cons(question: Question) -> str:
    name = re.sub(
        r"^(?:pros and cons|advantages and disadvantages)(?: of)?\s*", "", question.topic, flags=re.IGNORECASE
    )
    return (
        f"## Advantages of {name}\n\n- It is quick to begin with.\n- Many people know it.\n- It can grow later.\n\n"
        f"## Disadvantages of {name}\n\n- It needs care over time.\n- It costs more than it seems.\n"
        "- It does not fit every case."
    )


def _letter(question: Question) -> str:
    name = next(iter(Facts(question.text).names), "Sir or Madam")
    return (
        f"**Subject:** {_title(question.topic)}\n\nDear {name},\n\nI am writing to you about {question.topic}. "
        "Here a real model would say what you want to say, in the tone that you ask for.\n\n"
        "Please let me know what you think.\n\nKind regards"
    )


def _poem(question: Question) -> str:
    subject = question.topic
    return (
        f"*{_title(subject)}*\n\nHere are the lines about {subject},  \neach as long as the one before,  \n"
        "put together without a model,  \nand you may ask for more."
    )


def _tale(question: Question) -> str:
    subject = question.topic
    begin = (
        subject
        if re.match(r"(?:an?|the|two|three)\b", subject, re.IGNORECASE)
        else f"somebody who thought of {subject}"
    )
    return (
        f"## {_title(subject)}\n\nOnce there was {begin}.\n\n"
        "Something went wrong on the second day, as it has to in a story. A friend helped, and a detail from the first "
        "paragraph turned out to matter.\n\nIn the end everything was as before, but for what had been learned."
    )


def _article(question: Question) -> str:
    subject = question.topic
    return (
        f"# {_title(subject)}\n\n## Overview\n\n"
        f"Here a real model would write about {subject}, and say why it matters.\n\n"
        "## Details\n\n- **The basics** come first.\n- **A common example** makes them clear.\n"
        "- **A frequent mistake** is named, and how to avoid it.\n\n## Conclusion\n\n"
        f"> What to remember of {subject}, in one sentence."
    )


def _title(words: str) -> str:
    """The words with a capital letter, without an article before them."""
    plain = re.sub(r"^(?:the|an?)\s+(?=\w)", "", words, flags=re.IGNORECASE)
    return plain[:1].upper() + plain[1:]


Form = tuple[str, Callable[[Question], str | None]]

MAKE = r"\b(?:write|create|generate|make|draft|compose|give|show|tell|need|want|build|implement)\b[^.?!\n]{0,80}?"
FORMS: tuple[Form, ...] = (
    (TRANSLATION.pattern, _translation),
    (code_samples.ASKS, _code),
    (
        r"\b(?:in|as|make|create|draw|show|give|write|build|need|want)\b[^.?!\n]{0,60}\btable\b|\bmarkdown table\b|"
        r"\bcompare\b|\bcomparison (?:of|between)\b|\bdifferences? between\b|\S\s+(?:vs\.?|versus)\s",
        _table,
    ),
    (r"\bpros and cons\b|\badvantages and disadvantages\b", _pros_and_cons),
    (
        r"\bhow (?:to|do i|can i|should i|do we|do you|would i)\b|\bstep[- ]by[- ]step\b|"
        r"\b(?:steps|instructions) (?:to|for|on)\b|\bin \w+ steps\b|\brecipe (?:for|of)\b",
        _steps,
    ),
    (COUNT.pattern, _items),
    (MAKE + r"\b(?:e-?mail|letter)\b", _letter),
    (MAKE + r"\b(?:poem|haiku|limerick|song|verse)\b", _poem),
    (MAKE + r"\b(?:story|fairy tale|tale)\b", _tale),
    (MAKE + r"\b(?:essay|article|blog post|report|readme|outline|plan|page|post|documentation|proposal)\b", _article),
    (r"\b(?:explain|describe)\b[^.?!\n]{0,100}\b(?:in detail|with headings|with examples|thoroughly)\b", _article),
    (EXPRESSION.pattern, _calculation),
)
"""Words that ask for a form, and what writes it; the first that matches and writes something counts."""
