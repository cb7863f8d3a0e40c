from __future__ import annotations

import http.cookiejar
import time
import urllib.request
from email.message import Message
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import pytest
from aiohttp import CookieJar
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from switchboard.cookie import path_matches
from switchboard.jar import MOST_BYTES, MOST_COOKIES, Jar, jar_key
from switchboard.site import Reach, parse_place

NOW = 1_700_000_000.0
WWW = "https://www.cms.example/app/page"
API = "https://api.cms.example/v1/x"

HOSTS = ("www.cms.example", "api.cms.example", "cms.example", "a.www.cms.example", "other.example")
PATHS = ("/", "/app", "/app/page", "/app/page/x", "/apple", "/v1/x/y")
urls = st.builds("{}://{}{}".format, st.sampled_from(["https", "http"]), st.sampled_from(HOSTS), st.sampled_from(PATHS))
reaches = st.sampled_from(Reach)


def stored(*lines: bytes, url: str = WWW, now: float = NOW, **more: Any) -> Jar:
    return Jar.empty().store(lines, url=url, now=now, **more)


def sent(jar: Jar, url: str = WWW, now: float = NOW, **more: Any) -> bytes | None:
    return jar.cookie_header(url=url, now=now, **more)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A Set-Cookie value of any kind."""
    parts = [f"{draw(st.sampled_from(['a', 'b', '__Host-c', '__Secure-d', '']))}={draw(st.integers(0, 9))}"]
    if domain := draw(st.sampled_from(["", "", *HOSTS, "example", "www.cms.example."])):
        parts.append(f"Domain={domain}")
    if path := draw(st.sampled_from(["", "", *PATHS, "/app/", "x"])):
        parts.append(f"Path={path}")
    age = draw(st.sampled_from(["", "", "Max-Age=100", "Max-Age=0", "Expires=Wed, 15 Nov 2023 00:00:00 GMT"]))
    same_site = draw(st.sampled_from(["", "", "SameSite=Lax", "SameSite=Strict", "SameSite=None"]))
    flags = draw(st.sampled_from(["", "Secure", "HttpOnly", "Secure; HttpOnly"]))
    return "; ".join([*parts, *filter(None, (age, same_site, flags))]).encode()


answers = st.lists(st.tuples(urls, st.lists(lines(), max_size=4), reaches), max_size=8)


def filled(given_answers: list[tuple[str, list[bytes], Reach]]) -> Jar:
    jar = Jar.empty()
    for number, (url, cookies, reach) in enumerate(given_answers):
        jar = jar.store(cookies, url=url, now=NOW + number, reach=reach)
    return jar


def test_what_an_answer_sets_the_next_request_carries() -> None:
    assert sent(stored(b"sid=1; Path=/; HttpOnly; Secure", b"x=\xff")) == b"x=\xff; sid=1"


def test_nothing_set_sends_nothing() -> None:
    assert sent(Jar.empty()) is None
    assert Jar.empty().store([], url=WWW, now=NOW) is Jar.empty()


@pytest.mark.parametrize(
    ("line", "url", "carried"),
    [
        (b"a=1; Path=/", API, False),
        (b"a=1; Path=/; Domain=cms.example", API, True),
        (b"a=1; Path=/; Domain=cms.example", "https://cms.example/", True),
        (b"a=1; Path=/; Domain=cms.example", "https://evilcms.example/", False),
        (b"a=1; Path=/; Domain=cms.example", "https://cms.example.evil.test/", False),
        (b"a=1; Path=/", "https://WWW.cms.example:8443/", True),
        (b"a=1; Path=/; Secure", "http://www.cms.example/", False),
        (b"a=1; Path=/; Secure", "wss://www.cms.example/", True),
        (b"a=1; Path=/", "http://www.cms.example/", True),
        (b"a=1", "https://www.cms.example/apple", False),
    ],
)
def test_a_cookie_goes_only_where_it_belongs(line: bytes, url: str, carried: bool) -> None:
    assert sent(stored(line), url) == (b"a=1" if carried else None)


def test_longer_paths_come_first_then_older_cookies() -> None:
    jar = stored(b"r=1; Path=/", b"n=1; Path=/app").store([b"o=1; Path=/app"], url=WWW, now=NOW + 1)
    assert sent(jar) == b"n=1; o=1; r=1"


def test_a_cookie_set_again_keeps_its_place_and_takes_the_new_value() -> None:
    jar = stored(b"a=1", b"b=1").store([b"a=2"], url=WWW, now=NOW + 5)
    assert sent(jar) == b"a=2; b=1"


def test_setting_the_same_again_is_no_change_within_a_minute() -> None:
    jar = stored(b"a=1")
    assert jar.store([b"a=1"], url=WWW, now=NOW + 5) is jar
    assert jar.store([b"a=1"], url=WWW, now=NOW + 61) is not jar
    assert jar.store([b"rubbish\n"], url=WWW, now=NOW) is jar


def test_cookies_end_when_they_say_and_are_deleted_by_a_past_date() -> None:
    jar = stored(b"a=1; Max-Age=10", b"b=1")
    assert sent(jar, now=NOW + 9) == b"a=1; b=1"
    assert sent(jar, now=NOW + 10) == b"b=1"
    gone = jar.store([b"b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], url=WWW, now=NOW + 20)
    assert gone == Jar.empty()


def test_plain_http_does_not_lie_over_a_secure_cookie() -> None:
    jar = stored(b"a=1; Path=/; Secure")
    assert jar.store([b"a=2; Path=/app"], url=WWW.replace("https", "http"), now=NOW) is jar
    assert jar.store([b"a=2; Path=/app"], url=WWW, now=NOW) is not jar


SAME_SITE = {
    "none": (b"a=1; SameSite=None; Secure", 0, "same navigation submission cross"),
    "lax": (b"a=1; SameSite=Lax", 0, "same navigation"),
    "strict": (b"a=1; SameSite=Strict", 0, "same"),
    "not said, young": (b"a=1", 119, "same navigation submission"),
    "not said, old": (b"a=1", 120, "same navigation"),
}
REACH = dict(zip(("same", "navigation", "submission", "cross"), Reach, strict=True))


@pytest.mark.parametrize(("line", "age", "carried"), SAME_SITE.values(), ids=SAME_SITE)
def test_same_site_decides_over_requests_from_other_sites(line: bytes, age: float, carried: str) -> None:
    jar = stored(line)
    assert [name for name, reach in REACH.items() if sent(jar, now=NOW + age, reach=reach)] == carried.split()


def test_an_answer_to_another_sites_page_sets_only_cookies_meant_for_it() -> None:
    jar = stored(b"a=1; SameSite=None; Secure", b"b=1", reach=Reach.CROSS_SITE)
    assert sent(jar) == b"a=1"


def test_domain_and_path_of_the_sandbox_are_understood() -> None:
    jar = stored(b"a=1; Domain=sbx.test; Path=/sandbox/app", upstream="http://mfe.sbx.test:8080/sandbox/app/page")
    assert sent(jar) == b"a=1"
    assert sent(jar, "https://api.cms.example/app") == b"a=1"
    assert sent(jar, "https://other.example/app") is None


def test_of_too_many_cookies_those_set_the_longest_ago_go() -> None:
    jar = stored(b"first=1", b"session=1")
    for number in range(MOST_COOKIES):
        jar = jar.store([b"n%d=1" % number, b"session=%d" % number], url=WWW, now=NOW + 1 + number)
    names = [cookie.name for cookie in jar.cookies]
    assert len(names) == MOST_COOKIES
    assert b"session" in names
    assert b"first" not in names
    assert b"n0" not in names


def test_of_too_large_cookies_those_set_the_longest_ago_go() -> None:
    jar = Jar.empty()
    for number in range(80):
        jar = jar.store([b"n%d=" % number + b"x" * 4000], url=WWW, now=NOW + number)
    assert jar.size <= MOST_BYTES
    assert jar.cookies[-1].name == b"n79"


@given(answers)
def test_a_jar_is_read_as_it_was_written(given_answers: list[tuple[str, list[bytes], Reach]]) -> None:
    jar = filled(given_answers)
    assert Jar.from_json(jar.to_json()) == jar


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_whatever_bytes_are_set_the_jar_is_read_as_it_was_written(cookies: list[bytes]) -> None:
    jar = stored(*cookies)
    again = Jar.from_json(jar.to_json())
    assert again == jar
    assert sent(again) == sent(jar)


@given(st.binary())
def test_what_is_no_jar_is_refused_without_quoting_it(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a cookie jar of this version$"):
        Jar.from_json(data)


@pytest.mark.parametrize(
    "data",
    [b"{}", b"[]", b"null", b'{"v":2,"cookies":[]}', b'{"v":1,"cookies":[[]]}', b'{"v":1,"cookies":["abcdefghi"]}'],
)
def test_a_document_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a cookie jar"):
        Jar.from_json(data)


@given(answers, urls, reaches)
def test_no_cookie_goes_to_a_host_path_or_scheme_it_is_not_for(
    given_answers: list[tuple[str, list[bytes], Reach]], url: str, reach: Reach
) -> None:
    place, now = parse_place(url), NOW + 50
    jar = filled(given_answers)
    carried = (sent(jar, url, now, reach=reach) or b"").split(b"; ")
    allowed = [
        cookie.pair
        for cookie in jar.cookies
        if (cookie.domain == place.host or (not cookie.host_only and place.host.endswith("." + cookie.domain)))
        and path_matches(place.path, cookie.path)
        and (place.secure or not cookie.secure)
        and (cookie.expires is None or cookie.expires > now)
        and not (cookie.same_site == "strict" and reach is not Reach.SAME_SITE)
    ]
    assert set(carried) <= {*allowed, b""}
    if reach is Reach.SAME_SITE:
        assert sorted(filter(None, carried)) == sorted(filter(None, allowed))


@given(answers, answers, answers)
def test_changes_of_two_workers_come_together(one: Any, two: Any, three: Any) -> None:
    old = filled(one)
    mine, theirs = old, old
    for url, cookies, _ in two:
        mine = mine.store(cookies, url=url, now=NOW + 60)
    for url, cookies, _ in three:
        theirs = theirs.store(cookies, url=url, now=NOW + 60)
    both = {cookie.identity: cookie for cookie in mine.rebased(old=old, onto=theirs).cookies}
    before = {cookie.identity: cookie for cookie in old.cookies}
    after = {cookie.identity: cookie for cookie in mine.cookies}
    for identity, cookie in after.items():
        if before.get(identity) != cookie:
            assert both[identity] == cookie
    assert not (before.keys() - after.keys()) & both.keys()
    for cookie in theirs.cookies:
        if before.get(cookie.identity) == after.get(cookie.identity):
            assert both[cookie.identity] == cookie


def test_what_did_not_change_leaves_the_other_jar_as_it_is() -> None:
    old = stored(b"a=1", b"b=1")
    onto = old.store([b"c=1"], url=WWW, now=NOW)
    assert old.rebased(old=old, onto=onto) is onto


def test_the_most_specific_value_of_a_name_is_the_one_scripts_mean() -> None:
    jar = stored(b"t=outer; Path=/", b"t=inner; Path=/app", b"u=1; Path=/")
    assert jar.values(url=WWW, now=NOW) == {b"t": b"inner", b"u": b"1"}


def test_values_never_show_in_a_repr() -> None:
    assert "s3cret" not in repr(stored(b"a=s3cret"))


# -- the libraries as oracles, where they agree with the RFC

simple_urls = st.builds("https://{}{}".format, st.sampled_from(HOSTS), st.sampled_from(PATHS))


@st.composite
def simple_lines(draw: st.DrawFn) -> str:
    domain = draw(st.sampled_from(["", *HOSTS]))
    path = draw(st.sampled_from(["", *PATHS]))
    name = draw(st.sampled_from(["a", "b"])) + ("d" if domain else "h")  # they hold host-only ones for another kind
    parts = [f"{name}={draw(st.integers(0, 9))}", draw(st.sampled_from(["", "Max-Age=0", "Max-Age=900", "Secure"]))]
    return "; ".join(filter(None, (*parts, domain and f"Domain={domain}", path and f"Path={path}")))


simple_answers = st.lists(st.tuples(simple_urls, simple_lines()), max_size=12)


class Answer:
    """An answer as `http.cookiejar` wants it."""

    def __init__(self, line: str) -> None:
        self._message = Message()
        self._message["Set-Cookie"] = line

    def info(self) -> Message:
        return self._message


@given(simple_answers, urls)
def test_the_standard_librarys_jar_sends_the_same(answers: list[tuple[str, str]], url: str) -> None:
    policy = DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)  # else none is host-only
    now, jar, oracle = time.time(), Jar.empty(), http.cookiejar.CookieJar(policy)
    for at, line in answers:
        jar = jar.store([line.encode()], url=at, now=now)
        oracle.extract_cookies(Answer(line), urllib.request.Request(at))  # type: ignore[arg-type]
    request = urllib.request.Request(url)
    oracle.add_cookie_header(request)
    expected = (request.get_header("Cookie") or "").encode().split(b"; ")
    assert sorted((sent(jar, url, now) or b"").split(b"; ")) == sorted(expected)


def test_aiohttps_jar_sends_the_same_names() -> None:
    import asyncio

    @given(simple_answers, urls)
    def check(answers: list[tuple[str, str]], url: str) -> None:
        now, jar, oracle = time.time(), Jar.empty(), CookieJar()
        for at, line in answers:
            jar = jar.store([line.encode()], url=at, now=now)
            oracle.update_cookies_from_headers([line], URL(at))
        expected = sorted(oracle.filter_cookies(URL(url)))
        pairs = (sent(jar, url, now) or b"").split(b"; ")
        assert sorted({pair.partition(b"=")[0].decode() for pair in pairs if pair}) == expected

    async def main() -> None:
        check()

    asyncio.run(main())


# -- keys


def test_a_jar_is_the_drill_cookies_where_there_is_one() -> None:
    one = jar_key(client="10.0.0.1", user_agent="A", visitor="v1")
    assert one == jar_key(client="10.0.0.2", user_agent="B", user="u", visitor="v1")
    assert one != jar_key(client="10.0.0.1", user_agent="A", visitor="v2")


@given(*[st.tuples(*[st.text(max_size=6)] * 3)] * 2)
def test_without_it_address_agent_and_login_tell_clients_apart(one: Any, two: Any) -> None:
    keys = [jar_key(client=client, user_agent=agent, user=user) for client, agent, user in (one, two)]
    assert (keys[0] == keys[1]) is (one == two)


@given(st.text(min_size=1, max_size=8), st.text(max_size=8))
def test_a_client_cannot_name_itself_like_a_drill_cookie(visitor: str, agent: str) -> None:
    assert jar_key(client="", user_agent=agent, visitor=visitor) != jar_key(client=visitor, user_agent=agent)


LINES = [
    b"a=1; Path=/",
    b"a=2; path=/; HttpOnly",
    b"a=; Max-Age=0",
    b"b=1",
    b"b=1; Path=/",
    b"c=1; Path=/; Max-Age=90",
    b"path=/",
]


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(LINES), max_size=2),
            st.sampled_from(["http://www.cms.example/", "https://www.cms.example/x/y", "http://api.cms.example/x/y"]),
            st.sampled_from([0, 1, 30, 59, 61]),
            st.sampled_from(list(Reach)),
        ),
        max_size=20,
    )
)
def test_a_jar_that_remembers_what_changes_nothing_holds_what_one_without_memory_does(plan: Any) -> None:
    jar, now = Jar.empty(), 1_700_000_000.0
    for lines, url, later, reach in plan:
        now += later
        fresh = Jar.of(jar.cookies)
        jar = jar.store(lines, url=url, now=now, reach=reach)
        assert jar == fresh.store(lines, url=url, now=now, reach=reach)
