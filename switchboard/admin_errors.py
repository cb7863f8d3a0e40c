"""Errors as `application/problem+json` (RFC 9457), translated in one place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from switchboard.errors import EsrError, InvalidFile

_LOG = logging.getLogger(__name__)
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def problem_response(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> web.Response:
    """Return a problem document; `code` is what clients match on."""
    return web.json_response(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
            **more,
        },
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


def _of_error(error: EsrError) -> web.Response:
    more: dict[str, Any] = {}
    if isinstance(error, InvalidFile):
        more["problems"] = [str(problem) for problem in error.problems]
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "60"}, 503: {"Retry-After": "2"}}
    return problem_response(error.status, error.code, str(error), headers=headers.get(error.status), **more)


@web.middleware
async def translate_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem document; what nobody foresaw is logged and says nothing of itself."""
    try:
        return await handler(request)
    except EsrError as error:
        return _of_error(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        code = _CODES.get(error.status, "bad_request" if error.status < 500 else "internal")
        detail = f"{request.method} {request.path[:200]}: {error.reason}"
        return problem_response(error.status, code, detail, headers=allow)
    except Exception:
        _LOG.exception("%s %s failed", request.method, request.path)
        return problem_response(500, "internal", "an error inside the admin; its log has the details")
