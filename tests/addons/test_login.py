from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.login import Logins, WrongLogin
from tests.addons.flows import PASSWORDS, a_flow


def basic(text: str) -> dict[str, str]:
    return {"proxy-authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


LOGIN = basic("agent-1:open-sesame")


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({}, None),
        (LOGIN, "agent-1"),
        ({"proxy-authorization": LOGIN["proxy-authorization"].replace("Basic", "bAsIc")}, "agent-1"),
        ({"authorization": LOGIN["proxy-authorization"]}, None),
    ],
    ids=["none", "right", "scheme in any case", "not for the proxy"],
)
def test_a_request_has_the_user_who_logged_in(fields: dict[str, str], user: str | None) -> None:
    assert Logins(PASSWORDS).user_of(a_flow(fields=fields)) == user


@pytest.mark.parametrize(
    "field",
    [
        basic("agent-1:wrong")["proxy-authorization"],
        basic("agent-1:")["proxy-authorization"],
        basic("nobody:")["proxy-authorization"],
        basic("nobody:open-sesame")["proxy-authorization"],
        basic("agent-1")["proxy-authorization"],
        "Basic !!!",
        "Basic",
        "",
        "Bearer x",
    ],
)
def test_a_wrong_login_is_no_login(field: str) -> None:
    with pytest.raises(WrongLogin):
        Logins(PASSWORDS).user_of(a_flow(fields={"proxy-authorization": field}))


def test_an_estate_without_users_looks_at_no_login() -> None:
    assert Logins({}).user_of(a_flow(fields=basic("a:b"))) is None


def test_a_connection_belongs_to_whoever_logged_in_on_it_first() -> None:
    logins, flow = Logins(PASSWORDS), a_flow(fields=LOGIN)
    logins.remember(flow, logins.user_of(flow))
    del flow.request.headers["proxy-authorization"]
    assert logins.user_of(flow) == logins.user_behind(flow.client_conn.id) == "agent-1"
    flow.request.headers.update(basic("agent-2:open-barley"))
    with pytest.raises(WrongLogin):
        logins.user_of(flow)
    logins.forget(flow.client_conn.id)
    assert logins.user_of(flow) == "agent-2"


@given(st.binary(max_size=40))
def test_no_bytes_log_anybody_in(field: bytes) -> None:
    flow = a_flow()
    flow.request.headers.fields += ((b"Proxy-Authorization", field),)
    with pytest.raises(WrongLogin):
        Logins(PASSWORDS).user_of(flow)
