"""Every refusal, built in one place, in the service's own form."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse


class ApiError(Exception):
    """A refusal: HTTP status, the service's code, a message, and what else its body carries."""

    def __init__(self, status: int, code: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"code": self.code, "message": self.message, **self.extra}}


def not_found(what: str, name: str) -> ApiError:
    """Return the refusal of an id that is not there."""
    return ApiError(404, "notFound", f"The specified {what} does not exist: {name}")


def bad_request(message: str, **extra: Any) -> ApiError:
    """Return the refusal of a request that makes no sense."""
    return ApiError(400, "invalidPayload", message, **extra)


def unsupported(what: str) -> ApiError:
    """Return the refusal of what the service has and this emulator has not: loud, never half-answered."""
    return ApiError(501, "NotImplemented", f"The emulator does not support {what}.")


async def respond(_: Request, error: Exception) -> JSONResponse:
    """Answer a request with its refusal."""
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status)
