from __future__ import annotations

from pathlib import Path

from switchboard.estate import Secret
from switchboard.estate_file import parse_estate
from switchboard.estate_paths import mock_files, resolve_paths, trust_files

TEXT = """
version: 1
production: {hosts: [a.example], ca: prod.pem}
cohorts: {c: {users: {ann: {file: ann.txt}, bob: {env: BOB}}}}
targets:
  t:
    block: [a.example]
    ca: ca/sandbox.pem
    credentials:
      - {in: header, name: A, twin: {file: key}}
      - {in: cookie, name: a, twin: learned}
    compose: {file: /abs/compose.yml}
    mocks:
      - {match: "GET https://m.example/a", file: mocks/a.json}
      - {match: "GET https://m.example/b", template: {file: /abs/b.html.j2}}
      - {match: "GET https://m.example/c", template: "{{ path }}"}
  bare: {block: [a.example]}
"""


def test_every_relative_path_is_joined_and_nothing_else_is_changed() -> None:
    written = parse_estate(TEXT, "f")
    estate = resolve_paths(written, Path("/base"))
    target = estate.targets["t"]
    assert estate.cohorts["c"].users == {"ann": Secret(file=Path("/base/ann.txt")), "bob": Secret(env="BOB")}
    assert target.credentials[0].twin == Secret(file=Path("/base/key"))
    assert target.credentials[1] == written.targets["t"].credentials[1]
    assert target.compose is not None
    assert target.compose.file == Path("/abs/compose.yml")
    assert target.mocks[2] == written.targets["t"].mocks[2]
    assert mock_files(estate) == [
        (("targets", "t", "mocks", 0, "file"), Path("/base/mocks/a.json")),
        (("targets", "t", "mocks", 1, "template", "file"), Path("/abs/b.html.j2")),
    ]
    assert estate.targets["bare"] == written.targets["bare"]
    assert trust_files(estate) == [
        (("production", "ca"), Path("/base/prod.pem")),
        (("targets", "t", "ca"), Path("/base/ca/sandbox.pem")),
    ]
