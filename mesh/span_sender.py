"""Sends spans in the background. OpenTelemetry's own sender starts its thread anew in every forked child, and ours have to have one."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

_KEPT: Final = 4096
"""Spans that wait; more are dropped, and nobody waits for a collector."""
_AT_ONCE: Final = 512
_PAUSE_SECONDS: Final = 1.0
_END_SECONDS: Final = 3.0


class SpanSender(SpanProcessor):
    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._waiting: queue.Queue[ReadableSpan] = queue.Queue(_KEPT)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep_sending, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(span)

    def shutdown(self) -> None:
        self._is_over.set()
        self._thread.join(_END_SECONDS)
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _keep_sending(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while spans := self._take():
            self._exporter.export(spans)

    def _take(self) -> list[ReadableSpan]:
        spans: list[ReadableSpan] = []
        with contextlib.suppress(queue.Empty):
            while len(spans) < _AT_ONCE:
                spans.append(self._waiting.get_nowait())
        return spans
