from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.anchors import Anchors

ROWS = {
    "none": ([], [], ()),
    "one host": ([b"sandbox-mfe"], [], (b"sandbo",)),
    "hosts with a common beginning": ([b"sandbox-mfe", b"sandbox-svc"], [], (b"sandbo",)),
    "no common part with production": (
        [b"www.sbx.example", b"api.sbx.example"],
        [b"www.cms.example", b"api.cms.example"],
        (b".sbx.e",),
    ),
    "nothing in common": ([b"alpha", b"bravo"], [], (b"alpha", b"bravo")),
    "short names": ([b"a-b"], [], (b"a-b",)),
}
HOSTS = st.sets(st.from_regex(rb"[a-z][a-z0-9.-]{0,20}[a-z]", fullmatch=True), min_size=1, max_size=30)


@pytest.mark.parametrize(("hosts", "others", "texts"), ROWS.values(), ids=ROWS)
def test_few_texts_lead_to_all_hosts(hosts: list[bytes], others: list[bytes], texts: tuple[bytes, ...]) -> None:
    anchors = Anchors.of(hosts, others=others)
    assert anchors.texts == texts
    assert anchors.behind is None


@given(
    HOSTS,
    st.sampled_from([b"http://%s/", b"http:\\/\\/%s", b"x%%2f%%2f%s", b"&#x2f;&#x2f;%s", b"&#47;&#47;%s", b"&sol;%s"]),
)
def test_every_host_of_a_url_is_hit(hosts: set[bytes], url: bytes) -> None:
    anchors = Anchors.of(hosts)
    for host in hosts:
        text = url % host
        at = text.rindex(host)
        assert any(at <= hit < at + len(host) for hit in anchors.hits(text, 0, len(text)))
        assert anchors.are_in(text)


def test_many_hosts_without_anything_in_common_are_found_by_the_slashes_before_them() -> None:
    hosts = [bytes((97 + n,)) * 3 + b"host"[n % 4 :] * 2 + bytes((122 - n,)) * 6 for n in range(20)]
    anchors = Anchors.of(hosts)
    assert anchors.behind is not None
    text = b"//other/" + b"//%s/ " % hosts[3] + rb"\/\/%s" % hosts[7]
    assert [text[hit : hit + 4] for hit in anchors.hits(text, 0, len(text))] == [hosts[3][:4], hosts[7][:4]]
    assert not anchors.are_in(b"http://other.example/" + hosts[0])


def test_hits_of_several_texts_come_in_order() -> None:
    anchors = Anchors.of([b"alpha", b"bravo"])
    text = b"alpha bravo bravo alpha"
    assert list(anchors.hits(text, 0, len(text))) == [0, 6, 12, 18]
    assert list(anchors.hits(text, 1, 17)) == [6, 12]
    assert not anchors.are_in(b"alph")
