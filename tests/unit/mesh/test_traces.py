from __future__ import annotations

import pytest

from mesh import traces

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_trace_of_the_caller_goes_on_although_nothing_is_exported() -> None:
    with traces.serving("sample", {"traceparent": PARENT, "tracestate": "a=secret", "baggage": "b=secret"}), traces.working("step"):
        ((name, value),) = traces.outgoing()
        assert name == "traceparent"
        assert value.split("-")[1] == PARENT.split("-")[1]
    assert traces.outgoing() == ()
    assert traces.trace_id() == ""


@pytest.mark.parametrize("parent", ["", "nonsense", PARENT + "\r\nX-Forged: 1", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "a" * 10_000])
def test_what_is_no_trace_is_none(parent: str) -> None:
    with traces.serving("sample", {"traceparent": parent}):
        assert traces.outgoing() == ()
