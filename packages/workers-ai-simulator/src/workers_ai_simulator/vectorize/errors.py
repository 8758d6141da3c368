"""Errors of Vectorize, with the codes and messages that public repositories quote from the service.

Errors for which none was found have the code for an invalid body, 40026.
"""

from workers_ai_simulator.errors import UpstreamError

NOT_FOUND = 3000
UNPARSABLE_VECTORS = 40023
UNPARSABLE_BODY = 40026


class VectorizeError(UpstreamError):
    """Refusal of a call of Vectorize: the code and the sentence of the body, and the HTTP status."""

    def __init__(self, code: int, description: str, status: int = 400) -> None:
        super().__init__(status, code, description)


def unparsable_body(reason: str) -> VectorizeError:
    """Error 40026: the body of the request is not what the call takes."""
    return VectorizeError(UNPARSABLE_BODY, f"Failed to parse the request body as JSON: {reason}")


def unparsable_vectors(reason: str) -> VectorizeError:
    """Error 40023: the vectors of a write are not what the call takes."""
    return VectorizeError(UNPARSABLE_VECTORS, f"failed to parse vectors: {reason}")
