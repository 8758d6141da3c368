"""The real models that the user has, in whose place nothing is simulated."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from workers_ai_simulator.embeddings import lexical as embeddings
from workers_ai_simulator.inference.answers import Answer
from workers_ai_simulator.models import Model
from workers_ai_simulator.speech import simulated as speech

if TYPE_CHECKING:  # what each of them needs is an extra, which those who do not use it need not install
    from workers_ai_simulator.embeddings.local import LocalEmbeddings
    from workers_ai_simulator.speech.local import LocalSpeech
    from workers_ai_simulator.upstream.server import ChatUpstream


@dataclass(frozen=True)
class RealModels:
    chat: "ChatUpstream | None" = None
    """Answers all models of text generation."""
    embeddings: "LocalEmbeddings | None" = None
    speech: "LocalSpeech | None" = None

    @property
    def answers(self) -> dict[str, Callable[[Model, dict[str, Any]], Answer]]:
        """In the place of those of answers.py."""
        found: dict[str, Callable[[Model, dict[str, Any]], Answer]] = {}
        if self.embeddings:
            found["embeddings"] = partial(embeddings.embed, vectors=self.embeddings.vectors)
        if self.speech:
            found["speech-to-text"] = partial(speech.transcribe, hear=self.speech.heard)
        return found

    def about(self) -> dict[str, Any]:
        """`{chat_upstream: {url, models}, local_embeddings: {id: name}, local_speech: name}`; None: simulated."""
        return {
            "chat_upstream": self.chat.about() if self.chat else None,
            "local_embeddings": self.embeddings.about() if self.embeddings else None,
            "local_speech": self.speech.name if self.speech else None,
        }

    async def close(self) -> None:
        if self.chat:
            await self.chat.close()


NONE = RealModels()
