"""Console files, CA certificate and proxy configuration."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from switchboard.admin_pages import proxy_pac
from switchboard.errors import NotFound
from switchboard.estate import Estate


async def test_without_a_session_the_console_says_how_to_get_one(stage: Any) -> None:
    async with stage() as it, it.http.get(it.url + "/") as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "login URL" in text
        assert 'id="start"' not in text


@pytest.mark.parametrize(
    ("name", "kind"),
    [("console.css", "text/css"), ("console.js", "text/javascript"), ("icon.svg", "image/svg+xml")],
)
async def test_files_of_the_console_are_public(stage: Any, name: str, kind: str) -> None:
    async with stage() as it, it.http.get(f"{it.url}/console/{name}") as answer:
        assert (answer.status, answer.content_type) == (200, kind)


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2f__init__.py", "%2e%2e/admin.py"])
async def test_nothing_else_is_served_from_the_folder(stage: Any, name: str) -> None:
    async with stage() as it, it.http.get(f"{it.url}/console/{name}") as answer:
        assert answer.status in (401, 404)


def test_no_page_of_the_console_needs_inline_code() -> None:
    folder = Path(__file__).parents[2] / "switchboard" / "console"
    for page in folder.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|javascript:|data:", text), page


async def test_the_ca_certificate_is_served_once_it_is_there(stage: Any) -> None:
    async with stage() as it:
        with pytest.raises(NotFound) as caught:
            await it.api.ca_pem()
        assert caught.value.code == "no_ca_yet"
        (it.state / "ca").mkdir()
        (it.state / "ca" / "hms-esr-ca-cert.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n")
        async with it.http.get(it.url + "/ca.pem") as answer:
            assert (answer.status, answer.content_type) == (200, "application/x-x509-ca-cert")
            assert (await answer.read()).startswith(b"-----BEGIN")


async def test_the_proxy_configuration_has_the_type_that_browsers_want(stage: Any) -> None:
    async with stage() as it, it.http.get(it.url + "/proxy.pac") as answer:
        assert answer.content_type == "application/x-ns-proxy-autoconfig"
        assert "PROXY 127.0.0.1:8080" in await answer.text()


async def test_an_estate_without_a_regular_door_has_no_proxy_configuration(stage: Any, estate: Estate) -> None:
    listeners = estate.listeners.model_copy(update={"proxy": estate.listeners.proxy[:1]})
    async with stage(estate=estate.model_copy(update={"listeners": listeners})) as it:
        with pytest.raises(NotFound) as caught:
            await it.api.proxy_pac()
        assert caught.value.code == "no_regular_listener"


def told(estate: Estate) -> Any:
    script = proxy_pac(estate, "10.0.0.1:8080")
    found = re.search(r"var ESTATE = (.*);", script)
    assert found
    return json.loads(found[1])


def test_the_configuration_names_production_routes_mocks_and_allowed_hosts(estate: Estate) -> None:
    assert told(estate) == {
        "exact": {"fonts.example.net": 1, "payments.example": 1, "www.cms.example": 1},
        "below": [".cms.example"],
        "globs": [],
        "networks": [["203.0.113.0", "255.255.255.0"]],
        "ipv6": True,
    }


def test_hosts_of_the_estate_have_no_way_around_the_proxy(estate: Estate) -> None:
    assert re.findall(r'"(PROXY[^"]*)"', proxy_pac(estate, "10.0.0.1:8080")) == ["PROXY 10.0.0.1:8080"]


# What a browser makes of it is asked of a browser in test_console.
