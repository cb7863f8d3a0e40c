"""Request bodies as frozen values: JSON objects and NDJSON lines, refused with key, value and expectation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import orjson
from pydantic import ConfigDict, Field, ValidationError

from switchboard.durations import parse_duration
from switchboard.errors import BadInput
from switchboard.estate import Seconds, Value
from switchboard.scenario import Speed

NO_COHORT = "none"
DEFAULT_MAX_S = parse_duration("8h")
MOST_LINES = 100_000
_SHOWN = 20

EXPECTED: Mapping[str, str] = {
    "mode": "'live' or 'sandbox'",
    "target": "the name of a target",
    "cohort": "the name of a cohort (for a drill of traffic only: null or 'none')",
    "scenario": "the id of a scenario, or null",
    "owner": "text of at most 200 characters",
    "max": "a duration like '8h' of at least 1 s",
    "speed": "a factor like '2x'",
    "users": "a whole number from 1 to 1000000",
    "duration": "a duration like '30m'",
    "seed": "a whole number",
}


class TooLarge(BadInput):
    status, code = 413, "too_large"


class _Body(Value):
    model_config = ConfigDict(strict=True)


class ModeBody(_Body):
    mode: Literal["live", "sandbox"]
    target: str | None = None
    cohort: str | None = None


class StartBody(_Body):
    """What a drill is started with; `max` is the longest it may take, in seconds."""

    scenario: str | None = None
    target: str | None = None
    cohort: str | None = None
    owner: str = Field(default="", max_length=200)
    max: Seconds = Field(default=DEFAULT_MAX_S, ge=1)
    speed: Speed | None = None
    users: int | None = Field(default=None, ge=1, le=1_000_000)
    duration: Seconds | None = None
    seed: int | None = None

    @property
    def leaves_cohort_open(self) -> bool:
        """Whether the cohort was left out, which is not the same as null."""
        return "cohort" not in self.model_fields_set


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of `score/events`: an answer that somebody else measured; `wait_s` in seconds."""

    user: str
    wait_s: float
    status: int

    @property
    def is_error(self) -> bool:
        return self.status == 0 or self.status >= 400


BodyT = TypeVar("BodyT", bound=_Body)


def parse_body(model: type[BodyT], raw: bytes) -> BodyT:
    """Return a JSON body as `model`; raises BadInput that lists every key with its value and expectation."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"body: {_shown(raw)} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadInput(f"body: {_shown(found)} is not a JSON object")
    try:
        return model.model_validate(found)
    except ValidationError as error:
        known = ", ".join(model.model_fields)
        raise BadInput("\n".join(_sentence(one, known=known) for one in error.errors())) from error


def parse_epoch(text: str | None) -> int | None:
    """Return the epoch of an If-Match header, None where any will do; raises BadInput."""
    if text is None or text.strip() == "*":
        return None
    number = text.strip().strip('"')
    if not (number.isascii() and number.isdecimal() and len(number) < 20):
        raise BadInput(f"If-Match: {_shown(text)} is not an epoch like 7")
    return int(number)


def _sentence(problem: Any, *, known: str) -> str:
    key = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return f"body: {key}: {_shown(problem['input'])} has an unknown key; known are {known}"
    if problem["type"] == "missing":
        return f"body: {key}: is missing; expected {EXPECTED[key]}"
    return f"body: {key}: {_shown(problem['input'])} is not {EXPECTED[key]}"


def parse_outcomes(raw: bytes) -> tuple[Outcome, ...]:
    """Return the outcomes of NDJSON lines `{"user","wait","status"}`; blank lines are fine.

    All or nothing: raises BadInput with the numbers of the lines that are wrong, TooLarge for too many.
    """
    lines = raw.split(b"\n")
    if len(lines) > MOST_LINES + 1:
        raise TooLarge(f"{len(lines)} lines are more than {MOST_LINES} in one request; send them in parts")
    outcomes: list[Outcome] = []
    wrong: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            outcomes.append(_outcome(line))
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        rest = f"\nand {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise BadInput("\n".join(wrong[:_SHOWN]) + rest + "\nnothing was counted", code="bad_lines")
    if not outcomes:
        raise BadInput('no outcomes in the body; expected lines like {"user":"u1","wait":0.12,"status":200}')
    return tuple(outcomes)


def _outcome(line: bytes) -> Outcome:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{_shown(line)} is not JSON") from error
    if not isinstance(found, dict) or set(found) != {"user", "wait", "status"}:
        raise ValueError(f"{_shown(found)} is not an object with the keys user, wait and status")
    user, wait, status = found["user"], found["wait"], found["status"]
    if not isinstance(user, str) or not 0 < len(user) <= 200:
        raise ValueError(f"user: {_shown(user)} is not a text of 1 to 200 characters")
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < math.inf:
        raise ValueError(f"wait: {_shown(wait)} is not a number of seconds from 0")
    if isinstance(status, bool) or not isinstance(status, int) or not (status == 0 or 100 <= status <= 599):
        raise ValueError(f"status: {_shown(status)} is not an HTTP status, or 0 for no answer")
    return Outcome(user=user, wait_s=float(wait), status=status)


def _shown(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
