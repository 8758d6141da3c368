"""Guardrails of a gateway: prompts and answers checked by categories of hazards, each flagged or blocked.

After https://developers.cloudflare.com/ai-gateway/features/guardrails/ (categories, codes, streams) and the parameter
`guardrails` of the REST API: `{"prompt": {"S1": "BLOCK", "P1": "FLAG"}, "response": {…}}`. A category that is not named
is ignored. The judgement is simulated: S1 to S13 by the phrases that also decide for llama-guard, P1 by those below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.gateway.errors import GatewayError, invalid
from workers_ai_simulator.gateway.options import Surface
from workers_ai_simulator.language import guard

Phase = Literal["prompt", "response"]

GUARD_MODEL, INJECTION_MODEL = "@cf/meta/llama-guard-3-8b", "@cf/meta/prompt-guard-2-86m"
INJECTION = "P1"
CATEGORIES = (*(f"S{number}" for number in range(1, 14)), INJECTION)
ACTIONS = ("FLAG", "BLOCK", "IGNORE")
PHASES: tuple[Phase, ...] = ("prompt", "response")

INJECTION_PHRASES = (
    "ignore previous instructions", "ignore all previous instructions", "ignore your instructions",
    "ignore the instructions above", "disregard previous instructions", "disregard all previous instructions",
    "reveal your system prompt", "print your system prompt", "you are now dan", "jailbreak",
)  # fmt: skip
"""Phrases of a prompt injection, of this simulator's own choice."""

MODERATION: dict[tuple[Surface, Phase], tuple[int, int]] = {
    ("endpoint", "prompt"): (424, 2016),
    ("endpoint", "response"): (424, 2017),
    # Cloudflare's example of `env.AI.run` has the codes of a gateway's own endpoints
    ("binding", "prompt"): (424, 2016),
    ("binding", "response"): (424, 2017),
    ("run", "prompt"): (422, 2017),
    ("run", "response"): (422, 2017),
}
"""Surface and phase → status and code of a block, by Cloudflare's table."""
BLOCKED = (2016, 2017)
"""Codes of a block."""

TEXT_FIELDS = (
    "prompt", "messages", "input", "text", "content", "contents", "parts", "system", "systemInstruction", "response",
    "choices", "message", "output", "candidates", "query", "requests", "delta",
)  # fmt: skip
"""Fields of inputs and answers, in any dialect, that hold texts, or other values with such fields."""


@dataclass(frozen=True)
class Finding:
    """Result of a guard model for the texts of one phase."""

    phase: Phase
    model: str
    categories: list[str]
    """Categories that are configured and found, whatever their action is."""
    text: str
    """The text that was examined."""

    @property
    def answer(self) -> dict[str, Any]:
        return {"response": {"safe": not self.categories, "categories": self.categories}}


def actions(settings: Mapping[str, Any], phase: Phase) -> dict[str, str]:
    """Category → FLAG or BLOCK, for one phase."""
    setting: dict[str, Any] = settings.get("guardrails") or {}
    configured: dict[str, Any] = setting.get(phase) or {}
    return {category: action for category, action in configured.items() if action != "IGNORE"}


def examine(settings: Mapping[str, Any], phase: Phase, value: Any) -> list[Finding]:
    """Findings in the texts of the value, one for each guard model that has a category to look for."""
    configured = actions(settings, phase)
    text = "\n".join(texts(value))
    if not configured or not text:
        return []
    findings: list[Finding] = []
    if hazards := [each for each in configured if each != INJECTION]:
        matches = _hazards(text)
        findings.append(Finding(phase, GUARD_MODEL, [each for each in hazards if each in matches], text))
    if INJECTION in configured:
        is_injection = any(phrase in " ".join(text.lower().split()) for phrase in INJECTION_PHRASES)
        findings.append(Finding(phase, INJECTION_MODEL, [INJECTION] if is_injection else [], text))
    return findings


def check(settings: Mapping[str, Any], findings: list[Finding], surface: Surface) -> None:
    """Raises GatewayError 2016 or 2017 if a finding's category is blocked."""
    for finding in findings:
        configured = actions(settings, finding.phase)
        if any(configured[category] == "BLOCK" for category in finding.categories):
            status, code = MODERATION[surface, finding.phase]
            name = finding.phase.capitalize()
            raise GatewayError(status, code, f"{name} blocked due to security configurations")


def texts(value: Any) -> list[str]:
    """Every text of inputs or of an answer, in any dialect and in order, including the system prompt."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return [text for each in cast("list[Any]", value) for text in texts(each)]
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        return [text for name, each in entries.items() if name in TEXT_FIELDS for text in texts(each)]
    return []


def checked(value: Any) -> dict[str, Any] | None:
    """The setting. Raises GatewayError 7001, with the place, if it is malformed."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("guardrails: Expected object")
    for phase in PHASES:
        configured: Any = cast("dict[str, Any]", value).get(phase, {})
        if not isinstance(configured, dict):
            raise invalid(f"guardrails.{phase}: Expected object")
        for category, action in cast("dict[str, Any]", configured).items():
            if category not in CATEGORIES:
                raise invalid(f"guardrails.{phase}.{category}: Unrecognized key. Expected {' | '.join(CATEGORIES)}")
            if action not in ACTIONS:
                raise invalid(f"guardrails.{phase}.{category}: Invalid enum value. Expected {' | '.join(ACTIONS)}")
    return cast("dict[str, Any]", value)


def _hazards(text: str) -> list[str]:
    """Categories that llama-guard answers for the text, which is cut into parts as upstream's are."""
    parts = [text[start : start + PART_CHARACTERS] for start in range(0, len(text), PART_CHARACTERS)]
    categories: list[str] = []
    for part in parts:
        inputs = {"messages": [{"role": "user", "content": part}], "response_format": {"type": "json_object"}}
        categories += guard(MODELS[GUARD_MODEL], inputs)["response"]["categories"]
    return categories


PART_CHARACTERS = 20_000
"""Characters of a part. Cloudflare documents that long texts are cut, and not how long the parts are."""
