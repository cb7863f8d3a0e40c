"""Certificates and running agencies."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox.agency import Agency, agency
from sandbox.certificates import Authority, ServerFiles
from sandbox.side import Side

HOSTS = ("www.cms.example", "*.cms.example", "127.0.0.1")


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("Agency test authority", now=datetime.datetime.now(datetime.UTC))


@pytest.fixture(scope="session")
def server_files(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ServerFiles:
    issued = authority.issue(HOSTS, now=datetime.datetime.now(datetime.UTC))
    return issued.write(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.fixture
async def running(server_files: ServerFiles) -> AsyncIterator[Agency]:
    """A sandbox on both ports, with the books open."""
    async with agency(Side.SANDBOX, tls=server_files, books_port=0) as sandbox:
        yield sandbox


@pytest.fixture
async def client(running: Agency) -> AsyncIterator[aiohttp.ClientSession]:
    base = f"http://127.0.0.1:{running.http_port}"
    async with aiohttp.ClientSession(base, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session
