"""Variables of the Worker that local runs set, how wrangler gets them, and which are not shown.

scripts/test --help shows some before anything is installed: standard library only.
"""

import re
from collections.abc import Mapping

OPEN = {"AUTH_MODE": "public", "PUBLIC_SCOPES": "admin"}
"""Nobody needs a key, and everybody may do everything: on localhost."""

LOCAL_ORIGINS = "http://localhost:* http://127.0.0.1:*"
"""Pages of this machine, for ALLOWED_ORIGINS."""

FOR_TESTS = {
    "RATE_LIMITS": "off",
    "BREAKER": "off",
    "RAG_PROPERTIES": "kind:string year:number",
}
"""What the HTTP tests need: hundreds of requests a minute, models that fail on purpose, filters of documents."""

SECRET = re.compile(r"(^|_)(SECRET|KEY|TOKEN|PASSWORD)(_|$)|(^|_)(SECRETS|API_KEYS|PASSWORDS)(_|$)", re.IGNORECASE)
"""Matches names of variables whose values are not shown."""

UNQUOTED = re.compile(r"[^#\s'\"`]([^#\r\n]*[^#\s])?")
"""Matches values that dotenv takes as they stand."""


def required_by_tests() -> str:
    """What a server has to be started with for the HTTP tests to pass, as lines of text."""
    wanted = {**FOR_TESTS, **OPEN, "ALLOWED_ORIGINS": LOCAL_ORIGINS}
    return "\n".join(
        [
            "The HTTP tests pass on a server that was started with these variables:",
            *(f"  {name}={value}" for name, value in wanted.items()),
            "and has an index in Vectorize of each of RAG_PROPERTIES. scripts/dev --for-tests starts such a server.",
        ]
    )


def masked(variables: Mapping[str, object]) -> dict[str, object]:
    """The variables with `***` for the values of those that look like secrets by their names."""
    return {name: "***" if SECRET.search(name) else value for name, value in variables.items()}


def env_file(variables: Mapping[str, str]) -> str:
    """The text of a file from which wrangler reads exactly these variables (dotenv's format, with its expansion).

    Raises ValueError, with the name of the variable, for a value that the format cannot hold.
    """
    return "".join(f"{name}={_quoted(name, value)}\n" for name, value in variables.items())


def _quoted(name: str, value: str) -> str:
    unexpanded = value.replace("$", r"\$")
    if UNQUOTED.fullmatch(value):
        return unexpanded
    # nothing is escaped inside of quotes but line breaks in double ones, and a backslash before the last one hides it
    quote = next((each for each in "'`" if each not in value), None)
    if quote is None or "\r" in value or value.endswith("\\"):
        raise ValueError(name)
    return f"{quote}{unexpanded}{quote}"
