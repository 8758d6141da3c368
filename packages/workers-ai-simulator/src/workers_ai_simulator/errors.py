"""Errors as Workers AI reports them; the base of every simulated service's own errors."""

from starlette.responses import JSONResponse, Response


class UpstreamError(Exception):
    """Refusal of a call: an HTTP status, Cloudflare's internal code, a sentence, and the name of the error's class."""

    def __init__(self, status: int, code: int, description: str, name: str = "InferenceUpstreamError") -> None:
        super().__init__(f"{code}: {description}")
        self.status = status
        self.code = code
        self.description = description
        self.name = name
        self.headers: dict[str, str] = {}
        """Headers of the response, in whatever form the API answers the error."""
        self.body: bytes | None = None
        """Body of the REST API's answer as a real service sent it; None: it is written from the error."""

    def response(self) -> Response:
        """The body from which the `Ai` class makes its `InferenceUpstreamError: <code>: <description>`."""
        body = {
            "internalCode": self.code,
            "name": self.name,
            "description": self.description,
            "message": f"{self.name}: {self.description}",
        }
        return JSONResponse(body, self.status, self.headers)


def incomplete(reason: str) -> UpstreamError:
    """Error 3003 for a request without what its call needs, worded as in Cloudflare's table of Workers AI errors."""
    return UpstreamError(400, 3003, f"Request is missing headers or body: {reason}")


class NotSimulated(UpstreamError):  # noqa: N818 - a statement about this simulator, not about the request
    """Refusal of a call that this simulator does not answer: status and code 501, which upstream never sends."""

    def __init__(self, feature: str, advice: str = "") -> None:
        """advice: a sentence with what to do in its place."""
        sentence = f"{feature} is not simulated"
        super().__init__(501, 501, f"{sentence}. {advice}" if advice else sentence, "NotSimulated")
