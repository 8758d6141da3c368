"""Errors that end a deployment, and the sentences for Cloudflare's error codes."""

import re
from collections.abc import Mapping

DASHBOARD = "the dashboard (dash.cloudflare.com)"
AGAIN = "then run scripts/deploy again: it goes on where it stopped."

SENTENCES: Mapping[int, str] = {
    10042: f"R2 is not enabled on this account: open R2 in {DASHBOARD} once and accept its terms, {AGAIN}",
    10027: "The upload is larger than this account's plan allows (3 MB compressed on the free plan, 10 MB paid): "
    "remove packages or data from it, or change the plan.",
    10037: f"This account has as many Workers as its plan allows: delete one in {DASHBOARD}, {AGAIN}",
    7406: f"This account has as many D1 databases as its plan allows: delete one in {DASHBOARD}, {AGAIN}",
    10031: "This workers.dev subdomain belongs to somebody else: choose another name for --subdomain.",
    10063: "This account has no workers.dev subdomain yet: choose one with scripts/deploy --subdomain NAME.",
}
"""Cloudflare's error code → what to do. Other codes are shown with Cloudflare's own words."""

LOGIN_CODES = frozenset({9106, 9109, 10001, 6003, 6111})
"""The credentials are missing, malformed or revoked. Source: wrangler 4.164, and answers recorded in public issues."""
PERMISSION_CODES = frozenset({10000})
"""The credentials lack a permission. Cloudflare's words are "Authentication error"."""

LOGIN = (
    "Nobody is logged in to Cloudflare. Run scripts/deploy --login; or, where there is no browser, set "
    "CLOUDFLARE_API_TOKEN to a token with the permissions Account Settings: Read, Workers Scripts: Edit, "
    "Workers R2 Storage: Edit, D1: Edit and Vectorize: Edit."
)
"""Cloudflare's names for the permissions, as its page for new tokens lists them."""


class DeployError(Exception):
    """The deployment cannot go on. The message tells the user in one sentence what to do."""


def codes_in(output: str) -> list[int]:
    """Return Cloudflare's error codes in the output of wrangler: `… [code: 10027]`."""
    return [int(code) for code in re.findall(r"\[code: (\d+)\]", output)]


def sentence_for(codes: list[int], action: str, permission: str) -> str | None:
    """Return the sentence for the first code that has one; None if none has.

    action: what was tried, such as "create the R2 bucket aiworker". permission: permission that it needs.
    """
    for code in codes:
        if code in SENTENCES:
            return SENTENCES[code]
        if code in LOGIN_CODES:
            return f"Cloudflare does not accept this login. {LOGIN}"
        if code in PERMISSION_CODES:
            return (
                f"This login may not {action}: give the API token the permission {permission} (or log in as "
                f"somebody who has it), {AGAIN}"
            )
    return None
