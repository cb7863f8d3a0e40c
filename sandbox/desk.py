"""The desk of a caseworker (MFE): one page that uses what modern pages use, the way they use it.

`/desk` names the services by an absolute URL on another origin: its script asks them with a token (CORS, with a
preflight), holds a WebSocket to them, follows server-sent events of its own origin and uploads a file. Everything is
allowed by a strict Content-Security-Policy: one script file, nothing inline.
"""

from __future__ import annotations

from html import escape
from string import Template

from aiohttp import web

from sandbox.calls import Call, Handler, Refused, json
from sandbox.pages import page
from sandbox.people import People
from sandbox.side import Side

SERVICES = "https://api.cms.example"

_PAGE = Template("""<p>Signed in as <b>$name</b>. <a href="/logout">Log out</a></p>
<p><a id="profile" href="$origin/profile">Your profile</a></p>
<table id="desk" data-services="$services">
<tr><th>Services</th><td><output id="services"></output></td></tr>
<tr><th>Messages</th><td><output id="socket"></output></td></tr>
<tr><th>News</th><td><output id="events"></output></td></tr>
<tr><th>Files</th><td><output id="upload"></output></td></tr>
</table>
<button id="again" type="button">Ask again</button>
<form><label>A document <input name="document" type="file" required></label><button>Upload</button></form>
<script src="/desk.js" type="module"></script>""")

_SCRIPT = """
const services = document.getElementById('desk').dataset.services;
let token = '';
function show(name, text) {
  document.getElementById(name).textContent = text;
}
async function ask() {
  const answer = await fetch(`${services}/profile`, {headers: {authorization: `Bearer ${token}`}});
  const data = await answer.json();
  show('services', `${data.name} by ${data.side}`);
}
async function begin() {
  const answer = await fetch('/desk/token');
  const data = await answer.json();
  token = data.token;
  if (data.services !== services) throw new Error(`${data.services} is not ${services}`);
  await ask();
  const socket = new WebSocket(`${services.replace(/^http/, 'ws')}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({token, say: 'hello'}));
  socket.onclose = () => show('socket', 'closed');
  socket.onmessage = (message) => {
    const {side, echo} = JSON.parse(message.data);
    const heard = JSON.parse(echo);
    show('socket', `${heard.say} with a token of ${heard.token.split('-')[0]} by ${side}`);
  };
}
const news = new EventSource('/events?every=0.1');
news.onmessage = (event) => show('events', `from ${JSON.parse(event.data).side}`);
news.onerror = () => show('events', 'interrupted');
function tell(name) {
  return (error) => show(name, `failed: ${error.message}`);
}
document.getElementById('again').addEventListener('click', () => {
  show('services', '');
  ask().catch(tell('services'));
});
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    const answer = await fetch('/upload', {method: 'POST', body: new FormData(event.target)});
    const data = await answer.json();
    show('upload', `${data.body_bytes} bytes by ${data.side}`);
  } catch (error) {
    tell('upload')(error);
  }
});
begin().catch(tell('services'));
"""


class Desk:
    """The desk of one side. `services` is the URL its page and script are told."""

    def __init__(self, side: Side, people: People, *, services: str = SERVICES) -> None:
        self._side = side
        self._people = people
        self._services = services
        self._table: dict[tuple[str, str], Handler] = {
            ("GET", "/desk"): self._page,
            ("GET", "/desk.js"): self._script,
            ("GET", "/desk/token"): self._token,
        }

    def find(self, method: str, path: str) -> Handler | None:
        return self._table.get((method, path))

    async def _page(self, call: Call) -> web.StreamResponse:
        name = self._people.name(call.session)
        if name is None:
            return page(self._side, "Your desk", '<p>You are signed out. <a href="/login">Log in</a></p>')
        request = call.request
        body = _PAGE.substitute(
            name=escape(name),
            origin=escape(f"{request.scheme}://{request.headers.get('Host', '')}"),
            services=escape(self._services),
        )
        answer = page(self._side, "Your desk", body)
        answer.headers["Content-Security-Policy"] = self._policy()
        return answer

    def _policy(self) -> str:
        """Return the policy of the page; its shell has one inline style, scripts come from files only.

        A source's path is a prefix only with a slash at its end (CSP 3, 6.7.2.12).
        """
        places = f"{self._services}/ {self._services.replace('http', 'ws', 1)}/"
        return (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
            f"connect-src 'self' {places}"
        )

    async def _script(self, call: Call) -> web.StreamResponse:
        return web.Response(text=_SCRIPT, content_type="text/javascript")

    async def _token(self, call: Call) -> web.StreamResponse:
        name = self._people.name(call.session)
        if name is None:
            raise Refused(401, "a token is for those who are signed in")
        return json({"side": self._side, "token": self._people.log_in(name), "services": self._services})
