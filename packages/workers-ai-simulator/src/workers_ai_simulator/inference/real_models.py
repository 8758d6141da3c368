"""Real models on the user's machine or server, which answer in place of the simulated ones, and the kind of those."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from workers_ai_simulator.embeddings import answers as embeddings
from workers_ai_simulator.embeddings.vectors import SIMULATED, Kind
from workers_ai_simulator.inference.answers import AnswerInputs
from workers_ai_simulator.speech import simulated as speech

if TYPE_CHECKING:  # each needs an extra, which users who do not use it need not install
    from workers_ai_simulator.embeddings.local import LocalEmbeddings
    from workers_ai_simulator.speech.local import LocalSpeech
    from workers_ai_simulator.upstream.server import ChatUpstream


@dataclass(frozen=True)
class RealModels:
    """The real models in use; None for a task that is simulated."""

    chat: "ChatUpstream | None" = None
    """Server that answers all models of text generation."""
    embeddings: "LocalEmbeddings | None" = None
    speech: "LocalSpeech | None" = None
    simulated_embeddings: Kind = "mixed"
    """Kind of the vectors of those embedding models and rerankers that are simulated."""

    @property
    def answers(self) -> dict[str, AnswerInputs]:
        """Functions that replace those of `ANSWERS`, by task."""
        kind = self.simulated_embeddings
        vectors = self.embeddings.vectors if self.embeddings else SIMULATED[kind]
        answers: dict[str, AnswerInputs] = {
            "embeddings": partial(embeddings.embed, vectors=vectors),
            "reranking": partial(embeddings.rerank, kind=kind),
        }
        if self.speech:
            answers["speech-to-text"] = partial(speech.transcribe, recognise=self.speech.recognise)
        return answers

    def about(self) -> dict[str, Any]:
        """`{chat_upstream: {url, models}, local_embeddings: {id: name}, local_speech: name}`; None where simulated;
        `simulated_embeddings`: `mixed` or `lexical`."""
        return {
            "chat_upstream": self.chat.about() if self.chat else None,
            "local_embeddings": self.embeddings.about() if self.embeddings else None,
            "local_speech": self.speech.name if self.speech else None,
            "simulated_embeddings": self.simulated_embeddings,
        }

    async def close(self) -> None:
        if self.chat:
            await self.chat.close()


NO_REAL_MODELS = RealModels()
