"""Errors by whose fault they are. Each class carries its HTTP status and its exit code, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class EsrError(Exception):
    """Root of every error that is shown to a user: one sentence with the value and the remedy.

    `code` is stable: API clients match on it.
    """

    status = 500
    exit_code = 1
    code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class BadInput(EsrError):
    status, exit_code, code = 400, 2, "bad_input"


class Unauthorised(EsrError):
    status, exit_code, code = 401, 2, "token_missing_or_wrong"


class NotFound(EsrError):
    status, exit_code, code = 404, 3, "not_found"


class Conflict(EsrError):
    status, exit_code, code = 409, 3, "conflict"


class Leaked(EsrError):
    """A check of the promise failed: production saw something of a drill."""

    status, exit_code, code = 500, 4, "leak"


class Unavailable(EsrError):
    """A dependency or a port that is needed cannot be had."""

    status, exit_code, code = 503, 5, "unavailable"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where, what stood there, what was expected."""

    file: str
    line: int
    key: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.value} is not {self.expected}"


class InvalidFile(BadInput):
    """A file with problems; `str()` lists them all, one a line."""

    code = "invalid_file"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
