"""Options that every verb of the command line has, declared once, and the types of their values."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from switchboard.durations import parse_duration, parse_factor
from switchboard.settings import read_settings

Verb = Callable[..., Any]

_SHARED = (
    click.option("-f", "--estate", metavar="FILE", help="Estate file (HMS_ESR_ESTATE; default ./switchboard.yml)."),
    click.option("--url", help="Admin API (HMS_ESR_URL; default the estate's admin listener)."),
    click.option("--token", help="Admin token (HMS_ESR_TOKEN; default STATE/admin.token)."),
    click.option("--redis", "redis_url", metavar="URL", help="Redis (HMS_ESR_REDIS_URL; default a private one)."),
    click.option("--state", metavar="DIR", help="State folder (HMS_ESR_STATE; default under the user's state folder)."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """An option parsed by a function that raises ValueError with what it expected."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r} is not {error}", param, ctx)


DURATION = Parsed("duration", parse_duration)
FACTOR = Parsed("factor", parse_factor)


def shared(verb: Verb) -> Verb:
    """Give a verb the options that every verb has, as its first argument `settings`."""

    @functools.wraps(verb)
    def with_settings(**given: Any) -> Any:
        names = ("estate", "url", "token", "redis_url", "state", "as_json")
        settings = read_settings(os.environ, **{name: given.pop(name) for name in names})
        return verb(settings, **given)

    for option in reversed(_SHARED):
        with_settings = option(with_settings)
    return with_settings
