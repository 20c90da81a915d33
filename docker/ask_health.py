"""python docker/ask_health.py SERVICE PORT: ends with status 0 once the service on this port of loopback says that it serves."""

from __future__ import annotations

import sys
import time
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PATIENCE_SECONDS = 300.0


def is_serving(service: str, port: int) -> bool:
    if service == "gateway":
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_serving(sys.argv[1], int(sys.argv[2])):
        if time.monotonic() > end:
            sys.exit(1)
        time.sleep(0.2)
