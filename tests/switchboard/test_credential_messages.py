from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.credentials import Rules, swap_message
from tests.switchboard.twinned import BEARER, MESSAGE, NOTHING, rules_of

RULES = rules_of(MESSAGE, BEARER)


def sent(content: str, *, rules: Rules = RULES, first: bool = True, is_text: bool = True) -> str | None:
    found = swap_message(content.encode(), is_text=is_text, first=first, rules=rules, learned={})
    assert found.drop == bool(found.reason)
    return None if found.drop else found.content.decode()


SWAPPED = {
    "JSON": ('{"token": "S", "n": 1.0}', '{"token": "sandbox-message", "n": 1.0}'),
    "Socket.IO": ('40{"token":"S"}', '40{"token":"sandbox-message"}'),
    "Socket.IO with a namespace": ('40/admin,{"token":"S"}', '40/admin,{"token":"sandbox-message"}'),
    "an event with an acknowledgement": ('4217["auth",1]', '4217["auth",1]'),
    "attachments": ('451-/a,12{"token":"S"}', '451-/a,12{"token":"sandbox-message"}'),
    "SockJS": (r'["{\"token\":\"S\"}"]', r'["{\"token\":\"sandbox-message\"}"]'),
    "graphql-ws": (
        '{"type":"connection_init","payload":{"Authorization":"Bearer S","lang":"en"}}',
        '{"type":"connection_init","payload":{"Authorization":"Bearer sandbox-token","lang":"en"}}',
    ),
    "graphql-ws with headers": (
        '{"type":"connection_init","payload":{"headers":{"authorization":"bearer S","x-trace":"1"}}}',
        '{"type":"connection_init","payload":{"headers":{"authorization":"Bearer sandbox-token","x-trace":"1"}}}',
    ),
    "graphql-ws with a suspect": (
        r'{"type":"\u0063onnection_init","payload":{"authToken":"S","headers":{"X-Api-Key":"S"}}}',
        r'{"type":"\u0063onnection_init","payload":{"authToken":null,"headers":{"X-Api-Key":null}}}',
    ),
    "graphql-ws with another scheme": (
        '{"type":"connection_init","payload":{"Authorization":"Basic S"}}',
        '{"type":"connection_init","payload":{"Authorization":null}}',
    ),
    "STOMP": (
        "CONNECT\naccept-version:1.2\nAuthorization:Bearer S\nlogin:S\npasscode:S\n\n\0",
        "CONNECT\naccept-version:1.2\nAuthorization:Bearer sandbox-token\n\n\0",
    ),
    "STOMP with a pointer": ("STOMP\r\ntoken:S\r\nhost:h\r\n\r\n\0", "STOMP\r\ntoken:sandbox-message\r\nhost:h\n\n\0"),
    "STOMP after heartbeats": ("\n\nCONNECT\ntoken:S\n\n\0", "\n\nCONNECT\ntoken:sandbox-message\n\n\0"),
    "STOMP of suspects": ("CONNECT\npasscode:S\n\n\0", "CONNECT\n\n\0"),
    "STOMP without headers": ("CONNECT\n\n\0", "CONNECT\n\n\0"),
    "STOMP in SockJS": (r'["CONNECT\ntoken:S\n\n\u0000"]', r'["CONNECT\ntoken:sandbox-message\n\n\u0000"]'),
    "a ping": ("2probe", "2probe"),
    "a heartbeat": ("\n", "\n"),
}


@pytest.mark.parametrize(("content", "expected"), SWAPPED.values(), ids=SWAPPED)
def test_a_first_message_gets_its_twins(content: str, expected: str) -> None:
    assert sent(content) == expected
    assert sent(content, is_text=False) in (expected, None)


DROPPED = ["hello S", '{"token":"S"', '{"type":"connection_init",', "\x00\x01S", "CONNECT\ntoken:S", "40{token:S}"]


@pytest.mark.parametrize("content", DROPPED)
def test_a_first_message_that_cannot_be_read_is_dropped_where_there_is_a_rule(content: str) -> None:
    found = swap_message(content.encode(), is_text=True, first=True, rules=RULES, learned={})
    assert (found.drop, found.content) == (True, b"")
    assert "token" not in found.reason


def test_a_later_message_is_swapped_too() -> None:
    assert sent('{"token":"S"}', first=False) == '{"token":"sandbox-message"}'
    assert sent("hello", first=False) == "hello"
    assert sent("\x00\x01", first=False, is_text=False) == "\x00\x01"
    assert sent('{"token":"S"', first=False) is None
    assert sent('{"type":"connection_init","payload":{"token":"S"}}', first=False, rules=NOTHING) == (
        '{"type":"connection_init","payload":{"token":null}}'
    )


def test_without_rules_only_greetings_lose_what_looks_like_a_credential() -> None:
    for content in ("hello", '{"token":"S"}', '{"token":', "\x00\x01", "2", "40{}"):
        assert sent(content, rules=NOTHING) == content
    assert sent("CONNECT\nAuthorization:S\n\n\0", rules=NOTHING) == "CONNECT\n\n\0"
    assert sent('{"type":"connection_init","payload":{"token":"S"', rules=NOTHING) is None


def test_a_scheme_goes_before_a_twin_in_a_message() -> None:
    rules = rules_of({"in": "websocket", "pointer": "/payload/auth", "scheme": "Bearer", "twin": "T"})
    assert sent('{"payload":{"auth":"Bearer S"}}', rules=rules) == '{"payload":{"auth":"Bearer T"}}'
    assert sent('{"payload":{"auth":"S"}}', rules=rules) == '{"payload":{"auth":null}}'
    greeting = '{"type":"connection_init","payload":{"auth":"Bearer S","token":"S"}}'
    assert sent(greeting, rules=rules) == '{"type":"connection_init","payload":{"auth":"Bearer T","token":null}}'


@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_any_message_is_sent_or_dropped(content: bytes, first: bool, is_text: bool) -> None:
    for prefix in (b"", b"CONNECT\n", b'{"type":"connection_init",', b"42[", b'["'):
        found = swap_message(prefix + content, is_text=is_text, first=first, rules=RULES, learned={})
        assert (
            found.content == b"" if found.drop else found.swapped or found.removed or found.content == prefix + content
        )
