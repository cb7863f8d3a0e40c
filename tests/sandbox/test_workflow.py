from __future__ import annotations

import aiohttp
import pytest

from sandbox import workflow
from sandbox.calls import Refused
from sandbox.side import Side
from sandbox.workflow import STEPS, Applications, State


def applications_at(state: State) -> tuple[Applications, str]:
    ways: dict[State, tuple[str, ...]] = {
        State.DRAFT: (),
        State.SUBMITTED: ("submit",),
        State.REVIEW: ("submit", "review"),
        State.APPROVED: ("submit", "review", "approve"),
        State.DENIED: ("submit", "review", "deny"),
        State.WITHDRAWN: ("withdraw",),
    }
    applications = Applications(Side.SANDBOX)
    number = applications.create({}).id
    for action in ways[state]:
        applications.step(number, action)
    return applications, number


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", sorted(workflow.ACTIONS))
def test_only_the_steps_of_the_table_are_possible(state: State, action: str) -> None:
    applications, number = applications_at(state)
    if expected := STEPS.get((state, action)):
        assert applications.step(number, action).state is expected
    else:
        with pytest.raises(Refused, match=f"it cannot {action}"):
            applications.step(number, action)
        assert applications.get(number).state is state


def test_a_stale_version_does_not_overwrite() -> None:
    applications, number = applications_at(State.SUBMITTED)
    with pytest.raises(Refused, match="is at version 2, not 1") as refused:
        applications.step(number, "review", version=1)
    assert refused.value.status == 412


def test_the_oldest_application_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "LIMIT", 2)
    applications = Applications(Side.SANDBOX)
    numbers = [applications.create({}).id for _ in range(3)]
    assert len(applications) == 2
    with pytest.raises(Refused):
        applications.get(numbers[0])


async def test_a_step_is_accepted_first_and_confirmed_by_the_next_read(client: aiohttp.ClientSession) -> None:
    async with client.post("/workflow/applications", json={"name": "Ada"}) as answer:
        assert answer.status == 201
        place, etag = answer.headers["Location"], answer.headers["ETag"]
    async with client.post(f"{place}/submit", headers={"If-Match": etag}) as answer:
        assert answer.status == 202
        assert await answer.json() == {
            "id": "sandbox-1",
            "state": "submitted",
            "version": 2,
            "confirmed": False,
            "side": "sandbox",
        }
    async with client.get(place) as answer:
        assert (await answer.json())["confirmed"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/workflow/applications/sandbox-9/submit", {}, 404),
        ("/act/workflow/applications/sandbox-1/review", {}, 409),
        ("/workflow/applications/sandbox-1/submit", {"If-Match": '"9"'}, 412),
        ("/workflow/applications/sandbox-1/submit", {"If-Match": "new"}, 400),
    ],
    ids=["unknown", "no such step", "stale", "bad version"],
)
async def test_a_bad_step_gets_one_clear_error(
    client: aiohttp.ClientSession, path: str, headers: dict[str, str], status: int
) -> None:
    async with client.post("/workflow/applications", json={}):
        pass
    async with client.post(path, headers=headers) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]
