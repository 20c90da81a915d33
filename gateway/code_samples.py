"""Each route's example as a request in curl, Python and JavaScript, for the reference to show. The key comes from the environment."""

from __future__ import annotations

import json
import re
from typing import Final

from gateway.routes import JSON, Route

DEFAULT_BASE: Final = "http://127.0.0.1:8080"


def code_samples(route: Route, base_url: str, *, has_key: bool) -> list[dict[str, str]]:
    """As OpenAPI's extension x-codeSamples has them."""
    url = (base_url or DEFAULT_BASE) + re.sub(r"{(\w+)}", lambda part: part[1].upper(), route.path)
    body = route.example_request if JSON in route.bodies else None
    return [
        {"lang": "curl", "label": "curl", "source": _curl(route.method, url, has_key=has_key, body=body)},
        {"lang": "python", "label": "Python", "source": _python(route.method, url, has_key=has_key, body=body)},
        {"lang": "javascript", "label": "Node", "source": _node(route.method, url, has_key=has_key, body=body)},
    ]


def _curl(method: str, url: str, *, has_key: bool, body: object) -> str:
    lines = [f"curl {'' if method == 'GET' else f'-X {method} '}'{url}'"]
    if has_key:
        lines.append('-H "Authorization: Bearer $MEDIAMESH_API_KEY"')
    if body is not None:
        lines += [f"-H 'Content-Type: {JSON}'", f"-d '{json.dumps(body, indent=2)}'"]
    return " \\\n  ".join(lines)


def _python(method: str, url: str, *, has_key: bool, body: object) -> str:
    arguments = [f'"{url}"']
    if has_key:
        arguments.append('headers={"Authorization": f"Bearer {os.environ[\'MEDIAMESH_API_KEY\']}"}')
    if body is not None:
        arguments.append(f"json={_python_value(body)}")
    arguments.append("timeout=30")
    call = "".join(f"    {argument},\n" for argument in arguments)
    shown = "response.status_code" if method == "DELETE" else "response.json()"
    imports = "import os\n\nimport requests" if has_key else "import requests"
    return f"{imports}\n\nresponse = requests.{method.lower()}(\n{call})\nresponse.raise_for_status()\nprint({shown})"


def _python_value(body: object) -> str:
    text = json.dumps(body, indent=4).replace("\n", "\n    ")
    return re.sub(r"(?<=: )(true|false|null)\b", lambda word: {"true": "True", "false": "False", "null": "None"}[word[0]], text)


def _node(method: str, url: str, *, has_key: bool, body: object) -> str:
    options = [] if method == "GET" else [f'method: "{method}"']
    headers = ["Authorization: `Bearer ${process.env.MEDIAMESH_API_KEY}`"] if has_key else []
    if body is not None:
        headers.append(f'"Content-Type": "{JSON}"')
        options.append("body: JSON.stringify(" + json.dumps(body, indent=2).replace("\n", "\n  ") + ")")
    if headers:
        options.insert(-1 if body is not None else len(options), f"headers: {{ {', '.join(headers)} }}")
    lines = "".join(f"  {option},\n" for option in [*options, "signal: AbortSignal.timeout(30_000)"])
    shown = "response.status" if method == "DELETE" else "await response.json()"
    call = f'const response = await fetch("{url}", {{\n{lines}}});'
    return f"{call}\nif (!response.ok) throw new Error(await response.text());\nconsole.log({shown});"
