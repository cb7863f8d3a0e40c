"""Names to addresses: bounded in time, remembered for a moment, never in anybody's way."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from addons import lookup as module
from addons.lookup import Lookup


@pytest.fixture
def lookup() -> Iterator[Lookup]:
    made = Lookup()
    yield made
    made.close()


async def test_a_literal_and_a_name_have_addresses(lookup: Lookup) -> None:
    assert await lookup("127.0.0.7", 80) == ["127.0.0.7"]
    assert "127.0.0.1" in await lookup("localhost", 80)


@pytest.mark.parametrize("name", ["no-such-name.invalid", "a" * 64 + ".example"])
async def test_what_is_no_name_is_an_error(lookup: Lookup, name: str) -> None:
    with pytest.raises(OSError, match=r"."):
        await lookup(name, 80)


async def test_an_answer_is_remembered_for_a_moment(lookup: Lookup, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def count(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(module.socket, "getaddrinfo", count)
    for _ in range(3):
        assert await lookup("www.cms.example", 443) == ["192.0.2.1"]
    assert asked == ["www.cms.example"]


async def test_a_slow_name_is_given_up_and_others_are_not_held_up(
    lookup: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def slow(host: str, port: int, **_: Any) -> list[Any]:
        if host.startswith("slow"):
            release.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(module.socket, "getaddrinfo", slow)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.2)
    waiting = asyncio.gather(*(lookup(f"slow-{n}.example", 80) for n in range(40)), return_exceptions=True)
    await asyncio.sleep(0)
    began = time.monotonic()
    assert await lookup("quick.example", 80) == ["192.0.2.1"]
    assert time.monotonic() - began < 0.15
    assert all(isinstance(found, OSError) for found in await waiting)
    release.set()
