from __future__ import annotations

from typing import Any

import orjson
import pytest

from switchboard.estate import Mock
from switchboard.mock_request import MockRequest
from switchboard.outbox import MOST_SHOWN, kind_of, swallow

URL = "https://payments.example/v1/charges"
JSON = [(b"Content-Type", b"application/json; charset=utf-8")]


def entry(body: bytes, fields: Any = (), **keys: Any) -> Any:
    made = Mock.model_validate({"match": f"POST {URL}", **keys})
    request = MockRequest.of("POST", URL, fields=fields, body=body, drill="d-1", at=1_600_000_000.25)
    return orjson.loads(swallow(made, request, status=202).to_json())


def test_an_entry_says_what_was_swallowed_when_and_by_what() -> None:
    assert entry(b'{"amount": 12, "token": "hush"}', JSON) == {
        "time": "2020-09-13T12:26:40.250+00:00",
        "method": "POST",
        "url": URL,
        "kind": "payment",
        "mock": f"POST {URL}",
        "status": 202,
        "content_type": "application/json",
        "size": 31,
        "body": {"amount": 12, "token": "(removed)"},
        "shortened": False,
    }


BODIES: dict[str, tuple[bytes, str, Any]] = {
    "a form": (b"to=ann&pin=1", "application/x-www-form-urlencoded", {"to": "ann", "pin": "(removed)"}),
    "text": (b"Dear Ann", "text/plain", "Dear Ann"),
    "nothing": (b"", "text/plain", ""),
    "a JSON zero": (b"0", "application/json", 0),
    "an empty JSON object": (b"{}", "application/json", {}),
}


@pytest.mark.parametrize(("body", "content_type", "shown"), BODIES.values(), ids=BODIES)
def test_a_body_is_shown_as_what_it_is(body: bytes, content_type: str, shown: Any) -> None:
    found = entry(body, [(b"Content-Type", content_type.encode())])
    assert (found["body"], found["shortened"]) == (shown, False)


@pytest.mark.parametrize("body", [b"\0" * 9, b'{"password": "hush"'], ids=["bytes", "broken JSON"])
def test_a_body_that_cannot_be_cleaned_is_not_shown(body: bytes) -> None:
    found = entry(body, JSON)
    assert (found["body"], found["shortened"]) == (f"({len(body)} bytes that cannot be shown)", True)


def test_a_long_body_is_shortened() -> None:
    found = entry(orjson.dumps({"a": "b" * 100_000}), JSON)
    assert (len(found["body"]), found["shortened"], found["size"]) == (MOST_SHOWN, True, 100_008)


def test_a_mock_may_say_itself_what_it_swallows() -> None:
    assert entry(b"", outbox="pager alarm")["kind"] == "pager alarm"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://api.sendgrid.example/v3/send", "mail"),
        ("https://hooks.example/email/outgoing", "mail"),
        ("https://sms.example/", "text"),
        ("https://api.twilio.example/Accounts/1/Messages.json", "text"),
        ("https://payments.example/x", "payment"),
        ("https://a.example/Invoice/7", "payment"),
        ("https://a.example/assessment?pay=1", "request"),
    ],
)
def test_the_kind_shows_in_the_url(url: str, kind: str) -> None:
    assert kind_of(url) == kind
