"""What is hooked into mitmproxy: each hook calls the switchboard, then edits the flow.

Flow of one request: `doors` accepts the connection and asks `entrance` who it is (refused, tunnelled unread,
or read) -> `reroute` decides in `requestheaders` and edits the request -> `dial` lets one checked and pinned
address be dialled -> `reroute` cleans the answer -> `witness` counts. `edge` knows what is in flight and
closes it when a client changes sides. Every hook runs through `chain`, which fails closed.

  chain     dispatches hooks; a fault denies what the hook was about, whatever it was
  current   the switch of this moment, and waiting for the next one
  doors     listening sockets (`regular@`, `steered@`) that processes can share
  handler   one connection: hooks that fail closed, its end, and not reading on while it holds too much
  entrance  who may come in, who is tunnelled unread, what protocol is read
  crowd     how many connections one client may have
  login     proxy logins
  reading   the HTTP layer, that an edge can make answer at once, and its `bounds` on what a client can make us hold
  reroute   verdict -> request and answer
  passage   what the hooks of one flow tell each other
  dial      the last gate before a socket: deny, resolve, check, pin, allow
  trust     TLS: our own CA towards clients, one trust per world towards servers
  edge      freeze, close and hold at both ends of a drill
  witness   counts what happened
"""
