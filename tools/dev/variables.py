"""Variables of the Worker that local runs set, their file for wrangler, and their masking.

scripts/test --help shows some before anything is installed: standard library only.
"""

import re
from collections.abc import Mapping

OPEN = {"AUTH_MODE": "public", "PUBLIC_SCOPES": "admin"}
"""Variables of every local run: on localhost everybody may do everything without a key."""

LOCAL_ORIGINS = "http://localhost:* http://127.0.0.1:*"
"""Value of ALLOWED_ORIGINS for pages of this machine."""

FOR_TESTS = {
    "RATE_LIMITS": "off",
    "BREAKER": "off",
    "RAG_PROPERTIES": "kind:string year:number folder:string",
    "SYNC_HOSTS": "127.0.0.1",
    "WEB_SEARCH": "ceramic",
    "ATTACHMENT_HOSTS": "127.0.0.1",
}
"""Variables that the HTTP tests need: they send hundreds of requests a minute, let models fail, filter documents, have
sites on this machine, and search the web."""

SECRET = re.compile(
    r"(^|_)(SECRET|KEY|TOKEN|PASSWORD|SECRETS|API_KEYS|PASSWORDS|MCP_SERVERS)(_|$)|^SYSTEM_PROMPT$", re.IGNORECASE
)
"""Matches names of variables whose values are not shown."""

UNQUOTED = re.compile(r"[^#\s'\"`]([^#\r\n]*[^#\s])?")
"""Matches values that dotenv takes as they stand."""


def required_by_tests() -> str:
    """Return the variables that a server needs for the HTTP tests, as lines of text."""
    wanted = {**FOR_TESTS, **OPEN, "ALLOWED_ORIGINS": LOCAL_ORIGINS}
    return "\n".join(
        [
            "The HTTP tests pass on a server that was started with these variables:",
            *(f"  {name}={value}" for name, value in wanted.items()),
            "and has an index in Vectorize of each of RAG_PROPERTIES. scripts/dev --for-tests starts such a server.",
        ]
    )


def masked(variables: Mapping[str, object]) -> dict[str, object]:
    """Return the variables with `***` for values whose names look like those of secrets."""
    return {name: "***" if SECRET.search(name) else value for name, value in variables.items()}


def env_file(variables: Mapping[str, str]) -> str:
    """Return the text of a file, in dotenv's format, from which wrangler reads exactly these variables.

    Raises ValueError, with the name of the variable, for a value that the format cannot hold.
    """
    return "".join(f"{name}={_quoted(name, value)}\n" for name, value in variables.items())


def _quoted(name: str, value: str) -> str:
    unexpanded = value.replace("$", r"\$")
    if UNQUOTED.fullmatch(value):
        return unexpanded
    # quotes have no escapes but line breaks in double ones, and a backslash before the closing quote hides it
    quote = next((each for each in "'`" if each not in value), None)
    if quote is None or "\r" in value or value.endswith("\\"):
        raise ValueError(name)
    return f"{quote}{unexpanded}{quote}"
