"""Errors as Workers AI reports them."""

from collections.abc import Sequence

from starlette.responses import JSONResponse, Response


class UpstreamError(Exception):
    """An answer other than success: an HTTP status, Workers AI's internal code, a sentence."""

    def __init__(self, status: int, code: int, description: str, name: str = "InferenceUpstreamError") -> None:
        super().__init__(f"{code}: {description}")
        self.status = status
        self.code = code
        self.description = description
        self.name = name
        self.headers: dict[str, str] = {}
        """Of the response, whatever its form."""

    def response(self) -> Response:
        """The body from which the `Ai` class makes its `InferenceUpstreamError: <code>: <description>`."""
        body = {
            "internalCode": self.code,
            "name": self.name,
            "description": self.description,
            "message": f"{self.name}: {self.description}",
        }
        return JSONResponse(body, self.status, self.headers)


def incomplete(what: str) -> UpstreamError:
    """A request that lacks what its call needs, in the words of Cloudflare's table of Workers AI's errors."""
    return UpstreamError(400, 3003, f"Request is missing headers or body: {what}")


class NotSimulated(UpstreamError):  # noqa: N818 - a statement about this simulator, not about the request
    """A call that this simulator does not answer; nothing like it exists upstream."""

    def __init__(self, what: str) -> None:
        super().__init__(501, 501, f"{what} is not simulated", "NotSimulated")


def enveloped(result: object, status: int = 200, errors: Sequence[tuple[int, str]] = ()) -> Response:
    """A response of Cloudflare's REST API."""
    listed = [{"code": code, "message": message} for code, message in errors]
    return JSONResponse({"success": not errors, "result": result, "errors": listed, "messages": []}, status)
