from __future__ import annotations

from pathlib import Path

import pytest

from bench.estates import BARE, COMMON, RICH, write_out
from switchboard.estate_file import parse_estate


@pytest.mark.parametrize(
    ("text", "routes", "rules"), [(COMMON, 10, 0), (RICH, 50, 20), (BARE, 1, 0)], ids=["common", "rich", "bare"]
)
def test_an_estate_is_a_sound_file_of_so_many_routes_and_rules(
    tmp_path: Path, text: str, routes: int, rules: int
) -> None:
    (tmp_path / "sandbox-ca.pem").touch()
    estate = parse_estate(write_out(text, folder=tmp_path, port=8080, ports=(8081, 8082)), "switchboard.yml")
    target = estate.targets["staging"]
    assert (len(target.routes), len(target.credentials)) == (routes, rules)
    assert target.cookies == "isolate"


def test_rules_of_every_kind_are_among_them(tmp_path: Path) -> None:
    (tmp_path / "sandbox-ca.pem").touch()
    estate = parse_estate(write_out(RICH, folder=tmp_path, port=8080, ports=(8081, 8082)), "switchboard.yml")
    kinds = {rule.place for rule in estate.targets["staging"].credentials}
    assert kinds == {"header", "basic", "cookie", "query", "json", "form", "websocket", "metadata"}
