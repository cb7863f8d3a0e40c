from __future__ import annotations

import pytest

from switchboard import headers
from switchboard.credentials import swap_head
from switchboard.headers import Field
from tests.switchboard.twinned import API_KEY, BASIC, BEARER, KEY, METADATA, NOTHING, SESSION, rules_of

RULES = rules_of(BEARER, BASIC, KEY, METADATA, SESSION, API_KEY)
LEARNED = {"cookie:session": "T"}

SENT = {
    "a scheme": ((b"Authorization", b"Bearer S"), b"Bearer sandbox-token"),
    "a scheme in another spelling": ((b"authorization", b"bEARER\t S"), b"Bearer sandbox-token"),
    "basic": ((b"Authorization", b"Basic UzpT"), b"Basic ZHJpbGw6cGFzczp3b3Jk"),
    "a scheme without a rule": ((b"Authorization", b"Digest username=S"), None),
    "a scheme alone": ((b"Authorization", b"Bearer"), None),
    "a whole header": ((b"X-Partner-Key", b"Bearer S"), b"sandbox-key"),
    "a header with underscores": ((b"X_PARTNER_KEY", b"S"), b"sandbox-key"),
    "binary metadata": ((b"x-ticket-bin", b"Uw=="), b"c2FuZGJveA"),
    "a learned cookie": ((b"Cookie", b"a=1; session=S"), b"session=T"),
    "an unknown suspect": ((b"X-Auth-Token", b"S"), None),
    "a suspect of the estate": ((b"x-tenant-pin", b"S"), None),
    "proxy login": ((b"Proxy-Authorization", b"Basic S"), None),
}


@pytest.mark.parametrize(("field", "sent"), SENT.values(), ids=SENT)
def test_a_field_with_a_rule_gets_its_twin_and_a_suspect_is_taken_out(field: Field, sent: bytes | None) -> None:
    rules = rules_of(BEARER, BASIC, KEY, METADATA, SESSION, names=("X_Tenant_PIN",))
    found = swap_head([(b"Accept", b"*/*"), field], "/", rules=rules, learned=LEARNED)
    assert found.plain == ((b"Accept", b"*/*"),)
    assert found.vouched == (((field[0], sent),) if sent is not None else ())
    assert found.fields == found.plain + found.vouched
    assert bool(found.swapped) == (sent is not None)
    assert bool(found.removed) == (sent is None or b"a=1" in field[1])


def test_two_fields_of_one_name_become_one() -> None:
    fields = [(b"Authorization", b"Digest S"), (b"Authorization", b"Bearer S"), (b"Authorization", b"Basic S")]
    found = swap_head(fields, "/", rules=RULES, learned={})
    assert found.fields == ((b"Authorization", b"Bearer sandbox-token"),)


def test_a_rule_for_a_scheme_comes_before_that_for_any() -> None:
    rules = rules_of(BEARER | {"scheme": None, "twin": "any"}, BEARER)
    for value, sent in ((b"Bearer S", b"Bearer sandbox-token"), (b"Hawk S", b"any")):
        assert swap_head([(b"Authorization", value)], "/", rules=rules, learned={}).vouched[0][1] == sent


def test_a_query_is_swapped_where_it_stands() -> None:
    found = swap_head([], "/x?a=1&api_key=S&token=S&b=2", rules=RULES, learned={})
    assert found.target == "/x?a=1&api_key=sandbox%20key%26more&b=2"
    assert (found.swapped, found.removed) == (("?api_key",), ("?token",))


def test_a_query_of_suspects_leaves_the_path() -> None:
    assert swap_head([], "/x?token=S", rules=RULES, learned={}).target == "/x"
    assert swap_head([], "/x?token=S", rules=NOTHING, learned={}).target == "/x"


def test_suspects_in_the_path_go_whether_or_not_there_are_rules() -> None:
    for rules in (NOTHING, RULES):
        found = swap_head([], "/x;sid=S/y?a=1", rules=rules, learned={})
        assert (found.target, found.removed) == (headers.clean_query("/x;sid=S/y?a=1"))
        assert swap_head([], "/x;sid=S", rules=rules, learned={}).target == headers.clean_query("/x;sid=S")[0]


def test_nothing_appears_where_nothing_was() -> None:
    fields = ((b"Accept", b"*/*"), (b"User-Agent", b"x"))
    found = swap_head(fields, "/x?a=1", rules=RULES, learned=LEARNED)
    assert (found.fields, found.target, found.swapped, found.removed) == (fields, "/x?a=1", (), ())


def test_passed_cookies_are_vouched_for() -> None:
    found = swap_head([(b"Cookie", b"a=1")], "/", rules=rules_of(cookies="pass"), learned={})
    assert (found.plain, found.vouched, found.removed) == ((), ((b"Cookie", b"a=1"),), ())


def test_a_learned_twin_that_was_tampered_with_is_not_used() -> None:
    found = swap_head([(b"Cookie", b"session=S")], "/", rules=RULES, learned={"cookie:session": "T\r\nX: 1"})
    assert (found.fields, found.removed) == ((), ("cookie session",))


SUBPROTOCOLS = {
    "after a prefix": ("bearer.", "chat, bearer.S, v2", "chat, bearer.T, v2"),
    "of another spelling": ("bearer.", "BEARER.S", "bearer.T"),
    "after an entry": ("access_token", "chat, access_token, S, v2", "chat, access_token, T, v2"),
    "coded": (
        "base64url.bearer.authorization.k8s.io.",
        "base64url.bearer.authorization.k8s.io.Uw, base64.k8s",
        "base64url.bearer.authorization.k8s.io.VA, base64.k8s",
    ),
    "others that carry one": ("bearer.", "x-token.S, chat, " + "y" * 41, "chat"),
}


@pytest.mark.parametrize(("name", "offered", "sent"), SUBPROTOCOLS.values(), ids=SUBPROTOCOLS)
def test_a_token_among_subprotocols_gets_its_twin(name: str, offered: str, sent: str) -> None:
    rules = rules_of({"in": "websocket", "name": name, "twin": "T"})
    found = swap_head([(b"Sec-WebSocket-Protocol", offered.encode())], "/", rules=rules, learned={})
    assert found.fields == ((b"Sec-WebSocket-Protocol", sent.encode()),)


def test_a_token_among_subprotocols_goes_where_its_twin_is_not_known_yet() -> None:
    rules = rules_of({"in": "websocket", "name": "bearer.", "twin": "learned", "learn": {"header": "X-Issued"}})
    found = swap_head([(b"Sec-WebSocket-Protocol", b"bearer.S")], "/", rules=rules, learned={})
    assert (found.fields, found.removed) == ((), ("websocket bearer.",))


def test_many_rows_of_names_do_not_fill_the_memory() -> None:
    rules = rules_of(KEY)
    for number in range(600):
        swap_head([(b"X-%d" % number, b"1")], "/", rules=rules, learned={})
    swap_head([(b"X" * 5000, b"1")], "/", rules=rules, learned={})
    assert len(rules._plans) <= 256
