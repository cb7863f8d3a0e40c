"""One file of `scenarios/` as a frozen value: what traffic a drill gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from switchboard.durations import parse_factor
from switchboard.estate import Seconds, Value

FORMATS = ("auto", "common", "combined", "events")


def _speed(value: Any) -> Any:
    if isinstance(value, str):
        return parse_factor(value)
    return value


Speed = Annotated[float, BeforeValidator(_speed, json_schema_input_type=float | str), Field(gt=0, le=1_000_000)]


class Page(Value):
    """A page that synthetic users visit; `weight` is relative to the others."""

    path: str = Field(pattern=r"^/\S*$")
    weight: float = Field(default=1.0, gt=0)
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    origin: str | None = None
    json_body: Any = Field(default=None, alias="json")


class Profile(Value):
    """What synthetic users are drawn from: pages, think time between two of them, pages a session."""

    pages: tuple[Page, ...] = Field(min_length=1)
    think: Seconds = 5.0
    session_pages: float = Field(default=6.0, ge=1)
    locale: str = "en_US"


class Scenario(Value):
    """A scenario file. `users` None: as recorded; `duration` None: until the source is exhausted."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    source: Literal["replay_logs", "synthetic"]
    title: str = ""
    log_path: str | None = None
    format: Literal["auto", "common", "combined", "events"] = "auto"
    target: str | None = None
    origin: str | None = None
    speed: Speed = 1.0
    users: int | None = Field(default=None, ge=1, le=1_000_000)
    duration: Seconds | None = None
    seed: int = 0
    gap_cap: Seconds = 60.0
    profile: Profile | None = None

    @model_validator(mode="after")
    def _source_is_complete(self) -> Scenario:
        if self.source == "replay_logs" and self.log_path is None:
            raise ValueError("complete: 'source: replay_logs' needs 'log_path'")
        if self.source == "synthetic" and self.profile is None:
            raise ValueError("complete: 'source: synthetic' needs 'profile'")
        return self
