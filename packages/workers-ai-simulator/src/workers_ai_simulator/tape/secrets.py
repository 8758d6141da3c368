"""Secrets that a tape leaves out: the account and its token, and whatever looks like a credential."""

import re
from collections.abc import Iterable
from typing import Any, cast

LEFT_OUT = "[left out]"
FIELDS = {
    "access_token", "api_key", "apikey", "auth_token", "authorization", "bearer_token", "cf_aig_authorization",
    "client_secret", "password", "secret", "token", "x_api_key",
}  # fmt: skip
"""Names of inputs, in lower case and with `_` for `-`, whose text is left out."""
CREDENTIALS = re.compile(
    r"(?<=\bBearer )[\w.~+/=-]{12,}"
    r"|\b(?:sk|pk|rk)-[\w-]{20,}"  # OpenAI's, Anthropic's and Stripe's keys
    r"|\bgh[pousr]_\w{20,}|\bAKIA[0-9A-Z]{16}\b"  # GitHub's tokens, AWS's key ids
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+"  # JSON web tokens
)
MIN_LENGTH = 16
"""Characters of an account or a token from which it is looked for in texts: Cloudflare's have 32 and more."""


class Secrets:
    """Leaves secrets out of what is written on a tape."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """values: the account and its token, which are left out wherever they stand."""
        known = "|".join(re.escape(each) for each in values if len(each) >= MIN_LENGTH)
        self._known = re.compile(known) if known else None

    def out_of_text(self, text: str) -> str:
        """The text without secrets."""
        text = CREDENTIALS.sub(LEFT_OUT, text)
        return self._known.sub(LEFT_OUT, text) if self._known else text

    def out_of_inputs(self, value: Any, name: str = "") -> Any:
        """The inputs of a model without secrets, and without the texts of fields that are named for one."""
        if isinstance(value, str):
            is_secret = name.lower().replace("-", "_") in FIELDS
            return LEFT_OUT if is_secret and value else self.out_of_text(value)
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value).items()
            return {self.out_of_text(name): self.out_of_inputs(each, name) for name, each in fields}
        if isinstance(value, list):
            return [self.out_of_inputs(each) for each in cast("list[Any]", value)]
        return value
