"""Synthetic users in their simple form: weighted pages, think time, session length, and a person each.

A user is never idle: sessions follow each other with a think time between any two visits, so that the load is
users / think. Everything is drawn from one seeded sequence in the order of time: the same seed gives the same visits.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heapify, heapreplace
from itertools import accumulate
from math import log
from typing import Any

import orjson
from faker import Faker

from generator.entry import Count, Draw, Entry, Visit
from switchboard.errors import BadInput
from switchboard.scenario import Page, Profile

_JSON = ((b"Content-Type", b"application/json"),)
_SHORTEST_THINK_S = 0.001


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who does not exist. `email` is in a domain reserved for examples."""

    user: str
    name: str
    email: str
    agent: str


class People:
    """Persons by user number: the same seed, locale and number give the same person."""

    def __init__(self, *, locale: str, seed: int) -> None:
        try:
            self._faker = Faker(locale)
        except AttributeError as error:
            raise BadInput(f"profile: locale: {locale!r} is not a locale that Faker knows, like 'en_US'") from error
        self._seed = seed

    def person(self, number: int) -> Person:
        faker = self._faker
        faker.seed_instance(f"{self._seed}/{number}")
        return Person(f"user-{number}", faker.name(), faker.safe_email(), faker.user_agent())


def synthesise(profile: Profile, *, users: int, seed: int, draw: Draw, count: Count) -> Iterator[Visit]:
    """Yield the visits of `users` concurrent users without end, in the order of time; stamps start at 0."""
    think = max(profile.think, _SHORTEST_THINK_S)
    pages = _picker(profile.pages)
    crowd = People(locale=profile.locale, seed=seed)
    persons: dict[int, Person] = {}
    # (when, user, pages left in this session)
    agenda = [(think * draw(), number, 0) for number in range(users)]
    heapify(agenda)
    while True:
        stamp, number, left = agenda[0]
        if left == 0:
            left = _session_length(profile.session_pages, draw())
            count("sessions", 1)
        person = persons.get(number)
        if person is None:
            person = persons[number] = crowd.person(number)
        count("read", 1)
        yield Visit(stamp, person.user, _entry(pages(draw()), person))
        heapreplace(agenda, (stamp - think * log(1 - draw()), number, left - 1))


def _session_length(mean: float, drawn: float) -> int:
    """Return a number of pages, at least 1, geometrically distributed."""
    return 1 if mean <= 1 else 1 + int(log(1 - drawn) / log(1 - 1 / mean))


def _picker(pages: tuple[Page, ...]) -> Callable[[float], Page]:
    sums = list(accumulate(page.weight for page in pages))
    return lambda drawn: pages[min(bisect(sums, drawn * sums[-1]), len(pages) - 1)]


def _entry(page: Page, person: Person) -> Entry:
    target = f"{page.origin or ''}{page.path}"
    if page.json_body is None:
        return Entry(0.0, False, person.user, person.agent, page.method, target)
    body = orjson.dumps(_filled(page.json_body, person))
    return Entry(0.0, False, person.user, person.agent, page.method, target, _JSON, body)


def _filled(value: Any, person: Person) -> Any:
    """Return JSON with {name}, {email} and {user} in its texts replaced by the person's."""
    if isinstance(value, str):
        for field in ("name", "email", "user"):
            value = value.replace(f"{{{field}}}", getattr(person, field))
        return value
    if isinstance(value, dict):
        return {key: _filled(item, person) for key, item in value.items()}
    return [_filled(item, person) for item in value] if isinstance(value, list) else value
