"""Settings of a process, and the files it reads: arguments first, then the environment, then defaults."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from switchboard.errors import BadInput, InvalidFile, Problem, Unavailable
from switchboard.estate import Estate, Listener, Secret
from switchboard.estate_file import parse_estate
from switchboard.estate_paths import mock_files, resolve_paths, trust_files
from switchboard.mock_template import template_flaw
from switchboard.scenario import Scenario
from switchboard.scenario_file import parse_scenario
from switchboard.yaml_lines import FILE_KEY, MOST_CHARACTERS, Finding, parse_yaml

SCENARIO_SUFFIXES = frozenset({".yml", ".yaml"})
_REDIS_SCHEMES = ("redis", "rediss", "unix")
_MOST_MOCK_BYTES = 8 * 1024 * 1024
_OTHERS_MAY_ENTER = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Settings:
    """What every command knows. `url` and `redis_url` None: the estate's admin listener, the private Redis."""

    estate: Path
    state: Path
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    as_json: bool = False


def read_settings(
    environ: Mapping[str, str],
    *,
    estate: str | Path | None = None,
    url: str | None = None,
    token: str | None = None,
    redis_url: str | None = None,
    state: str | Path | None = None,
    as_json: bool = False,
) -> Settings:
    """Return settings from arguments, else `HMS_ESR_*` of the environment, else defaults. Creates nothing.

    An empty text counts as not given. Raises BadInput for a URL of a kind that cannot be used.
    """
    return Settings(
        estate=Path(estate or environ.get("HMS_ESR_ESTATE") or "switchboard.yml"),
        state=Path(state or environ.get("HMS_ESR_STATE") or _default_state(environ)).absolute(),
        url=_checked_url(url or environ.get("HMS_ESR_URL"), option="--url", schemes=("http", "https")),
        token=token or environ.get("HMS_ESR_TOKEN") or None,
        redis_url=_checked_url(redis_url or environ.get("HMS_ESR_REDIS_URL"), option="--redis", schemes=_REDIS_SCHEMES),
        as_json=as_json,
    )


def _default_state(environ: Mapping[str, str]) -> Path:
    folder = Path(environ.get("XDG_STATE_HOME", ""))
    if not folder.is_absolute():  # the XDG base directory specification: a relative path is to be ignored
        folder = Path(environ["HOME"] if environ.get("HOME") else Path.home()) / ".local" / "state"
    return folder / "hms-esr"


def _checked_url(url: str | None, *, option: str, schemes: tuple[str, ...]) -> str | None:
    if not url:
        return None
    scheme, separator, rest = url.partition("://")
    if scheme not in schemes or not separator or not rest:
        shown = url if "@" not in url else f"{scheme}://..."  # it may hold a password
        raise BadInput(f"{option}: {shown!r} is not a URL that starts with {' or '.join(schemes)}://")
    return url.rstrip("/") if "http" in schemes else url


def admin_url(settings: Settings) -> str:
    """Return the URL of the admin API: as set, else from the estate's admin listener.

    Raises BadInput where neither is known.
    """
    if settings.url is not None:
        return settings.url
    listener = load_estate(settings.estate).listeners.admin
    if listener.port == 0:
        raise BadInput("listeners.admin takes any free port: give --url (or HMS_ESR_URL)")
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)
    url = f"http://{Listener(host=loopback, port=listener.port)}"
    assert urlsplit(url).port == listener.port
    return url


def state_folder(path: Path) -> Path:
    """Return the state folder, created with mode 0700. Raises BadInput where others could look into it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if status.st_uid == os.geteuid() and status.st_mode & _OTHERS_MAY_ENTER and not any(path.iterdir()):
            path.chmod(0o700)
            status = path.stat()
    except FileExistsError:
        raise BadInput(f"state folder {path} is a file: give another with --state") from None
    except OSError as error:
        raise Unavailable(f"state folder {path} cannot be used: {error.strerror}") from error
    if status.st_uid != os.geteuid():
        raise BadInput(f"state folder {path} belongs to another user: give your own with --state")
    if status.st_mode & _OTHERS_MAY_ENTER:
        mode = stat.S_IMODE(status.st_mode)
        raise BadInput(f"state folder {path} has mode {mode:04o}, it holds keys: run chmod 700 {path}")
    return path


def load_estate(path: Path) -> Estate:
    """Return the estate of a file, its relative paths resolved against the file's folder.

    Raises InvalidFile with every problem, BadInput where there is no file to read.
    """
    hint = "give one with --estate or HMS_ESR_ESTATE"
    text = _read_text(path, what="estate file", hint=hint)
    estate = resolve_paths(parse_estate(text, str(path)), path.absolute().parent)
    findings: list[Finding] = []
    for loc, ca in trust_files(estate):
        if reason := _why_not_pem(ca):
            findings.append(Finding(loc, repr(str(ca)), f"a file of PEM certificates ({reason})"))
    for loc, path in mock_files(estate):
        if reason := _why_no_answer(path, is_template="template" in loc):
            findings.append(Finding(loc, repr(str(path)), f"a file that a mock can answer with ({reason})"))
    if findings:
        raise InvalidFile(parse_yaml(text, str(path)).problems(tuple(findings)))
    return estate


def read_mock_files(estate: Estate) -> dict[Path, bytes]:
    """Return the contents of every file that a mock of the estate answers with. Raises BadInput."""
    found: dict[Path, bytes] = {}
    for _, path in mock_files(estate):
        try:
            found[path] = path.read_bytes()
        except OSError as error:
            raise BadInput(f"mock file {path} cannot be read: {error.strerror}") from error
    return found


def load_scenario(path: Path) -> Scenario:
    """Return one scenario, its `log_path` resolved against the file's folder.

    Raises InvalidFile with every problem, BadInput where there is no file to read.
    """
    scenario = parse_scenario(_read_text(path, what="scenario file", hint="see 'scenarios/'"), str(path))
    if scenario.log_path is None:
        return scenario
    log_path = str(path.absolute().parent / scenario.log_path)
    return scenario.model_copy(update={"log_path": log_path})


def load_scenarios(folder: Path) -> dict[str, Scenario | InvalidFile]:
    """Return the folder's scenarios by id; a broken file stands under its file name with its problems.

    Raises BadInput where the folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in SCENARIO_SUFFIXES)
    except OSError as error:
        raise BadInput(f"scenario folder {folder} cannot be read: {error.strerror}") from error
    found: dict[str, Scenario | InvalidFile] = {}
    files: dict[str, str] = {}
    for path in paths:
        if path.name.startswith("."):
            continue  # an editor's own
        try:
            scenario = load_scenario(path)
        except InvalidFile as error:
            found[path.name] = error
        except BadInput as error:
            found[path.name] = InvalidFile([Problem(str(path), 1, FILE_KEY, "the file", f"readable ({error})")])
        else:
            if scenario.id in files:
                expected = f"used once: {files[scenario.id]} has it already"
                problem = Problem(str(path), 1, "id", repr(scenario.id), expected)
                found[path.name] = InvalidFile([problem])
            else:
                found[scenario.id] = scenario
                files[scenario.id] = path.name
    return found


def read_secret(secret: Secret, base: Path) -> str:
    """Return a secret from its place; relative files are looked up in `base`. Never empty, never two lines.

    Raises BadInput that names the place, not the value.
    """
    if secret.env is not None:
        place, value = f"environment variable {secret.env}", os.environ.get(secret.env, "")
    elif secret.file is not None:
        path = base / secret.file
        place = f"secret file {path}"
        value = _read_text(path, what="secret file", hint="create it")
        # Read-only for all is how orchestrators mount secrets; writable by others is somebody else's secret.
        if path.stat().st_mode & _OTHERS_MAY_WRITE:
            raise BadInput(f"{place} can be written by others: run chmod go-w {path}")
        value = value.removesuffix("\n").removesuffix("\r")
    else:
        place, value = "the secret in the estate file", secret.value or ""
    if not value:
        raise BadInput(f"{place} is empty or not set")
    if not value.isprintable():
        raise BadInput(f"{place} holds control characters; one line of text was expected")
    return value


def _read_text(path: Path, *, what: str, hint: str) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4 * MOST_CHARACTERS + 1).decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{what} {path} does not exist: {hint}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{what} {path} is not UTF-8 text (byte {error.start + 1})") from None
    except OSError as error:
        raise BadInput(f"{what} {path} cannot be read: {error.strerror}") from error


def _why_not_pem(path: Path) -> str | None:
    try:
        x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        return error.strerror or "it cannot be read"
    except ValueError:
        return "it holds none that can be read"
    return None


def _why_no_answer(path: Path, *, is_template: bool) -> str | None:
    try:
        if path.stat().st_size > _MOST_MOCK_BYTES:
            return f"it is larger than {_MOST_MOCK_BYTES} bytes"
        content = path.read_bytes()
        return template_flaw(content.decode("utf-8-sig")) if is_template else None
    except OSError as error:
        return error.strerror or "it cannot be read"
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 text (byte {error.start + 1})"
