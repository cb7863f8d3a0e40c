from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from switchboard.codings import Bomb, Bounds, Broken, Decoding
from switchboard.estate import Target
from switchboard.headers import Field
from switchboard.limits import Limits
from switchboard.mapping import UrlMap
from switchboard.rewrite import Pipe, Rewriter, head, pipe, why_unread
from tests.switchboard.sandbox_urls import a_map

MAP = a_map()
LIMITS = Limits()
JSON: Field = (b"Content-Type", b"application/json")
HTML: Field = (b"content-type", b"text/html; charset=utf-8")

# Whole URLs, pieces of them in all spellings, and what may stand around: any row of these is a text.
PARTS = (
    *(b"http", b"https", b"ws", b"ftp", b":", b"/", b"//", b"%3A", b"%2F", b"%2f%2F", b"%252F", rb"\/", rb"\u002f"),
    *(rb"\x2f", b"&#x2F;", b"&#47;", b"&sol;", b"&colon;", b"\\", b"&", b"%", b".", b"@", b'"', b" ", rb"\n", b"%22"),
    *(b"sandbox-mfe", b"sandbox-svc", rb"sandbox\u002dmfe", b"pay.sandbox.test", b"docs.sandbox.test", b"127.0.2.1"),
    *(b"Sandbox-", b"sand", b"mfe", b":8080", b"%3A8080", b":8443", b":80", b":9080", b":9443", b"-", b"1", b"\xe9"),
    *(b"/sandbox", rb"\/sandbox", b"/profile", b"%2Fsandbox%2Fprofile", b"/sandbox/profile", b"s", b"<body>"),
    *(b"http://sandbox-mfe:8080", b"http://sandbox-svc:8443/sandbox", rb"http:\/\/sandbox-mfe:8080\/"),
    *(b"http%3A%2F%2Fsandbox-svc%3A8443%2Fsandbox%2Fprofile", b"//pay.sandbox.test", b"https://docs.sandbox.test"),
)
TEXTS = st.lists(st.sampled_from(PARTS), max_size=14).map(b"".join)


def rewritten(chunks: Iterable[bytes]) -> bytes:
    rewriter = Rewriter(MAP)
    return b"".join(map(rewriter.feed, chunks)) + rewriter.finish()


def cut(text: bytes, at: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for end in sorted(at):
        yield text[start:end]
        start = max(start, end)
    yield text[start:]


@given(TEXTS, st.lists(st.integers(0, 200), max_size=8))
@example(b"http://sandbox-mfe:8080@http://sandbox-mfe:8080/", [20, 25])
@example(rb"\nhttp:\/\/sandbox-mfe:8080\/", [1, 2, 3])
def test_any_division_into_chunks_gives_the_same_bytes(text: bytes, at: list[int]) -> None:
    assert rewritten(cut(text, at)) == rewritten([text]) == MAP.rewrite(text)


@given(TEXTS)
def test_a_text_that_comes_byte_by_byte_gives_the_same_bytes(text: bytes) -> None:
    assert rewritten(text[at : at + 1] for at in range(len(text))) == MAP.rewrite(text)


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_a_text_without_sandbox_urls_comes_out_as_it_went_in(chunks: list[bytes]) -> None:
    assert rewritten(chunks) == b"".join(chunks)


@given(TEXTS)
def test_what_is_held_back_is_bounded(text: bytes) -> None:
    rewriter, given_out = Rewriter(MAP), b""
    for at in range(len(text)):
        given_out += rewriter.feed(text[at : at + 1])
        assert MAP.rewrite(text).startswith(given_out)
        assert len(MAP.rewrite(text[: at + 1])) - len(given_out) <= MAP.longest + 40  # what stands instead is longer


def test_a_rewriter_without_routes_holds_nothing_back() -> None:
    rewriter = Rewriter(UrlMap.of(Target()))
    assert rewriter.feed(b"http://") == b"http://"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"url": "http://sandbox-mfe:8080/a"}\n\n',
        b"data: http://sandbox-mfe:8080/\n\n",
        b"data: http\n\n",
        b'data: {"half": "http://sandbox-"}\n\n',
        b"event: tick\ndata: \n\n",
    ],
)
def test_an_event_leaves_with_the_chunk_that_ends_it(event: bytes) -> None:
    rewriter = Rewriter(MAP)
    assert rewriter.feed(event) == MAP.rewrite(event)
    assert rewriter.finish() == b""


PACKERS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "br": (lambda data: brotli.compress(data, quality=5), brotli.decompress),
    "zstd": (zstandard.compress, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    "identity": (bytes, bytes),
}


def records(count: int) -> bytes:
    """Lines that are no more alike than those of real lists: packing them gives some 1:5."""
    line = b'{"id": "%x", "link": "http://sandbox-svc:8443/sandbox/profile/%d", "ref": "http://hl7.org/fhir/Patient"}\n'
    return b"".join(line % (n * 2654435761 % 2**32 * 40503 % 2**40, n) for n in range(count))


RECORDS = records(5_000)


def a_pipe(*fields: Field, inject: bytes | None = None, limits: Limits = LIMITS) -> Pipe:
    found = pipe(fields, MAP, limits, inject=inject)
    assert found is not None
    return found


def through(found: Pipe, body: bytes, *, size: int = 65536) -> bytes:
    chunks = [*(body[at : at + size] for at in range(0, len(body), size)), b""]
    given = [piece for chunk in chunks for piece in found(chunk)]
    assert all(given)  # an empty chunk would end a chunked body
    return b"".join(given)


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("size", [1000, 65536])
def test_a_coded_body_is_rewritten_and_packed_again_in_its_coding(coding: str, size: int) -> None:
    pack, unpack = PACKERS[coding]
    found = a_pipe(JSON, (b"Content-Encoding", coding.encode()))
    assert unpack(through(found, pack(RECORDS), size=size)) == MAP.rewrite(RECORDS)
    assert found.unread is None
    assert not found.truncated


@pytest.mark.parametrize("coding", PACKERS)
def test_an_answer_without_body_stays_without(coding: str) -> None:
    assert a_pipe(JSON, (b"content-encoding", coding.encode()))(b"") == []


def test_an_empty_text_that_is_packed_stays_an_empty_text() -> None:
    assert gzip.decompress(through(a_pipe(JSON, (b"content-encoding", b"gzip")), gzip.compress(b""))) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_every_chunk_of_a_coded_stream_can_be_read_when_it_has_come(coding: str) -> None:
    found = a_pipe((b"content-type", b"text/event-stream"), (b"content-encoding", coding.encode()))
    if coding == "br":
        compressor = brotli.Compressor()
        packed = [compressor.process(b"data: %d\n\n" % n) + compressor.flush() for n in range(5)]
    elif coding == "zstd":
        zstd = zstandard.ZstdCompressor().compressobj()
        flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        packed = [zstd.compress(b"data: %d\n\n" % n) + zstd.flush(flush) for n in range(5)]
    else:
        deflater = zlib.compressobj(6, zlib.DEFLATED, 31 if coding == "gzip" else 15)
        packed = [deflater.compress(b"data: %d\n\n" % n) + deflater.flush(zlib.Z_SYNC_FLUSH) for n in range(5)]
    client = Decoding((coding,), Bounds(200, 1 << 30))
    for number, chunk in enumerate(packed):
        [piece] = found(chunk)
        assert b"".join(client.feed(piece)) == b"data: %d\n\n" % number


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_not_in_its_coding_goes_on_as_it_came(coding: str) -> None:
    body = b"<p>http://sandbox-mfe:8080/ is not packed at all" * 2000
    found = a_pipe(JSON, (b"content-encoding", coding.encode()))
    assert through(found, body, size=10) == body
    assert found.unread == f"broken {coding}"


def test_a_coding_that_breaks_later_is_raised() -> None:
    packed = bytearray(gzip.compress(RECORDS))
    packed[-6] ^= 1
    with pytest.raises(Broken, match="broken gzip"):
        through(a_pipe(JSON, (b"content-encoding", b"gzip")), bytes(packed), size=1000)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_cut_short_is_given_as_far_as_it_goes_and_has_no_end_either(coding: str) -> None:
    packed = PACKERS[coding][0](RECORDS)
    found = a_pipe(JSON, (b"content-encoding", coding.encode()))
    given = through(found, packed[: len(packed) // 2])
    assert found.truncated
    client = Decoding((coding,), Bounds(200, 1 << 30))
    text = b"".join(client.feed(given))
    assert MAP.rewrite(RECORDS).startswith(text)
    assert len(text) > 30_000 or coding == "br"
    assert not client.is_complete


def test_a_body_of_which_nothing_can_be_unpacked_goes_on_as_it_came() -> None:
    found = a_pipe(JSON, (b"content-encoding", b"gzip"))
    assert through(found, gzip.compress(RECORDS)[:5]) == gzip.compress(RECORDS)[:5]
    assert found.unread == "nothing to unpack"
    assert found.truncated


def test_a_bomb_is_raised_before_it_is_passed_on() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(64)) + deflater.flush()
    with pytest.raises(Bomb, match="gzip unpacks to more than 200 times its size"):
        through(a_pipe(JSON, (b"content-encoding", b"gzip")), bomb)
    with pytest.raises(Bomb, match="gzip unpacks to more than 1048576 bytes"):
        through(a_pipe(JSON, (b"content-encoding", b"gzip"), limits=Limits(decoded=1 << 20)), bomb)


STREAMED = {
    "no content type": (),
    "an image": ((b"content-type", b"image/png"),),
    "a download": ((b"content-type", b"application/octet-stream"),),
    "wide characters": ((b"content-type", b"text/html; charset=UTF-16LE"),),
    "an unknown coding": (JSON, (b"content-encoding", b"aws-chunked")),
    "a part": (JSON, (b"content-range", b"bytes 0-9/100")),
}


@pytest.mark.parametrize("fields", STREAMED.values(), ids=STREAMED)
def test_other_bodies_are_streamed_as_they_come(fields: tuple[Field, ...]) -> None:
    assert pipe(fields, MAP, LIMITS, inject=b"x") is None


def test_a_target_without_routes_needs_no_pipe_but_for_what_is_to_be_put_in() -> None:
    nothing = UrlMap.of(Target())
    assert pipe([JSON], nothing, LIMITS, inject=b"x") is None
    assert pipe([HTML], nothing, LIMITS) is None
    assert pipe([HTML], nothing, LIMITS, inject=b"x") is not None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((JSON, (b"Content-Encoding", b"aws-chunked")), "content coding is not known"),
        (((b"content-type", b'text/html; charset="utf-16"'),), "charset utf-16"),
        ((JSON, (b"content-encoding", b"gzip")), None),
        (((b"content-type", b"image/png"), (b"content-encoding", b"aws-chunked")), None),
        ((), None),
    ],
)
def test_a_text_that_cannot_be_read_says_why(fields: tuple[Field, ...], reason: str | None) -> None:
    assert why_unread(fields) == reason


@pytest.mark.parametrize(
    "kind",
    [
        *("text/html", "text/css", "text/javascript", "text/plain", "text/event-stream"),
        *("application/javascript", "application/json", "application/fhir+json", "application/problem+json"),
        *("image/svg+xml", "application/xhtml+xml", "application/xml", "application/manifest+json"),
        *("application/x-ndjson", "application/vnd.apple.mpegurl"),
    ],
)
def test_texts_are_rewritten(kind: str) -> None:
    assert pipe([(b"Content-Type", kind.upper().encode())], MAP, LIMITS) is not None


def test_the_head_of_a_rewritten_answer_loses_what_no_longer_holds() -> None:
    fields = (
        JSON,
        (b"Content-Length", b"5"),
        (b"ETag", b'"a"'),
        (b"Digest", b"x"),
        (b"Content-MD5", b"x"),
        (b"A", b"b"),
    )
    kept = (JSON, (b"ETag", b'W/"a"'), (b"A", b"b"))
    assert head(fields, chunked=False) == kept
    assert head(fields, chunked=True) == (*kept, (b"Transfer-Encoding", b"chunked"))
    assert head([(b"transfer-encoding", b"chunked")], chunked=True) == ((b"transfer-encoding", b"chunked"),)


def test_a_page_is_marked_in_a_coded_stream_too() -> None:
    page = b'<!doctype html><title>a</title><body class="b"><a href="http://sandbox-mfe:8080/">c</a>'
    found = a_pipe(HTML, (b"content-encoding", b"gzip"), inject=b"<b>DRILL</b>")
    assert gzip.decompress(through(found, gzip.compress(page), size=3)) == (
        b'<!doctype html><title>a</title><body class="b"><b>DRILL</b><a href="https://www.cms.example/">c</a>'
    )


@pytest.mark.parametrize("coding", PACKERS)
def test_memory_is_flat_in_the_size_of_a_body(coding: str) -> None:
    pack = PACKERS[coding][0]
    bodies = {size: pack(records(size * 2_500)) for size in (1, 8)}
    peaks = {}
    for size, body in bodies.items():
        found = a_pipe(JSON, (b"content-encoding", coding.encode()))
        tracemalloc.start()
        for at in range(0, len(body), 16384):
            found(body[at : at + 16384])
        found(b"")
        peaks[size] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[8] < 1.2 * peaks[1] + 300_000
