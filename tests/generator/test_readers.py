from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.entry import Entry, Item, Reason
from generator.readers import AccessLog, clean_target, detect, parse_stamp
from switchboard import pathname

STAMP = "22/Jan/2019:03:56:14 +0330"
AT = 1548116774.0  # 2019-01-22T00:26:14Z


def read(line: str | bytes) -> Item:
    return AccessLog().read(line.encode("utf-8") if isinstance(line, str) else line)


def request(line: str) -> Item:
    return read(f'10.1.2.3 - - [{STAMP}] "{line}" 200 5 "-" "curl"')


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param(STAMP, AT, id="half-hour zone"),
        pytest.param("22/Jan/2019:00:26:14 +0000", AT, id="UTC"),
        pytest.param("21/Jan/2019:19:26:14 -0500", AT, id="west of UTC, the day before"),
        pytest.param("22/Jan/2019:00:26:14", AT, id="no zone means UTC"),
        pytest.param("31/Dec/2016:23:59:60 +0000", 1483228800.0, id="leap second"),
        pytest.param("29/Feb/2016:00:00:00 +0000", 1456704000.0, id="leap day"),
        pytest.param("29/Feb/2017:00:00:00 +0000", None, id="no such day"),
        pytest.param("22/Foo/2019:00:00:00 +0000", None, id="no such month"),
        pytest.param("22/Jan/2019:24:00:00 +0000", None, id="no such hour"),
        pytest.param("22/Jan/2019:23:00:61 +0000", None, id="no such second"),
        pytest.param("2019-01-22T00:26:14Z", None, id="ISO 8601"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_stamp_is_unix_seconds_or_nothing(text: str, seconds: float | None) -> None:
    assert parse_stamp(text) == seconds


@pytest.mark.parametrize(
    ("line", "client", "agent", "target"),
    [
        pytest.param(f'h - - [{STAMP}] "GET /a HTTP/1.1" 200 5', "h", "-", "/a", id="common"),
        pytest.param(f'h - - [{STAMP}] "GET /a HTTP/1.1" 200 - "r" "ua"', "h", "ua", "/a", id="combined, no size"),
        pytest.param(f'h - - [{STAMP}] "GET /a HTTP/1.1" 200 5 "r" "ua" "-" 0.05\r', "h", "ua", "/a", id="extra, CRLF"),
        pytest.param(f'h - a b [{STAMP}] "GET /a HTTP/1.1" 200 5 "r" "ua"', "h", "ua", "/a", id="user with a space"),
        pytest.param(f'h [{STAMP}] "GET /a HTTP/1.1" 404 5 "r" "ua"', "h", "ua", "/a", id="no ident, no user"),
        pytest.param(
            f'v.example:443 10.0.0.9 - - [{STAMP}] "GET /a HTTP/1.1" 200 5', "10.0.0.9", "-", "/a", id="vhost"
        ),
        pytest.param(f'::1 - - [{STAMP}] "GET /a HTTP/2.0" - - "-" "ua" 1 "x" 0ms', "::1", "ua", "/a", id="no status"),
        pytest.param(
            rf'h - - [{STAMP}] "GET /a HTTP/1.1" 200 5 "-" "a \"b\" c"', "h", r"a \"b\" c", "/a", id="escaped"
        ),
        pytest.param(
            f'h - - [{STAMP}] "GET /a"b HTTP/1.1" 200 5 "-" "ua"', "h", "ua", "/a%22b", id="quote not escaped"
        ),
        pytest.param(f'h - - [{STAMP}] "GET /a HTTP/1.1" 200 5 "-" "cut of', "h", "-", "/a", id="cut off in the agent"),
    ],
)
def test_lines_of_common_and_combined_are_read(line: str, client: str, agent: str, target: str) -> None:
    assert read(line) == Entry(AT, True, client, agent, "GET", target)


@pytest.mark.parametrize(
    ("line", "target"),
    [
        pytest.param("GET /a?b=c&d HTTP/1.1", "/a?b=c&d", id="query"),
        pytest.param("GET /a", "/a", id="no protocol"),
        pytest.param("GET /a b c HTTP/1.1", "/a%20b%20c", id="spaces"),
        pytest.param("GET  /a HTTP/1.0", "/a", id="two spaces before the path"),
        pytest.param("GET /a b", "/a%20b", id="spaces and no protocol"),
        pytest.param("GET http://www.cms.example/a HTTP/1.1", "http://www.cms.example/a", id="absolute URL"),
        pytest.param("GET /27|13%20%D9%85,p53 HTTP/1.1", "/27|13%20%D9%85,p53", id="bar and percent-encoding stay"),
        pytest.param(r"GET /a\x22\xd9\x85 HTTP/1.1", "/a%22%D9%85", id="escaped bytes"),
        pytest.param(r"GET /a\\b\"c HTTP/1.1", "/a\\b%22c", id="escaped backslash and quote"),
        pytest.param("GET /a#b<c>", "/a%23b%3Cc%3E", id="characters that end a target"),
        pytest.param("GET /é HTTP/1.1", "/%C3%A9", id="raw UTF-8"),
        pytest.param("GET //a/../b HTTP/1.1", "//a/../b", id="dot segments are not resolved"),
    ],
)
def test_request_targets_keep_what_they_mean(line: str, target: str) -> None:
    entry = request(line)
    assert isinstance(entry, Entry)
    assert entry.target == target


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("-", Reason.NO_REQUEST, id="dash"),
        pytest.param("", Reason.NO_REQUEST, id="empty"),
        pytest.param(r"\x16\x03\x01\x02", Reason.NOT_A_REQUEST, id="TLS hello"),
        pytest.param(r"\x16\x03\x01\x01 \x02", Reason.NOT_A_REQUEST, id="TLS hello with a space"),
        pytest.param("batman", Reason.NOT_A_REQUEST, id="one word"),
        pytest.param("lv|'|'|SGFj|'|'|Win XP|'|'|No", Reason.NOT_A_REQUEST, id="malware"),
        pytest.param("GET HTTP/1.1", Reason.NOT_A_REQUEST, id="no target"),
        pytest.param("OPTIONS * HTTP/1.0", Reason.NO_PATH, id="server-wide OPTIONS"),
        pytest.param("CONNECT a.example:443 HTTP/1.1", Reason.NO_PATH, id="CONNECT"),
        pytest.param("GET a.example/ HTTP/1.1", Reason.NOT_A_REQUEST, id="neither path nor URL"),
    ],
)
def test_what_is_no_request_has_a_reason(line: str, reason: Reason) -> None:
    assert request(line) is reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("", Reason.BLANK, id="blank"),
        pytest.param("   \r", Reason.BLANK, id="white space"),
        pytest.param("2022-06-08 22:49:20 [NOTICE] no access log", Reason.UNKNOWN_FORMAT, id="error log"),
        pytest.param('h - - [31/Feb/2019:00:00:00 +0000] "GET / HTTP/1.1" 200 5', Reason.BAD_STAMP, id="31 February"),
        pytest.param("x" * 2_000_000, Reason.TOO_LONG, id="two million characters"),
    ],
)
def test_what_is_no_line_of_a_log_has_a_reason(line: str, reason: Reason) -> None:
    assert read(line) is reason


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_reader(line: bytes) -> None:
    assert isinstance(read(line), Reason | Entry)


@given(st.text(alphabet=st.characters(exclude_characters='"\\\n', exclude_categories=["Cs"]), max_size=80))
def test_whatever_the_path_was_it_can_stand_in_a_request_line(path: str) -> None:
    entry = request(f"GET /{path} HTTP/1.1")
    assert isinstance(entry, Entry)
    assert pathname.malformed(entry.target) is None
    assert entry.target.isascii()


@given(st.text(max_size=80))
def test_cleaning_a_target_twice_changes_nothing(target: str) -> None:
    assert clean_target(clean_target(target)) == clean_target(target)


@pytest.mark.parametrize(
    ("lines", "format"),
    [
        ([b"", b'{"url": "/"}'], "events"),
        ([b"[", b'  {"url": "/"}', b"]"], "events"),
        ([b"[24/Jan/2022:16:51:02 +0000] - 404", b'h - - [24/Jan/2022:16:51:02 +0000] "-" 400 0'], "combined"),
        ([b"#Version: 1.0", b"#Fields: date time"], None),
        ([], None),
    ],
    ids=["object a line", "list over lines", "mixed with another format", "W3C", "empty"],
)
def test_the_format_is_told_by_content(lines: list[bytes], format: str | None) -> None:
    assert detect(lines) == format
