"""Control of a model's reasoning: `reasoning_effort` and `chat_template_kwargs`, which differ from model to model."""

from collections.abc import Mapping
from typing import Any

from aiworker.models.catalogue import Model

SYNONYMS = {"thinking": "enable_thinking"}
"""Members of `chat_template_kwargs` that other servers know under another name → the name here."""


def reasoning_inputs(
    model: Model, effort: str | None, template_arguments: Mapping[str, Any] | None
) -> tuple[dict[str, Any], list[str]]:
    """Return the model's inputs for these parameters, and the names of the parameters that it does not take.

    effort: one of catalogue.EFFORTS.
    template_arguments: the request's `chat_template_kwargs`; they overrule the effort.
    """
    inputs = dict(model.efforts.get(effort or "", {}))
    is_met = effort in (None, *model.efforts) or (effort == "none" and "reasoning" not in model.abilities.split())
    ignored = [] if is_met else ["reasoning_effort"]
    template: dict[str, Any] = dict(inputs.get("chat_template_kwargs", {}))
    for name, value in (template_arguments or {}).items():
        own = SYNONYMS.get(name, name)
        if own in model.template_arguments:
            template[own] = value
        elif not (own == "enable_thinking" and value is True and "reasoning" in model.abilities.split()):
            ignored.append(f"chat_template_kwargs.{name}")
    return inputs | ({"chat_template_kwargs": template} if template else {}), ignored
