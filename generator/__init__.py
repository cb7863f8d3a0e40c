"""The traffic generator: recorded or synthetic users, at their own pace, into the sandbox and nowhere else.

Pure modules (no I/O, no clock, no entropy; `draw` is a function that returns a number in [0, 1)):
  entry       a recorded request, why a line is none, and a visit: an entry with its user and its time
  readers     lines of Apache and nginx logs -> entries; which format a file has
  events      JSON events -> entries
  reorder     a bounded window that puts entries back into the order of their stamps
  pacing      stamps -> instants on one clock; events of one second spread within it
  sessions    which users a recorded client stands for, so that a drill has as many as it asks for
  replay      the chain of the four above, with every line accounted for
  visitors    synthetic users drawn from a profile
  request     what of a visit goes on the wire: the question to the policy, cleaned target and headers
  outcome     what became of a visit, in three instants

Edge modules:
  source      files, folders and globs, plain or gzip -> lines -> entries, several files merged by time
  alarm       waiting for an instant with less than a millisecond of error
  wire        the HTTP client, which dials only addresses that were checked
  run         `play`: one scenario for one drill
  node        `serve`: the process that follows the switch and plays what runs
  enrollment  writes the bundled log `scenarios/logs/enrollment_day.log.gz`

Accounting, for every drill: read + repeated == sent + the sum of skipped:REASON (`repeated` are the extra visits
made where clients are multiplied to reach `users`), and sent == requests + cut (still on the way at a stop).
"""
