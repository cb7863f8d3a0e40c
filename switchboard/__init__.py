"""The switchboard: one brain that decides where a client's traffic goes, and the servers that obey it.

Pure modules (no I/O, no clock, no entropy):
  errors      whose fault an error is, with its HTTP status and exit code
  estate      `switchboard.yml` as frozen values: production, cohorts, targets, listeners
  scenario    one file of `scenarios/` as a frozen value
  authority   host names and ports as clients write them -> one certain form, or a reason why not
  pathname    request targets: prefix comparison and what makes a path ambiguous
  drill       phases of a drill as a table, and the document that Redis holds
  switch      estate and drills compiled once per epoch
  policy      `decide(ask, switch)` for each request
  dialing     whether a resolved address may be dialled
  headers     which header fields cross from one world to the other, and which never do
  scorecard   counters and histograms -> the scorecard object

Edge modules (each the only one to touch its library):
  settings    command-line options, environment, state folder
  store       Redis: switch, nodes, score, tokens
  redis_server  a private redis-server when none is given
  admin       HTTP API and console (aiohttp)
  client      HTTP client of that API, used by the command line
  proxy       a proxy worker: mitmproxy embedded, with the chain of `addons`

Flow: file -> estate -> compile_switch -> decide -> an addon, the shim or the generator performs the verdict.
"""

__version__ = "0.1.0"
