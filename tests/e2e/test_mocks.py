"""Mocks as users meet them: two workers on one store, files, templates, delays, and what the outbox has of it all."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e import asking
from tests.e2e.asking import Answer
from tests.e2e.origin import chunk
from tests.e2e.real import WWW, Real, real

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGET = """
    credentials:
      - {in: json, pointer: /card/secret, twin: {value: twin}}
    mocks:
      - {match: "POST http://mail.example/send", status: 202, json: {queued: true}, headers: {X-Mail: "1"}}
      - match: "* http://mocks.example/hello*"
        template: "{{ method }} {{ path }} {{ query.name }} {{ headers['x-plain'] }} {{ (json or form).who }}"
      - {match: "GET http://mocks.example/file", file: answer.json}
      - {match: "GET http://mocks.example/page*", template: {file: page.html.j2}}
      - {match: "GET http://mocks.example/slow", text: late, delay: 1s}
      - {match: "GET http://mocks.example/gone", status: 204}
      - {match: "GET http://mocks.example/broken", template: "{{ json.nobody.here }}"}
      - match: "POST http://mocks.example/ticket"
        state: true
        set: {number: "state.number | default(0) + 1"}
        template: "{{ state.number }}"
        outbox: false
      - {match: "GET http://mocks.example/ticket", state: true, template: "{{ state.number | default(0) }}"}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drill() -> AsyncIterator[Real]:
    with tempfile.TemporaryDirectory(prefix="esr-") as name:
        folder = Path(name)
        (folder / "answer.json").write_text('{"from": "a file"}')
        (folder / "page.html.j2").write_text("<p>{{ query.name }}</p>")
        async with real(folder, target=TARGET, workers=2) as running:
            before = running.production.books.connections
            yield running
            assert running.production.books.connections == before
            assert running.sandbox.connections == 0


async def ask(
    drill: Real, path: str, *, method: str = "GET", host: str = "mocks.example", fields: str = "", body: bytes = b""
) -> Answer:
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    async with asyncio.timeout(10), asking.line(drill.port) as line:
        head = f"{method} http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n{fields}{length}\r\n"
        return await line.ask(head.encode() + body)


async def test_a_template_has_the_values_of_its_request_and_no_credential(drill: Real) -> None:
    fields = "X-Plain: p\r\nAuthorization: Bearer prod\r\nContent-Type: application/json\r\n"
    answer = await ask(drill, "/hello/x?name=Ada+%26+B", method="POST", fields=fields, body=b'{"who": "Eve"}')
    assert (answer.status, answer.body) == (200, b"POST /hello/x Ada & B p Eve")
    assert answer.header("cache-control") == "no-store"
    form = "X-Plain: p\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    answer = await ask(drill, "/hello?name=A", method="POST", fields=form, body=b"who=me")
    assert answer.body == b"POST /hello A p me"


async def test_a_body_in_chunks_is_read_whole_for_a_template(drill: Real) -> None:
    async with asyncio.timeout(5), asking.line(drill.port) as line:
        head = "PUT http://mocks.example/hello?name=A HTTP/1.1\r\nHost: mocks.example\r\nX-Plain: p\r\n"
        head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await line.ask(head.encode() + chunk(b'{"who": ') + chunk(b'"me"}') + chunk(b""))
        assert answer.body == b"PUT /hello A p me"
        assert (await line.ask(b"GET http://mocks.example/file HTTP/1.1\r\nHost: mocks.example\r\n\r\n")).status == 200


async def test_files_answer_as_what_they_are(drill: Real) -> None:
    answer = await ask(drill, "/file")
    assert (answer.header("content-type"), json.loads(answer.body)) == ("application/json", {"from": "a file"})
    answer = await ask(drill, "/page?name=<script>")
    assert answer.body == b"<p>&lt;script&gt;</p>"
    assert answer.header("content-type").startswith("text/html")


async def test_an_answer_without_a_body_has_none(drill: Real) -> None:
    async with asyncio.timeout(5), asking.line(drill.port) as line:
        for request in (b"GET http://mocks.example/gone", b"HEAD http://mocks.example/hello"):
            await line.send(request + b" HTTP/1.1\r\nHost: mocks.example\r\n\r\n")
            assert (await line.head()).status in (204, 500)
        assert (await line.ask(b"GET http://mocks.example/file HTTP/1.1\r\nHost: mocks.example\r\n\r\n")).status == 200


async def test_a_template_without_an_answer_says_so_and_no_more(drill: Real) -> None:
    answer = await ask(drill, "/broken", fields="Authorization: Bearer prod\r\n")
    assert answer.status == 500
    assert answer.body.startswith(b"HMS-ESR: mock GET http://mocks.example/broken gives no answer")


async def test_a_slow_mock_holds_nobody_else_up(drill: Real) -> None:
    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        slow = [tasks.create_task(ask(drill, "/slow")) for _ in range(20)]
        await asyncio.sleep(0.05)
        quick = [tasks.create_task(ask(drill, "/file")) for _ in range(20)]
        await asyncio.wait(quick)
        assert time.monotonic() - start < 0.9
        assert not any(task.done() for task in slow)
    assert {task.result().body for task in slow} == {b"late"}
    assert 1 <= time.monotonic() - start < 2


async def test_two_workers_count_as_one(drill: Real) -> None:
    assert len(drill.workers()) == 2
    before = int((await ask(drill, "/ticket")).body)
    async with asyncio.TaskGroup() as tasks:
        drawn = [tasks.create_task(ask(drill, "/ticket", method="POST")) for _ in range(40)]
    numbers = sorted(int(task.result().body) for task in drawn)
    assert numbers == list(range(before + 1, before + 41))
    assert (await ask(drill, "/ticket")).body == b"%d" % (before + 40)


async def test_the_outbox_tells_what_would_have_been_sent(drill: Real) -> None:
    body = b'{"to": "ada@example.org", "password": "prod-1", "card": {"secret": "prod-2", "n": 4}}'
    fields = "Content-Type: application/json\r\nAuthorization: Bearer prod-3\r\n"
    answer = await ask(drill, "/send?token=prod-4&x=1", method="POST", host="mail.example", fields=fields, body=body)
    assert (answer.status, json.loads(answer.body), answer.header("x-mail")) == (202, {"queued": True}, "1")
    await asyncio.sleep(1.5)  # workers take them to the store each second
    (entry,) = [entry for entry in (await drill.api.outbox())["entries"] if entry["kind"] == "mail"]
    assert entry["url"] == "http://mail.example/send?x=1"
    assert (entry["method"], entry["status"], entry["size"]) == ("POST", 202, len(body))
    assert entry["body"]["to"] == "ada@example.org"
    assert entry["body"]["card"]["n"] == 4
    assert "prod-" not in json.dumps(await drill.api.outbox())


async def test_a_method_that_no_mock_takes_is_refused(drill: Real) -> None:
    answer = await ask(drill, "/file", method="POST")
    assert (answer.status, answer.side) == (403, "")
    assert (await ask(drill, "/send", method="GET", host="mail.example")).status == 403
    assert (await ask(drill, "/page", host=WWW, method="TRACE")).status == 400
