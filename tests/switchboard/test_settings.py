from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from switchboard.errors import BadInput, InvalidFile
from switchboard.estate import Secret
from switchboard.scenario import Scenario
from switchboard.settings import (
    admin_url,
    load_estate,
    load_scenario,
    load_scenarios,
    read_mock_files,
    read_secret,
    read_settings,
    state_folder,
)

ESTATE = """version: 1
production: {hosts: [a.example], ca: prod.pem, networks: [203.0.113.0/24]}
targets:
  t:
    routes: [{from: a.example, to: "https://sandbox"}]
    ca: ca/sandbox.pem
    credentials: [{in: header, name: A, twin: {file: key.txt}}]
"""
SCENARIO = "id: {id}\nsource: replay_logs\nlog_path: logs/day.log.gz\n"


def certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    (tmp_path / "ca").mkdir()
    for name in ("prod.pem", "ca/sandbox.pem"):
        (tmp_path / name).write_bytes(certificate())
    path = tmp_path / "switchboard.yml"
    path.write_text(ESTATE)
    return path


def test_an_argument_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {"HMS_ESR_ESTATE": "/env.yml", "HMS_ESR_TOKEN": "env", "HMS_ESR_STATE": "/state", "HMS_ESR_URL": ""}
    settings = read_settings(environ, estate="/arg.yml", redis_url="unix:///r.sock")
    assert (settings.estate, settings.token, settings.state) == (Path("/arg.yml"), "env", Path("/state"))
    assert (settings.url, settings.redis_url) == (None, "unix:///r.sock")
    assert read_settings({"HOME": "/home/u"}).estate == Path("switchboard.yml")


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({"HOME": "/home/u"}, "/home/u/.local/state/hms-esr"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "/x"}, "/x/hms-esr"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "relative"}, "/home/u/.local/state/hms-esr"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "/x", "HMS_ESR_STATE": "/y"}, "/y"),
    ],
)
def test_the_state_folder_is_the_users(environ: dict[str, str], state: str) -> None:
    assert read_settings(environ).state == Path(state)


def test_secrets_are_not_in_the_printed_form() -> None:
    text = repr(read_settings({}, token="t0ken", redis_url="redis://u:pa55@h", state="/s"))
    assert "t0ken" not in text
    assert "pa55" not in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "127.0.0.1:8700"}, "--url: '127.0.0.1:8700' is not a URL that starts with http or https://"),
        ({"redis_url": "http://h"}, "--redis: 'http://h' is not a URL that starts with redis or rediss or unix://"),
        ({"redis_url": "tcp://u:pa55@h"}, "--redis: 'tcp://...' is not a URL"),
    ],
)
def test_a_url_of_another_kind_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_settings({}, state="/s", **given)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("admin", "url"),
    [("127.0.0.1:1", "http://127.0.0.1:1"), ("0.0.0.0:2", "http://127.0.0.1:2"), ("[::]:3", "http://[::1]:3")],
)
def test_the_admin_url_comes_from_the_estate(estate: Path, admin: str, url: str) -> None:
    estate.write_text(f'{ESTATE}listeners: {{admin: "{admin}"}}\n')
    assert admin_url(read_settings({}, estate=estate, state="/s")) == url
    assert admin_url(read_settings({}, estate="/none", state="/s", url="http://h:1/")) == "http://h:1"


def test_an_admin_port_that_is_any_has_no_url(estate: Path) -> None:
    estate.write_text(f'{ESTATE}listeners: {{admin: "127.0.0.1:0"}}\n')
    with pytest.raises(BadInput, match="give --url"):
        admin_url(read_settings({}, estate=estate, state="/s"))


def test_the_state_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    made = state_folder(tmp_path / "deep" / "state")
    assert made.stat().st_mode & 0o777 == 0o700
    open_and_empty = tmp_path / "empty"
    open_and_empty.mkdir(mode=0o755)
    assert state_folder(open_and_empty).stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_others_can_look_into_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    tmp_path.chmod(0o750)
    with pytest.raises(BadInput, match="has mode 0750, it holds keys: run chmod 700"):
        state_folder(tmp_path)
    with pytest.raises(BadInput, match="is a file"):
        state_folder(tmp_path / "key")


def test_an_estate_has_its_paths_resolved_against_its_own_folder(estate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(estate.parent.parent)
    loaded = load_estate(Path(estate.parent.name) / "switchboard.yml")
    assert loaded.targets["t"].ca == estate.parent / "ca" / "sandbox.pem"
    assert loaded.targets["t"].credentials[0].twin == Secret(file=estate.parent / "key.txt")


def test_trust_that_is_missing_or_no_certificate_is_a_problem_with_its_line(estate: Path) -> None:
    (estate.parent / "prod.pem").write_text("nothing")
    (estate.parent / "ca" / "sandbox.pem").unlink()
    with pytest.raises(InvalidFile) as caught:
        load_estate(estate)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (2, "production.ca"),
        (6, "targets.t.ca"),
    ]
    assert "a file of PEM certificates (No such file or directory)" in str(caught.value)
    assert "a file of PEM certificates (it holds none that can be read)" in str(caught.value)


def test_files_of_mocks_that_cannot_be_answered_with_are_problems_with_their_lines(estate: Path) -> None:
    (estate.parent / "broken.j2").write_text("line\n{{ jsn }}")
    (estate.parent / "bytes.j2").write_bytes(b"\xff")
    (estate.parent / "good.bin").write_bytes(b"\xff")
    with estate.open("a") as file:
        file.write("""    mocks:
      - {match: "GET https://m.example/a", file: gone.json}
      - {match: "GET https://m.example/b", template: {file: broken.j2}}
      - {match: "GET https://m.example/c", template: {file: bytes.j2}}
      - {match: "GET https://m.example/d", file: good.bin}
""")
    with pytest.raises(InvalidFile) as caught:
        load_estate(estate)
    gone, broken, coded = caught.value.problems
    assert (gone.line, gone.key) == (9, "targets.t.mocks[0].file")
    assert gone.expected == "a file that a mock can answer with (No such file or directory)"
    assert (broken.line, broken.key) == (10, "targets.t.mocks[1].template.file")
    assert "('jsn' is not known; known are method" in broken.expected
    assert "(it is not UTF-8 text (byte 1))" in coded.expected


def test_files_of_mocks_are_read_once_by_their_resolved_path(estate: Path) -> None:
    with estate.open("a") as file:
        file.write("""    mocks: [{match: "GET https://m.example/a", file: a.json}]\n""")
    (estate.parent / "a.json").write_bytes(b"{}")
    loaded = load_estate(estate)
    assert read_mock_files(loaded) == {estate.parent / "a.json": b"{}"}
    (estate.parent / "a.json").unlink()
    with pytest.raises(BadInput, match=r"mock file .* cannot be read"):
        read_mock_files(loaded)


def test_an_estate_that_cannot_be_read_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist: give one with --estate or HMS_ESR_ESTATE"):
        load_estate(tmp_path / "none.yml")
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        load_estate(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be read: Not a directory"):
        load_estate(tmp_path / "file" / "switchboard.yml")
    (tmp_path / "latin").write_bytes("ä: 1".encode("latin-1"))
    with pytest.raises(BadInput, match=r"is not UTF-8 text \(byte 1\)"):
        load_estate(tmp_path / "latin")


def test_a_byte_order_mark_is_no_part_of_the_text(estate: Path) -> None:
    estate.write_bytes(b"\xef\xbb\xbf" + ESTATE.encode())
    assert load_estate(estate).version == 1


def test_a_scenario_has_its_log_path_resolved_against_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(SCENARIO.format(id="a"))
    assert load_scenario(tmp_path / "a.yml").log_path == str(tmp_path / "logs" / "day.log.gz")


def test_a_broken_scenario_never_hides_the_others(tmp_path: Path) -> None:
    texts = {
        "a.yml": SCENARIO.format(id="one"),
        "b.yaml": SCENARIO.format(id="two"),
        "broken.yml": "id: [\n",
        "copy.yml": SCENARIO.format(id="one"),
        "latin.yml": "id: \udce4",
        "notes.txt": "not a scenario",
        ".swap.yml": "an editor's own",
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    (tmp_path / "folder.yml").mkdir()
    found = load_scenarios(tmp_path)
    assert {name: type(value) for name, value in found.items()} == {
        "one": Scenario,
        "two": Scenario,
        "broken.yml": InvalidFile,
        "copy.yml": InvalidFile,
        "folder.yml": InvalidFile,
        "latin.yml": InvalidFile,
    }
    assert "id: 'one' is not used once: a.yml has it already" in str(found["copy.yml"])
    assert "the file is not readable" in str(found["folder.yml"])


def test_a_scenario_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file or directory"):
        load_scenarios(tmp_path / "none")


def test_a_secret_is_read_from_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN", "from env")
    (tmp_path / "twin").write_text("from file\n")
    (tmp_path / "twin").chmod(0o444)
    places = (Secret(env="TWIN"), Secret(file=Path("twin")), Secret(value="as it is"))
    assert [read_secret(secret, tmp_path) for secret in places] == ["from env", "from file", "as it is"]


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (Secret(env="HMS_ESR_NOT_SET"), "environment variable HMS_ESR_NOT_SET is empty or not set"),
        (Secret(value=""), "the secret in the estate file is empty or not set"),
        (Secret(value="a\r\nX: b"), "the secret in the estate file holds control characters"),
        (Secret(file=Path("none")), "none does not exist: create it"),
        (Secret(file=Path("shared")), "can be written by others: run chmod go-w"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_without_its_value(tmp_path: Path, secret: Secret, words: str) -> None:
    (tmp_path / "shared").write_text("x")
    (tmp_path / "shared").chmod(0o666)
    with pytest.raises(BadInput, match=words):
        read_secret(secret, tmp_path)
