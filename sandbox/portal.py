"""The website (MFE): pages that people visit, with a login and an application form."""

from __future__ import annotations

from html import escape

from aiohttp import web

from sandbox.calls import Call, Handler, Refused
from sandbox.pages import SCRIPT, page
from sandbox.people import People
from sandbox.side import Side
from sandbox.workflow import Applications

_APPLY = """<form method="post" action="/apply">
<label>Your name <input name="name" autocomplete="name" required></label>
<label>People in your household <input name="household" type="number" min="1" value="1"></label>
<button>Submit application</button></form>"""

_LOGIN = """<form method="post" action="/login">
<label>User name <input name="username" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form>"""

_PROFILE = """<p>Signed in as <b>{name}</b>. <a href="/logout">Log out</a></p>
<table data-api="/api/profile"></table>
<form data-send="/api/profile" data-method="PUT">
<label>County <input name="county" required></label><button>Save</button> <output></output></form>"""


class Portal:
    """Pages of one side."""

    def __init__(self, side: Side, people: People, applications: Applications) -> None:
        self._side = side
        self._people = people
        self._applications = applications
        self._table: dict[tuple[str, str], Handler] = {
            ("GET", "/"): self._home,
            ("GET", "/agency.js"): self._script,
            ("GET", "/login"): self._login_form,
            ("POST", "/login"): self._log_in,
            ("GET", "/logout"): self._log_out,
            ("POST", "/logout"): self._log_out,
            ("GET", "/apply"): self._apply_form,
            ("POST", "/apply"): self._apply,
            ("GET", "/see-plans"): self._plans,
            ("GET", "/profile"): self._profile,
        }

    def find(self, method: str, path: str) -> Handler | None:
        return self._table.get((method, path))

    async def _home(self, call: Call) -> web.StreamResponse:
        name = self._people.name(call.session)
        greeting = f"Welcome back, {escape(name)}." if name else "Find health coverage for you and your family."
        return page(
            self._side,
            "Health coverage",
            f'<p>{greeting}</p><p>Open enrollment ends soon: <a href="/apply">apply now</a> or '
            '<a href="/see-plans">compare plans</a>.</p><table data-api="/api/status"></table>',
        )

    async def _script(self, call: Call) -> web.StreamResponse:
        return web.Response(text=SCRIPT, content_type="text/javascript")

    async def _login_form(self, call: Call) -> web.StreamResponse:
        return page(self._side, "Log in", _LOGIN)

    async def _log_in(self, call: Call) -> web.StreamResponse:
        form = await call.request.post()
        name, password = form.get("username"), form.get("password")
        if not (isinstance(name, str) and name and password):
            raise Refused(400, "a login needs username and password")
        answer = _see_other("/profile")
        answer.set_cookie(
            "session",
            self._people.log_in(name[:100]),
            path="/",
            httponly=True,
            secure=call.request.secure,
            samesite="Lax",
        )
        return answer

    async def _log_out(self, call: Call) -> web.StreamResponse:
        self._people.log_out(call.session)
        answer = _see_other("/")
        answer.del_cookie("session", path="/")
        return answer

    async def _apply_form(self, call: Call) -> web.StreamResponse:
        return page(self._side, "Apply for coverage", _APPLY)

    async def _apply(self, call: Call) -> web.StreamResponse:
        form = await call.request.post()
        filed = self._applications.create({key: str(value)[:200] for key, value in list(form.items())[:20]})
        return page(
            self._side,
            "Application received",
            f"<p>{self._side.label} received application <b>{filed.id}</b>.</p>",
        )

    async def _plans(self, call: Call) -> web.StreamResponse:
        return page(self._side, "Plans in your area", '<table data-api="/api/plans"></table>')

    async def _profile(self, call: Call) -> web.StreamResponse:
        name = self._people.name(call.session)
        if name is None:
            return page(self._side, "Your profile", '<p>You are signed out. <a href="/login">Log in</a></p>')
        return page(self._side, "Your profile", _PROFILE.format(name=escape(name)))


def _see_other(place: str) -> web.Response:
    return web.Response(status=303, headers={"Location": place})
