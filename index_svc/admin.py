"""`python -m index_svc.admin`: projects, keys, plans and versions from the command line, against the running mesh."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from index_svc.admin_plans import add_plan_commands, id_of
from index_svc.admin_versions import add_version_commands
from index_svc.keys import SCOPES
from index_svc.settings import Settings
from mesh import client
from mesh.errors import MeshError
from mesh.settings import InvalidSettings, exit_on_invalid, read_settings
from protos import index_pb2, index_pb2_grpc

_FIRST_PROJECT: Final = "default"
_FIRST_PLAN: Final = "unlimited"
"""Whose machine it is decides itself."""
_DEFAULT: Final = "default"
_SWITCHES: Final = ("store_media", "decision_log")
_NUMBERS: Final = ("media_days", "image_threshold", "audio_threshold", "video_threshold", "strong_coverage", "decision_days")

Command = Callable[[Any, argparse.Namespace], Awaitable[None]]


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(Settings)
    except InvalidSettings as problem:
        exit_on_invalid(problem)
    try:
        asyncio.run(_run(settings, options))
    except MeshError as error:
        why = "the mesh is not running on this DATA_DIR (start it with make run)" if error.code == "not_available" else error.message
        sys.exit(f"{error.code}: {why}")


async def _run(settings: Settings, options: argparse.Namespace) -> None:
    async with client.open_channel(settings, settings.index_address) as channel:
        await options.command(channel, options)


async def _first_key(stub: Any, options: argparse.Namespace) -> None:
    """A key with every scope for the first project, which is made where there is none."""
    projects = (await client.ask(stub.ListProjects, index_pb2.ListProjectsRequest())).projects
    if projects:
        project = projects[0]
    else:
        project = (await client.ask(stub.CreateProject, index_pb2.CreateProjectRequest(name=_FIRST_PROJECT, plan=_FIRST_PLAN))).project
    request = index_pb2.CreateKeyRequest(project_id=project.id, name=options.name, scopes=SCOPES)
    made = await client.ask(stub.CreateKey, request)
    print(f"A key with every scope for the project {project.name} ({project.id}); it is shown this once:")
    print(made.secret)


async def _projects(stub: Any, options: argparse.Namespace) -> None:
    for project in (await client.ask(stub.ListProjects, index_pb2.ListProjectsRequest())).projects:
        print(f"{project.id}  {project.plan:10}  {_day(project.created_at)}  {project.name}")


async def _create_project(stub: Any, options: argparse.Namespace) -> None:
    made = await client.ask(stub.CreateProject, index_pb2.CreateProjectRequest(name=options.name, plan=options.plan))
    print(made.project.id)


async def _settings(stub: Any, options: argparse.Namespace) -> None:
    """Those that are named are set, `default` unsets one; all of them are printed."""
    projects = (await client.ask(stub.ListProjects, index_pb2.ListProjectsRequest())).projects
    settings = next((project.settings for project in projects if project.id == options.project), index_pb2.ProjectSettings())
    changed = {name: value for name in (*_SWITCHES, *_NUMBERS) if (value := getattr(options, name)) is not None}
    for name, value in changed.items():
        settings.ClearField(name)
        if value != _DEFAULT:
            setattr(settings, name, value)
    if changed:
        request = index_pb2.UpdateProjectRequest(project_id=options.project, settings=settings)
        settings = (await client.ask(stub.UpdateProject, request)).project.settings
    for name in _SWITCHES:
        print(f"{name.replace('_', '-')} {'on' if getattr(settings, name) else 'off'}")
    for name in _NUMBERS:
        value = f"{getattr(settings, name):g}" if settings.HasField(name) else _DEFAULT
        print(f"{name.replace('_', '-')} {value}")


async def _keys(stub: Any, options: argparse.Namespace) -> None:
    for key in (await client.ask(stub.ListKeys, index_pb2.ListKeysRequest(project_id=options.project))).keys:
        is_over = key.HasField("expires_at") and key.expires_at <= time.time()
        state = "revoked" if key.HasField("revoked_at") else "expired" if is_over else "valid"
        used = f"last used {_day(key.last_used_at)}" if key.HasField("last_used_at") else "never used"
        ends = f"  ends {_day(key.expires_at)}" if key.HasField("expires_at") else ""
        rate = f"  {key.requests_per_second} a second" if key.HasField("requests_per_second") else ""
        print(f"{key.prefix}…  {state:7}  {used}{ends}{rate}  {key.name}  [{' '.join(key.scopes)}]")


async def _create_key(stub: Any, options: argparse.Namespace) -> None:
    request = index_pb2.CreateKeyRequest(project_id=options.project, name=options.name, scopes=options.scopes)
    if options.days:
        request.expires_at = time.time() + options.days * 86400
    print((await client.ask(stub.CreateKey, request)).secret)


async def _rotate_key(stub: Any, options: argparse.Namespace) -> None:
    request = index_pb2.RotateKeyRequest(
        project_id=options.project, key_id=id_of(options.key), overlap_seconds=options.overlap_hours * 3600
    )
    print((await client.ask(stub.RotateKey, request)).secret)


async def _revoke_key(stub: Any, options: argparse.Namespace) -> None:
    await client.ask(stub.RevokeKey, index_pb2.RevokeKeyRequest(project_id=options.project, key_id=id_of(options.key)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m index_svc.admin", description="Projects, keys and plans of the running mesh.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add_on_channel(name: str, command: Command, text: str, *, in_project: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        if in_project:
            added.add_argument("project", help="the project's id")
        return added

    def add(name: str, command: Command, text: str, *, in_project: bool = True) -> argparse.ArgumentParser:
        return add_on_channel(
            name, lambda channel, options: command(index_pb2_grpc.IndexServiceStub(channel), options), text, in_project=in_project
        )

    add("key", _first_key, "print a key with every scope; make a first project where there is none", in_project=False).add_argument(
        "--name", default="first key"
    )
    add("projects", _projects, "list the projects", in_project=False)
    project = add("create-project", _create_project, "make a project and print its id", in_project=False)
    project.add_argument("name")
    project.add_argument("--plan", default="", help="free where none is given")
    settings = add("settings", _settings, "print what a project sets for itself; with options, set it")
    settings.add_argument("--store-media", type=_switch, help="on or off: uploaded bytes stay once their asset is ready")
    settings.add_argument("--media-days", type=_number(int), help="how long; default: as long as their asset")
    for medium in ("image", "audio", "video"):
        settings.add_argument(f"--{medium}-threshold", type=_number(float), help="the score from which on an asset is a hit, or default")
    settings.add_argument("--strong-coverage", type=_number(float), help="of a film, for a strong hit, or default")
    settings.add_argument("--decision-log", type=_switch, help="on or off: what pairs and searches with its keys were answered is kept")
    settings.add_argument("--decision-days", type=_number(int), help="how long; default: for good")
    add("keys", _keys, "list a project's keys")
    key = add("create-key", _create_key, "make a key and print it, this once")
    key.add_argument("name")
    key.add_argument("scopes", nargs="*", metavar="scope", help=" ".join(SCOPES))
    key.add_argument("--days", type=float, default=0.0, help="it ends after so many; 0: never")
    rotate = add("rotate-key", _rotate_key, "print a new key in the place of one, which works on for a while")
    rotate.add_argument("key", help="its id or prefix")
    rotate.add_argument("--overlap-hours", type=float, default=24.0)
    add("revoke-key", _revoke_key, "end a key, everywhere within seconds").add_argument("key", help="its id or prefix")
    add_plan_commands(add_on_channel)
    add_version_commands(add_on_channel)
    return parser


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError("on or off")
    return text == "on"


def _number(kind: type[int] | type[float]) -> Callable[[str], float | str]:
    def read(text: str) -> float | str:
        return text if text == _DEFAULT else kind(text)

    return read


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


if __name__ == "__main__":
    main()
