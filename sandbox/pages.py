"""The HTML around every page. No outside assets, so that a page asks for nothing but its own origin."""

from __future__ import annotations

from html import escape
from string import Template

from aiohttp import web

from sandbox.side import Side

_SHELL = Template("""<!doctype html>
<html lang="en" data-side="$side">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title - Citizens' Marketplace Services</title>
<style>
:root { --ink: #1b2733; --line: #d9e0e6; --accent: $accent; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: #f4f6f8; }
.side { background: var(--accent); color: #fff; text-align: center; letter-spacing: .18em; padding: .35rem; }
header { background: #fff; border-bottom: 1px solid var(--line); }
header div, main { max-width: 56rem; margin: 0 auto; padding: 1rem 1.25rem; }
header div { display: flex; flex-wrap: wrap; gap: 1.25rem; align-items: baseline; }
header strong { margin-right: auto; }
a { color: var(--accent); }
main > section { background: #fff; border: 1px solid var(--line); border-radius: .6rem; padding: 1.5rem; }
h1 { margin: 0 0 .75rem; font-size: 1.6rem; }
label { display: block; margin: .75rem 0; }
input { display: block; width: 100%; max-width: 22rem; padding: .5rem; border: 1px solid #9aa7b3; }
button { padding: .55rem 1.4rem; border: 0; border-radius: .35rem; background: var(--accent); color: #fff; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .45rem; border-bottom: 1px solid var(--line); }
</style>
<script src="/agency.js" defer></script>
</head>
<body>
<div class="side">$label</div>
<header><div><strong>Citizens' Marketplace Services</strong>
<a href="/">Home</a> <a href="/see-plans">See plans</a> <a href="/apply">Apply</a>
<a href="/profile">Profile</a> <a href="/login">Log in</a></div></header>
<main><section>
<h1>$title</h1>
$body
</section></main>
</body>
</html>
""")

# Fills every element with `data-api` from the services; sends forms with `data-send` as JSON.
SCRIPT = """'use strict';
const show = (value) => typeof value === 'object' ? JSON.stringify(value) : String(value);
async function fill(place) {
  const answer = await fetch(place.dataset.api, {headers: {accept: 'application/json'}});
  const data = await answer.json();
  place.dataset.side = data.side;
  place.textContent = '';
  const rows = Array.isArray(data.items) ? data.items : Object.entries(data);
  for (const row of rows) {
    const line = place.appendChild(document.createElement('tr'));
    for (const value of Object.values(row)) {
      line.appendChild(document.createElement('td')).textContent = show(value);
    }
  }
}
async function send(event) {
  event.preventDefault();
  const form = event.target;
  const body = JSON.stringify(Object.fromEntries(new FormData(form)));
  const headers = {'content-type': 'application/json'};
  const answer = await fetch(form.dataset.send, {method: form.dataset.method || 'POST', headers, body});
  const data = await answer.json();
  form.querySelector('output').textContent = `${answer.status}: ${data.state || 'saved'} by ${data.side}`;
}
document.querySelectorAll('[data-api]').forEach((place) => fill(place).catch((error) => {
  place.textContent = `The services did not answer: ${error.message}`;
}));
document.querySelectorAll('[data-send]').forEach((form) => form.addEventListener('submit', send));
"""

_ACCENTS = {Side.PROD: "#1a5fa8", Side.SANDBOX: "#b3541e"}


def page(side: Side, title: str, body: str, *, status: int = 200) -> web.Response:
    """Return a whole page; `title` is text, `body` is HTML whose values were escaped by the caller."""
    html = _SHELL.substitute(side=side.value, label=side.label, accent=_ACCENTS[side], title=escape(title), body=body)
    return web.Response(text=html, content_type="text/html", status=status)


def foreign(side: Side, path: str) -> web.Response:
    """Return the small page for a path that this agency never had: replayed logs of other sites get a 200."""
    text = f"<!doctype html><title>{side.label}</title><p>{side.label} answered {escape(path[:200])}</p>\n"
    return web.Response(text=text, content_type="text/html")
