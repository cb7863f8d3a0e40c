from __future__ import annotations

import asyncio
import shlex
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.curl_command import parse_curl
from switchboard.errors import BadInput
from switchboard.headers import Field
from switchboard.specimen import Specimen

URL = "http://www.cms.example/a"
FORM = (b"Content-Type", b"application/x-www-form-urlencoded")

# What real curl is asked as well; `{url}` is where it asks.
COMMANDS = {
    "plain": "curl {url}",
    "method": "curl -X DELETE {url}",
    "method in one word": "curl -XPATCH {url}",
    "long method": "curl --request PUT --url {url}",
    "fields": "curl -H 'Accept: text/html' -H 'X-One: 1' -H 'X-One:2' {url}",
    "own field taken out": "curl -H 'User-Agent:' -H 'Accept:' {url}",
    "empty field": "curl -H 'X-Empty;' {url}",
    "another Host": "curl -H 'Host: api.cms.example' {url}",
    "data": "curl -d a=1 -d b=2 {url}",
    "raw data": "curl --data-raw '@a=1' {url}",
    "binary data": "curl --data-binary 'a b' -H 'Content-Type: text/plain' {url}",
    "encoded data": "curl --data-urlencode 'a=b c&d/é' --data-urlencode '=x y' --data-urlencode 'p q' {url}",
    "json": """curl --json '{{"a": 1}}' {url}""",
    "empty data": "curl -d '' {url}",
    "data in the query": "curl -G -d a=1 -d b=2 '{url}?c=3'",
    "data in an empty query": "curl -G -d a=1 {url}",
    "head": "curl -I {url}",
    "cookies": "curl -b 'a=1; b=2' -b c=3 {url}",
    "cookies as a field": "curl -b a=1 -H 'Cookie: b=2' {url}",
    "user": "curl -u joe:pass:word {url}",
    "user and a field": "curl -u joe:pass -H 'Authorization: Bearer x' {url}",
    "bearer": "curl --oauth2-bearer abc {url}",
    "agent": "curl -A Robot {url}",
    "no agent": "curl -A '' {url}",
    "referer": "curl -e http://www.cms.example/before {url}",
    "range": "curl -r 0-99 {url}",
    "compressed": "curl --compressed {url}",
    "short options in one word": "curl -sSLkX POST -d a=1 {url}",
    "transport": "curl --max-time 5 --retry 0 --http1.1 --no-keepalive -4 {url}",
    "dot segments": "curl {url}/b/../c/./d/..",
    "dot segments kept": "curl --path-as-is {url}/b/../c",
    "fragment": "curl '{url}#there'",
    "query without a path": "curl '{url}?'",
    "form strings": "curl --form-string a=1 -F 'b=2;type=text/csv' {url}",
}


def fields_of(specimen: Specimen) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in specimen.fields}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_a_command_sends_what_curl_sends(command: str) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readuntil(b"\r\n\r\n")
        length = [line.partition(b":")[2] for line in data.split(b"\r\n") if line.lower().startswith(b"content-length")]
        received.set_result(data + await reader.readexactly(int(length[0]) if length else 0))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        text = command.format(url=f"http://127.0.0.1:{port}/a")
        _, *words = shlex.split(text)
        process = await asyncio.create_subprocess_exec("curl", "-q", "-s", "--noproxy", "*", "-m", "5", *words)
        assert await process.wait() == 0
    assert same(parse_curl(text), await received)


def same(specimen: Specimen, data: bytes) -> bool:
    """Compare with what was received; the version that curl says and the boundary it draws are its own."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.split(b"\r\n")
    sent: list[Field] = [(name, value.strip()) for name, _, value in (field.partition(b":") for field in rest)]
    agent = next((value for _, value in sent if value.startswith(b"curl/")), b"curl")
    media = next((value for name, value in sent if name == b"Content-Type"), b"")
    boundary = media.partition(b"boundary=")[2]
    ours = dict(specimen.fields).get(b"Content-Type", b"").partition(b"boundary=")[2]
    if boundary:
        body = body.replace(boundary, ours)
    cleaned = {agent: b"curl", media: media.replace(boundary, ours) if boundary else media}
    expected = [
        (name, b"" if name == b"Content-Length" and boundary else cleaned.get(value, value)) for name, value in sent
    ]
    found = [(name, b"" if name == b"Content-Length" and boundary else value) for name, value in specimen.sent]
    assert found == expected
    assert f"{specimen.method} {specimen.target} HTTP/1.1".encode() == line
    assert specimen.body == body
    return True


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (r"""curl $'http://www.cms.example/a' --data-raw $'{"a":"it\'s \u0021 \xc3\xa9\n"}'""", '{"a":"it\'s ! é\n"}'),
        ('curl http://www.cms.example/a \\\n  -H "X: 1" \\\n  -d "a \\"b\\" \\$c"', 'a "b" $c'),
        ("$ curl http://www.cms.example/a -d 'a=1' | jq . > out", "a=1"),
        ("/usr/bin/curl -d '|' -- http://www.cms.example/a", "|"),
    ],
    ids=["as Chrome copies it", "over several lines", "with a prompt and a pipe", "with a path"],
)
def test_a_command_is_read_as_a_shell_would(text: str, body: str) -> None:
    found = parse_curl(text)
    assert (found.method, found.scheme, found.authority, found.target) == ("POST", "http", "www.cms.example", "/a")
    assert found.body.decode() == body


def test_what_says_nothing_about_the_request_is_left_out_and_told() -> None:
    found = parse_curl(f"curl -k -x http://u:secret@127.0.0.1:8080 --resolve a:1:b -o out {URL}")
    assert found.notes == ("options that say nothing about the request: --insecure, --proxy, --resolve, --output",)
    assert [name for name, _ in found.fields] == [b"User-Agent", b"Accept"]


def test_shell_variables_are_taken_as_they_stand_and_told() -> None:
    found = parse_curl(f'curl -H "Authorization: Bearer $TOKEN" {URL}')
    assert fields_of(found)["authorization"] == "Bearer $TOKEN"
    assert found.notes == ("variables and commands of the shell are taken as they stand",)
    assert parse_curl(f"curl -H 'X: $TOKEN' {URL}").notes == ()


def test_user_and_password_of_a_url_become_a_field() -> None:
    found = parse_curl("curl https://joe:p%40ss@www.cms.example:8443/")
    assert fields_of(found)["authorization"] == "Basic am9lOnBAc3M="
    assert found.authority == "www.cms.example:8443"


def test_a_url_without_a_scheme_is_http() -> None:
    assert parse_curl("curl www.cms.example").scheme == "http"


BROKEN = {
    "": "does not begin with the word curl",
    "wget http://a.example/": "does not begin with the word curl",
    "curl": "it has no URL",
    "curl http://a.example/ http://b.example/": "several URLs",
    "curl 'http://{a,b}.example/?q=secret'": "'http://{a,b}.example/' stands for several URLs",
    "curl 'http://a.example/[1-9]'": "stands for several URLs",
    "curl ftp://a.example/": "does not start with http",
    "curl -d @body.json http://a.example/": "'@body.json' is a file, which is not read",
    "curl --json @- http://a.example/": "is a file",
    "curl -F 'a=@photo.png' http://a.example/": "is a file",
    "curl -F a http://a.example/": "'name=content' is expected",
    "curl --data-urlencode a@file http://a.example/": "files are not read",
    "curl -b jar.txt http://a.example/": "give the cookies themselves",
    "curl -T photo.png http://a.example/": "--upload-file",
    "curl -K config http://a.example/": "--config",
    "curl --digest -u a:secret http://a.example/": "--digest",
    "curl -u joe http://a.example/": "'user:password' is expected",
    "curl http://a.example/ --next http://b.example/": "one request at a time",
    "curl --frobnicate http://a.example/": "option --frobnicate is not known",
    "curl --data=secret http://a.example/": "option --data is not known",
    "curl -? http://a.example/": "option -? is not known",
    "curl http://a.example/ -X": "option -X needs a value",
    "curl http://a.example/ -d": "option -d needs a value",
    "curl -H 'secret' http://a.example/": "a name, a colon and a value",
    "curl 'http://a.example/": "its quotes do not close",
    'curl ^"http://a.example/^"': "copy it for bash",
    r"curl $'\U99999999'": "a character that is none",
}


@pytest.mark.parametrize("text", BROKEN)
def test_what_cannot_be_read_is_told_in_one_sentence_without_secrets(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_curl(text)
    assert BROKEN[text] in str(caught.value)
    if "-H" not in text:  # what is no field is taken for a name
        assert "secret" not in str(caught.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for command in (text, f"curl {text}", f"curl {URL} {text}"):
        try:
            found = parse_curl(command)
        except BadInput:
            continue
        assert found.target.startswith("/")


@given(st.dictionaries(st.from_regex(r"X-[a-z]{1,8}", fullmatch=True), st.text("ab'\"\\$` !é", min_size=1)), st.text())
def test_quoting_keeps_every_value(headers: dict[str, str], data: str) -> None:
    headers = {name: value.strip() for name, value in headers.items() if value.strip()}
    if data.startswith("@"):
        return
    words = [
        "curl",
        URL,
        "--data-raw",
        data,
        *(w for name, value in headers.items() for w in ("-H", f"{name}: {value}")),
    ]
    text = shlex.join(words)
    if '^"' in text or "^\n" in text or "^\r\n" in text:
        return
    found = parse_curl(text)
    assert found.body == data.encode()
    assert {name: fields_of(found)[name.lower()] for name in headers} == headers
