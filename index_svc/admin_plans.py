"""The admin commands about plans: what there is, what a project is on, what it has used, a key's own rate."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import grpc

from index_svc.plans import FEATURES
from mesh import client
from mesh.errors import NotFound
from protos import usage_pb2, usage_pb2_grpc

_NUMBERS: Final = {
    "ready-images": ("max_ready_images", "images that may be ready at once"),
    "ready-videos": ("max_ready_videos", "videos that may be ready at once"),
    "ready-audio": ("max_ready_audio", "sounds that may be ready at once"),
    "search-bytes": ("max_search_bytes", "bytes that searches may download a month"),
    "searches": ("max_searches", "searches a month"),
    "calls": ("max_calls", "calls of the pair endpoints a month"),
    "requests-per-second": ("requests_per_second", "requests that a key may make a second"),
}
_NONE: Final = "none"


def add_plan_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """`add` takes a name, a coroutine function and a text."""
    add("plans", _on(_plans), "list the plans", in_project=False)
    _add_plan_options(add("create-plan", _on(_create_plan), "make a plan; without limits but for those given", in_project=False))
    _add_plan_options(add("change-plan", _on(_change_plan), "change what is given, for every project on the plan", in_project=False))
    add("set-plan", _on(_set_plan), "put the project on a plan, within seconds").add_argument("plan")
    rate = add("set-key-rate", _on(_set_key_rate), "give a key a rate of its own, or its plan's again")
    rate.add_argument("key", help="its id or prefix")
    rate.add_argument("requests_per_second", type=_number, help=f"a number, or {_NONE}: the plan's")
    rate.add_argument("--burst-seconds", type=int, default=1, help="how many seconds' worth may come at once")
    add("usage", _on(_usage), "print what the project has used this month")


def id_of(key: str) -> str:
    """A key's id, from the id itself or from what is shown of the key."""
    return key.strip().rstrip("…").removeprefix("mm_live_")[:12]


def _on(command: Callable[[Any, argparse.Namespace], Any]) -> Callable[[grpc.aio.Channel, argparse.Namespace], Any]:
    return lambda channel, options: command(usage_pb2_grpc.UsageServiceStub(channel), options)


async def _plans(stub: Any, options: argparse.Namespace) -> None:
    for plan in (await client.ask(stub.ListPlans, usage_pb2.ListPlansRequest())).plans:
        print(plan.name)
        print(f"    features             {' '.join(plan.features) or _NONE}")
        for option, (field, _) in _NUMBERS.items():
            print(f"    {option:20} {getattr(plan, field) if plan.HasField(field) else _NONE}")
        print(f"    search-soft-factor   {plan.search_soft_factor:g}\n    burst-seconds        {plan.burst_seconds}")


async def _create_plan(stub: Any, options: argparse.Namespace) -> None:
    plan = _changed(usage_pb2.Plan(name=options.name, features=FEATURES), options)
    await client.ask(stub.CreatePlan, usage_pb2.CreatePlanRequest(plan=plan))


async def _change_plan(stub: Any, options: argparse.Namespace) -> None:
    plans = (await client.ask(stub.ListPlans, usage_pb2.ListPlansRequest())).plans
    plan = next((plan for plan in plans if plan.name == options.name), None)
    if plan is None:
        raise NotFound("there is no plan of that name")
    await client.ask(stub.ReplacePlan, usage_pb2.ReplacePlanRequest(plan=_changed(plan, options)))


async def _set_plan(stub: Any, options: argparse.Namespace) -> None:
    await client.ask(stub.SetProjectPlan, usage_pb2.SetProjectPlanRequest(project_id=options.project, plan=options.plan))


async def _set_key_rate(stub: Any, options: argparse.Namespace) -> None:
    rate = None if options.requests_per_second == _NONE else options.requests_per_second
    request = usage_pb2.SetKeyRateRequest(
        project_id=options.project, key_id=id_of(options.key), requests_per_second=rate, burst_seconds=options.burst_seconds
    )
    await client.ask(stub.SetKeyRate, request)


async def _usage(stub: Any, options: argparse.Namespace) -> None:
    usage = await client.ask(stub.GetUsage, usage_pb2.GetUsageRequest(project_id=options.project))
    print(f"{datetime.fromtimestamp(usage.period_start, UTC):%Y-%m}  plan {usage.plan.name}")
    for quota in usage.quotas:
        print(f"{quota.policy:14} {quota.used:>14,} of {f'{quota.limit:,}' if quota.HasField('limit') else 'no limit'}")


def _add_plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("--features", nargs="*", choices=FEATURES, metavar="feature", help=" ".join(FEATURES))
    for option, (_, text) in _NUMBERS.items():
        parser.add_argument(f"--{option}", type=_number, help=f"{text}; {_NONE}: no limit")
    parser.add_argument("--search-soft-factor", type=float, help="searches are refused only from so many times their number on")
    parser.add_argument("--burst-seconds", type=int, help="how many seconds' worth of requests may come at once")


def _changed(plan: usage_pb2.Plan, options: argparse.Namespace) -> usage_pb2.Plan:
    if options.features is not None:
        plan.features[:] = options.features
    for option, (field, _) in _NUMBERS.items():
        value = getattr(options, option.replace("-", "_"))
        if value == _NONE:
            plan.ClearField(field)
        elif value is not None:
            setattr(plan, field, value)
    if options.search_soft_factor is not None:
        plan.search_soft_factor = options.search_soft_factor
    if options.burst_seconds is not None:
        plan.burst_seconds = options.burst_seconds
    return plan


def _number(text: str) -> int | str:
    if text == _NONE:
        return _NONE
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number
