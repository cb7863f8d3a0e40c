"""Side-by-side measurements: every figure is a ratio against a named peer, taken in turns in one run.

`python -m bench` prints the table; `--write` puts it into docs/benchmarks.md; `--quick` is a short look.

  proxy     the rows about proxy workers: which side is measured against which, and the budget
  scene     the certificates, folders, origin and Redis that all sides of the proxy rows share
  estates   their estates, from one route to 50 routes with 20 credential rules
  peers     the sides as running processes: our worker, ours without policy, stock mitmdump
  rewrite   the mitmdump script that does the same rewrites (run by mitmdump, imported by nobody)
  lean      the program of our side: a worker under the full policy, or the same proxy without any
  origin    the program that stands in for the sandbox and tells whether a request came as it must
  redis     the program that runs their private Redis
  load      the program that sends: keep-alive connections in a closed loop, every answer checked
  child     starting such programs, talking to them by lines of JSON, and their end
  table     ratios, medians, the table as text and as Markdown
  machine   what the figures were taken on
"""
