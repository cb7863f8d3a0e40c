from __future__ import annotations

import platform

from bench.machine import cores, describe


def test_the_facts_name_neither_the_machine_nor_a_path() -> None:
    facts = describe(["mitmproxy", "no-such-package"])
    assert list(facts) == ["cores", "processor", "kernel", "Python", "mitmproxy", "no-such-package"]
    assert facts["no-such-package"] == "absent"
    assert not any("/" in value or platform.node() in value.split() for value in facts.values())
    assert cores() >= 1
