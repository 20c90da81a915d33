from __future__ import annotations

import json
import logging

import pytest

from mesh import call, log, traces

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])


@pytest.mark.usefixtures("records")
async def test_line_is_json_with_the_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("image", "json", "info")
    call.begin("abc", None)
    logging.getLogger("sample").warning("it %s", "happened", extra={"code": "ok", "milliseconds": 1.5})
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "service": "image",
        "message": "it happened",
        "request_id": "abc",
        "code": "ok",
        "milliseconds": 1.5,
    }


@pytest.mark.usefixtures("records")
async def test_line_carries_the_trace_that_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("image", "json", "info")
    with traces.serving("sample", {"traceparent": PARENT}):
        logging.getLogger("sample").info("within")
    logging.getLogger("sample").info("outside")
    within, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert within["trace_id"] == PARENT.split("-")[1]
    assert "trace_id" not in outside


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_came_from_outside_cannot_start_a_line(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("image", log_format, "info")
    logging.getLogger("sample").info("got %s", 'a\r\n{"level":"error"}\x1b[2J', extra={"host": "b\nc"})
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


@pytest.mark.usefixtures("records")
def test_exception_is_logged_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("image", "json", "info")
    try:
        raise ValueError("inner")
    except ValueError:
        logging.getLogger("sample").exception("uncaught")
    assert "ValueError: inner" in json.loads(capsys.readouterr().err)["exception"]
