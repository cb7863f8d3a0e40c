from __future__ import annotations

import datetime
import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from sandbox.certificates import Authority

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def test_a_certificate_lives_from_the_day_before_for_a_year() -> None:
    issued = Authority.create("Test", now=NOW).issue(["www.cms.example"], now=NOW)
    leaf = x509.load_pem_x509_certificate(issued.chain)
    assert leaf.not_valid_before_utc == NOW - datetime.timedelta(days=1)
    assert leaf.not_valid_after_utc == NOW + datetime.timedelta(days=365)


def test_names_and_addresses_stand_in_the_subject_alternative_name() -> None:
    issued = Authority.create("Test", now=NOW).issue(["*.cms.example", "127.0.0.1", "::1"], now=NOW)
    leaf = x509.load_pem_x509_certificate(issued.chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.cms.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_a_certificate_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        Authority.create("Test", now=NOW).issue([], now=NOW)


def test_files_load_into_a_server_and_the_key_is_private(tmp_path: Path) -> None:
    files = Authority.create("Test", now=NOW).issue(["localhost"], now=NOW).write(tmp_path / "new")
    assert isinstance(files.context(), ssl.SSLContext)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_secrets_do_not_show_in_a_repr() -> None:
    authority = Authority.create("Test", now=NOW)
    assert "key=" not in repr(authority)
    assert b"PRIVATE" not in repr(authority.issue(["localhost"], now=NOW)).encode()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="missing: the program openssl")
def test_openssl_accepts_the_chain_under_its_strict_rules(tmp_path: Path) -> None:
    authority = Authority.create("Test", now=NOW)
    files = authority.issue(["www.cms.example"], now=NOW).write(tmp_path)
    trusted = authority.write(tmp_path / "ca.pem")
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname"]
    moment = str(int(NOW.timestamp()))
    done = subprocess.run(
        [*command, "www.cms.example", "-attime", moment, "-CAfile", trusted, files.chain],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
