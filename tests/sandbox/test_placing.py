from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.placing import PREFIXES, Name, Place, place

TABLE = {
    "root of the site": ("www.cms.example", "/", Place(Name.PORTAL, "/")),
    "a page of the site": ("www.cms.example", "/profile", Place(Name.PORTAL, "/profile")),
    "services on the site": ("www.cms.example", "/api/profile", Place(Name.SERVICES, "/profile")),
    "services on their own host": ("api.cms.example", "/profile", Place(Name.SERVICES, "/profile")),
    "host in capitals, with port": ("API.cms.example:8443", "/profile", Place(Name.SERVICES, "/profile")),
    "workflow on any host": (
        "api.cms.example",
        "/workflow/applications",
        Place(Name.WORKFLOW, "/workflow/applications"),
    ),
    "metrics on any host": ("127.0.0.1", "/metrics/events", Place(Name.METRICS, "/metrics/events")),
    "no host": ("", "/see-plans", Place(Name.PORTAL, "/see-plans")),
    "prefix of a route to the services": ("127.0.2.1:9080", "/svc/profile", Place(Name.SERVICES, "/profile")),
    "prefix alone": ("127.0.2.1:9080", "/mfe", Place(Name.PORTAL, "/")),
    "prefix without service": ("127.0.2.1", "/sandbox/api/plans", Place(Name.SERVICES, "/plans")),
    "prefix without service, named host": ("api.x", "/sandbox/profile", Place(Name.SERVICES, "/profile")),
    "prefix only on a segment border": ("www.x", "/svcs/profile", Place(Name.PORTAL, "/svcs/profile")),
    "path only on a segment border": ("www.x", "/apis", Place(Name.PORTAL, "/apis")),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_request_is_answered_by_the_service_that_owns_it(case: str) -> None:
    host, path, expected = TABLE[case]
    assert place(host, path) == expected


def test_the_longest_prefix_wins_and_may_name_another_service() -> None:
    prefixes = {"/sandbox": None, "/sandbox/profile": Name.SERVICES}
    assert place("127.0.0.1", "/sandbox/profile/plans", prefixes) == Place(Name.SERVICES, "/plans")
    assert place("127.0.0.1", "/sandbox/apply", prefixes) == Place(Name.PORTAL, "/apply")


@given(host=st.text(), path=st.text().map("/".__add__))
def test_every_host_and_path_has_a_place(host: str, path: str) -> None:
    where = place(host, path, PREFIXES)
    assert where.service in Name
    assert where.path.startswith("/")
