"""What answers each task: a function of the model and its inputs."""

from collections.abc import Callable
from typing import Any

from workers_ai_simulator import language
from workers_ai_simulator.embeddings import lexical as embeddings
from workers_ai_simulator.images import painting as images
from workers_ai_simulator.images import vision
from workers_ai_simulator.media import Media
from workers_ai_simulator.models import Model
from workers_ai_simulator.speech import simulated as speech

Answer = dict[str, Any] | list[Any] | Media

ANSWERS: dict[str, Callable[[Model, dict[str, Any]], Answer]] = {
    "embeddings": embeddings.embed,
    "reranking": embeddings.rerank,
    "translation": language.translate,
    "text-classification": language.classify,
    "summarization": language.summarize,
    "guard": language.guard,
    "text-to-image": images.paint,
    "image-to-image": images.paint,
    "inpainting": images.paint,
    "image-to-text": images.describe,
    "image-classification": vision.classify,
    "object-detection": vision.detect,
    "speech-to-text": speech.transcribe,
    "text-to-speech": speech.speak,
}
"""Task → its function, which raises UpstreamError for inputs that the model refuses. Text generation, which streams, is
in generation.py."""
