"""The stand-in agency: the services that a drill protects (side prod) and plays with (side sandbox).

  side          which world an agency is in: prod or sandbox
  placing       host and path of a request -> the service that answers it (pure)
  portal        pages of the website (MFE): home, login, apply, plans, profile
  desk          a page that uses the services from another origin: CORS, WebSocket, events, upload
  services      JSON for the pages (SVC): profile, plans, status
  workflow      applications as a state machine (ACT)
  metrics       events and a dashboard, filed by environment (OPS)
  probes        answers that test a proxy: echo, stream, upload, slow, redirect, events, ws
  pages         the HTML around every page
  calls         one request on its way to a service, and what a service is
  people        who is logged in, and what their profile holds
  books         what a side received, down to the byte: the proof of silence
  tap           counts a connection's bytes below TLS and hands them on
  agency        runs all of it behind one origin, with the books on a port of their own
  certificates  a small certificate authority for tests and demo

Flow: connection -> tap -> (TLS) -> agency -> placing -> a service; every answer says its side.
`async with agency(side=Side.SANDBOX) as running:` in a program, `python -m sandbox` on a command line.
"""
