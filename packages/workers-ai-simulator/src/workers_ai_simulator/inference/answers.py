"""Table of the functions that simulate answers: for each task, a function of the model and its inputs."""

from collections.abc import Callable
from typing import Any

from workers_ai_simulator import decisions, language
from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.embeddings import answers as embeddings
from workers_ai_simulator.images import painting, vision
from workers_ai_simulator.inference.models import Answer
from workers_ai_simulator.speech import simulated as speech

AnswerInputs = Callable[[Model, dict[str, Any]], Answer]
"""Answers the inputs of a model; raises UpstreamError for inputs that the model refuses."""

ANSWERS: dict[str, AnswerInputs] = {
    "embeddings": embeddings.embed,
    "reranking": embeddings.rerank,
    "translation": language.translate,
    "text-classification": language.classify,
    "summarization": language.summarize,
    "guard": language.guard,
    "decision": decisions.decide,
    "text-to-image": painting.paint,
    "image-to-image": painting.paint,
    "inpainting": painting.paint,
    "image-to-text": painting.describe,
    "image-classification": vision.classify,
    "object-detection": vision.detect,
    "speech-to-text": speech.transcribe,
    "text-to-speech": speech.speak,
}
"""Task → its function. Text generation, which streams, is not here but in text_generation/generation.py."""

SIMULATED_TASKS = ("text-generation", *ANSWERS)
"""Tasks whose models are answered; a call of any other model answers 501."""
