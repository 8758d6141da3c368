"""Real models on the user's machine or server, which answer in place of simulated ones, and the kind of simulated
embeddings."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.embeddings import answers as embeddings
from workers_ai_simulator.embeddings.vectors import SIMULATED, Kind
from workers_ai_simulator.inference.answers import AnswerInputs
from workers_ai_simulator.speech import simulated as speech
from workers_ai_simulator.speech.espeak import PROGRAM, EspeakVoice

if TYPE_CHECKING:  # each needs an extra, which users who do not use it need not install
    from workers_ai_simulator.embeddings.local import LocalEmbeddings
    from workers_ai_simulator.speech.local import LocalSpeech
    from workers_ai_simulator.upstream.embeddings import ServerEmbeddings
    from workers_ai_simulator.upstream.server import ChatUpstream


@dataclass(frozen=True)
class RealModels:
    """The real models in use; None for a task that is simulated."""

    chat: "ChatUpstream | None" = None
    """Server that answers all models of text generation."""
    embeddings: "LocalEmbeddings | None" = None
    speech: "LocalSpeech | None" = None
    voice: EspeakVoice | None = None
    server_embeddings: "ServerEmbeddings | None" = None
    """Embeddings by the server that answers text generation."""
    simulated_embeddings: Kind = "mixed"
    """Kind of the vectors of those embedding models and rerankers that are simulated."""

    @property
    def answers(self) -> dict[str, AnswerInputs]:
        """Functions that replace those of `ANSWERS`, by task."""
        kind = self.simulated_embeddings
        vectors = self.embeddings.vectors if self.embeddings else SIMULATED[kind]
        if self.server_embeddings:
            vectors = self.server_embeddings.vectors(otherwise=vectors)
        answers: dict[str, AnswerInputs] = {
            "embeddings": partial(embeddings.embed, vectors=vectors),
            "reranking": partial(embeddings.rerank, kind=kind),
        }
        if self.speech:
            answers["speech-to-text"] = partial(speech.transcribe, recognise=self.speech.recognise)
        if self.voice:
            answers["text-to-speech"] = partial(speech.speak, pronounce=self.voice.pronounce)
        return answers

    def embeds_by(self, model: Model) -> str:
        """Name of the server's model that computes this model's embeddings; empty if none does."""
        return self.server_embeddings.label(model) if self.server_embeddings else ""

    def about(self) -> dict[str, Any]:
        """`{chat_upstream: {url, server, models}, server_embeddings: the same, local_embeddings: {id: name},
        local_speech: name, local_voice: name}`; None where simulated; `simulated_embeddings`: `mixed`, `lexical` or
        `minilm`."""
        return {
            "chat_upstream": self.chat.about() if self.chat else None,
            "server_embeddings": self.server_embeddings.about() if self.server_embeddings else None,
            "local_embeddings": self.embeddings.about() if self.embeddings else None,
            "local_speech": self.speech.name if self.speech else None,
            "local_voice": PROGRAM if self.voice else None,
            "simulated_embeddings": self.simulated_embeddings,
        }

    async def close(self) -> None:
        if self.chat:
            await self.chat.close()
        if self.server_embeddings:
            self.server_embeddings.close()


NO_REAL_MODELS = RealModels()
