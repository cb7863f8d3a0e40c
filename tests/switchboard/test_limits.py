from __future__ import annotations

import pytest

from switchboard.errors import InvalidFile
from switchboard.estate_file import parse_estate
from switchboard.limits import Limits

HEAD = "version: 1\nproduction: {hosts: [a.example]}\ntargets:\n  t:\n    block: [a.example]\n    "


def test_limits_have_defaults() -> None:
    target = parse_estate(HEAD, "f").targets["t"]
    assert target.limits == Limits(body=8 * 1024**2, ratio=200, decoded=1024**3)
    assert target.banner is None


def test_limits_and_banner_are_read_from_the_estate() -> None:
    target = parse_estate(HEAD + "limits: {body: 64KiB, ratio: 50, decoded: 4096}\n    banner: DRILL", "f").targets["t"]
    assert target.limits == Limits(body=65536, ratio=50, decoded=4096)
    assert target.banner == "DRILL"


WRONG = {
    "limits: {body: 8MB}": "targets.t.limits.body: '8MB' is not a size like '512KiB', '8MiB' or '1GiB'",
    "limits: {body: 1.5}": "targets.t.limits.body: 1.5 is not a size like '512KiB', '8MiB' or '1GiB'",
    "limits: {body: true}": "targets.t.limits.body: true is not a size like",
    "limits: {decoded: -1}": "targets.t.limits.decoded: -1 is not a number of at least 0",
    "limits: {ratio: 0.5}": "targets.t.limits.ratio: 0.5 is not a number of at least 1",
    "limits: {ratio: x}": "targets.t.limits.ratio: 'x' is not a number",
    "limits: {bodies: 1}": "targets.t.limits.bodies: 'bodies' is not a key that is known here (did you mean 'body'?)",
    "limits: 8MiB": "targets.t.limits: '8MiB' is not a map with keys from: body, ratio, decoded",
    "banner: ''": "targets.t.banner: '' is not text of 1 to 80 characters on one line",
    "banner: true": "targets.t.banner: true is not text",
    'banner: "a\\nb"': "targets.t.banner: 'a\\nb' is not text of 1 to 80 characters on one line",
    f"banner: {'x' * 81}": "targets.t.banner: ",
}


@pytest.mark.parametrize(("line", "expected"), WRONG.items(), ids=WRONG)
def test_a_wrong_limit_or_banner_is_told_in_plain_words(line: str, expected: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        parse_estate(HEAD + line, "f")
    [problem] = refused.value.problems
    assert str(problem).startswith(f"f:6: {expected}")
