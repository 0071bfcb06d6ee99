"""Every refusal, built in one place, in the service's own form."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

_log = logging.getLogger("uvicorn.error")


class ApiError(Exception):
    """A refusal: HTTP status, the service's code, a message, and what else its body carries.

    Attributes:
        headers: of the answer.
        html: a gateway speaks, not the service: the body is no JSON.

    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        /,
        *,
        headers: dict[str, str] | None = None,
        html: bool = False,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.html = html
        self.extra = extra

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"code": self.code, "message": self.message, **self.extra}}

    def response(self) -> Response:
        """Return the refusal as an answer."""
        if self.html:
            page = f"<html><head><title>{self.status} {self.message}</title></head><body>{self.message}</body></html>"
            return HTMLResponse(page, self.status, self.headers)
        return JSONResponse(self.body, self.status, self.headers)


def not_found(what: str, name: str) -> ApiError:
    """Return the refusal of an id that is not there."""
    return ApiError(404, "notFound", f"The specified {what} does not exist: {name}")


def no_resource() -> ApiError:
    """Return the refusal of a path that the service does not have."""
    return ApiError(404, "404", "Resource not found")


def bad_request(message: str, **extra: Any) -> ApiError:
    """Return the refusal of a request that makes no sense."""
    return ApiError(400, "invalidPayload", message, **extra)


def conflict(message: str, code: str = "conflict", **extra: Any) -> ApiError:
    """Return the refusal of what an object's state does not allow."""
    return ApiError(409, code, message, **extra)


def quota_exceeded(message: str, status: int = 400) -> ApiError:
    """Return the refusal of what would be more than the resource may have."""
    return ApiError(status, "quotaExceeded", message)


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return the chat operation's own form of a 400."""
    return ApiError(400, code or "invalid_request_error", message, type="invalid_request_error", param=param)


def unsupported(what: str) -> ApiError:
    """Return the refusal of what the service has and this emulator has not: loud, never half-answered."""
    return ApiError(501, "NotImplemented", f"The emulator does not support {what}.")


def unauthorized() -> ApiError:
    """Return the refusal of a call without a valid key or token."""
    return ApiError(
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key"
        " for an active subscription and use a correct regional API endpoint for your resource.",
    )


def content_filtered() -> ApiError:
    """Return the refusal of a prompt that the content filter has caught."""
    found = {
        name: {"filtered": name == "violence", "severity": "medium" if name == "violence" else "safe"}
        for name in ("hate", "self_harm", "sexual", "violence")
    }
    return ApiError(
        400,
        "content_filter",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
        " Please modify your prompt and retry.",
        param="prompt",
        type=None,
        status=400,
        innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": found},
    )


async def respond(_: Request, error: Exception) -> Response:
    """Answer a request with its refusal."""
    if isinstance(error, ApiError):
        return error.response()
    if isinstance(error, HTTPException):  # Starlette's own, of a form that cannot be read
        return ApiError(error.status_code, "invalidPayload", error.detail).response()
    _log.error("unexpected", exc_info=error)
    return ApiError(500, "InternalServerError", "The server had an error while processing your request.").response()
