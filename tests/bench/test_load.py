from __future__ import annotations

import asyncio

import pytest

from bench.load import Plan, Sender, Tally, measure
from bench.origin import Origin, marker

HEAD = "GET /sandbox/profile/{n} HTTP/1.1\r\nHost: s\r\n\r\n"


class Sent:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


def a_sender(head: bytes = b"GET /{n} HTTP/1.1\r\n\r\n") -> tuple[Sender, Tally, Sent]:
    tally, transport = Tally(), Sent()
    sender = Sender(tally, head, b"right")
    sender.connection_made(transport)  # type: ignore[arg-type]
    sender.send()
    return sender, tally, transport


@pytest.mark.parametrize("word", ["clean", "astray"])
async def test_answers_with_the_marker_are_right_and_all_others_wrong(word: str) -> None:
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        plan = Plan(port, HEAD, marker(word).decode(), seconds=0.05, warm_s=0.0, connections=3)
        count = await measure(plan)
    assert count.lost == 0
    assert (count.right > 0) is (word == "clean")
    assert (count.wrong > 0) is (word == "astray")


def test_an_answer_counts_when_it_is_whole_and_the_next_request_follows_it() -> None:
    sender, tally, transport = a_sender()
    for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nright":
        sender.data_received(bytes([byte]))
    assert (tally.right, len(transport.written)) == (0, 1)
    sender.data_received(b"!")
    assert (tally.right, tally.wrong, len(transport.written)) == (1, 0, 2)


def test_an_answer_in_chunks_counts_when_its_last_chunk_has_come() -> None:
    sender, tally, transport = a_sender()
    for byte in b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nright!\r\n0\r\n\r":
        sender.data_received(bytes([byte]))
    assert (tally.right, len(transport.written)) == (0, 1)
    sender.data_received(b"\n")
    assert (tally.right, tally.wrong, len(transport.written)) == (1, 0, 2)


def test_no_two_requests_are_the_same() -> None:
    sender, _, transport = a_sender()
    sender.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright")
    assert transport.written == [b"GET /1 HTTP/1.1\r\n\r\n", b"GET /2 HTTP/1.1\r\n\r\n"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\nright", id="another status"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong", id="another body"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright and more", id="more than was announced"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nright", id="no length"),
    ],
)
def test_what_is_not_a_whole_right_answer_is_wrong(answer: bytes) -> None:
    sender, tally, _ = a_sender()
    sender.data_received(answer)
    assert (tally.right, tally.wrong) == (0, 1)


def test_a_connection_that_ends_within_a_round_is_lost() -> None:
    sender, tally, _ = a_sender()
    sender.connection_lost(None)
    tally.over = True
    sender.connection_lost(None)
    assert tally.lost == 1
