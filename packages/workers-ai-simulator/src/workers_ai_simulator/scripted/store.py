"""The scripted answers that are set."""

from collections.abc import Iterator

from workers_ai_simulator.scripted.errors import UnexpectedCall
from workers_ai_simulator.scripted.models import PromptedCall, Script, ScriptedAnswer
from workers_ai_simulator.text import shortened


class ScriptedAnswers:
    """Answers in the order in which they were set, including those that are used up."""

    def __init__(self) -> None:
        self._answers: list[ScriptedAnswer] = []
        self._last_id = 0
        self.strict = False
        """Whether a call without a scripted answer is refused."""

    def __iter__(self) -> Iterator[ScriptedAnswer]:
        return iter(self._answers)

    def add(self, script: Script) -> list[ScriptedAnswer]:
        """Add the answers of a script after those that are set, and return them."""
        for answer in script.answers:
            self._last_id += 1
            answer.id = self._last_id
        self._answers += script.answers
        self.strict = self.strict if script.strict is None else script.strict
        return script.answers

    def clear(self) -> None:
        """Delete all answers, and end strict mode."""
        self._answers.clear()
        self.strict = False

    def decides(self, call: PromptedCall) -> bool:
        """Whether the call gets a scripted answer, or is refused because there is none."""
        return self.strict or any(each.fits(call) for each in self._answers)

    def take(self, call: PromptedCall) -> ScriptedAnswer | None:
        """The first answer for the call, counted as applied; None if the simulator is to answer.

        Raises UnexpectedCall, in strict mode, if there is none.
        """
        answer = next((each for each in self._answers if each.fits(call)), None)
        if answer is not None:
            answer.applied += 1
        elif self.strict:
            raise UnexpectedCall(self._why(call))
        return answer

    def _why(self, call: PromptedCall) -> str:
        pending = [each for each in self._answers if each.remaining != 0]
        left = "; ".join(f"answer {each.id} is for {_described(each)}" for each in pending[:3])
        prompt = f" with the prompt “{shortened(call.prompt, 120)}”" if call.prompt else ""
        used = f"all {len(self._answers)} are used up" if self._answers else "none is set"
        return f"Unexpected call of {call.model}{prompt}: no scripted answer applies to it ({left or used})."


def _described(answer: ScriptedAnswer) -> str:
    """The calls that an answer applies to, in words."""
    parts = [f"{name} {answer.parts[name]!r}" for name in ("model", "prompt", "pattern") if name in answer.parts]
    kind = next((name for name in ("frames", "tool_calls", "json", "stream") if name in answer.parts), None)
    return f"{', '.join(parts) or 'any prompt'}" + (f" ({kind})" if kind else "")
