"""One strict reading of a URL, refusing whatever two parsers could read differently.

Invariant: what comes out is plain ASCII with exactly one scheme, host and port in it, and yarl, which dials, reads the same three.
Nothing is ever stripped, folded or repaired, except that a host name is lower-cased and mapped to ASCII (UTS 46).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

import idna
from yarl import URL

from fetcher_svc.address_policy import Address
from mesh.errors import InvalidUrl

MAX_URL_CHARACTERS: Final = 2048
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_URL: Final = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?", re.ASCII | re.IGNORECASE
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:]+\]|[^\[\]:@%\\]+)(?::(?P<port>[1-9][0-9]{0,4}))?", re.ASCII | re.IGNORECASE)
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LAST_LABEL: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
"""No top-level domain starts with a digit; what does, such as 0x7f, is a number to some resolver."""

_UNSAFE: Final = frozenset(' "<>\\`{}')
"""Not in RFC 3986; parsers disagree on what they end."""
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zs", "Zl", "Zp"})
"""Controls, surrogates, and every kind of space: parsers strip some of them silently."""

RESERVED_SUFFIXES: Final = (
    # RFC 6761, 6762, 7686, 8375, 9476
    "localhost", "local", "onion", "home.arpa", "alt",
    # not delegated, and in use inside: ICANN's collision list, cloud providers, Kubernetes
    "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "svc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be fetched. `host` has no brackets; `address` is there where the host is one itself."""

    scheme: str
    host: str
    port: int
    address: Address | None
    url: URL


def parse_url(text: str, allowed_names: frozenset[str] = frozenset()) -> Target:
    """The target; raises InvalidUrl and nothing else. The rules on names do not hold for the operator's own."""
    try:
        return _parse(text, allowed_names)
    except (ValueError, TypeError) as problem:
        raise InvalidUrl("is not a reachable http(s) URL") from problem


def _parse(text: str, allowed_names: frozenset[str]) -> Target:
    if len(text) > MAX_URL_CHARACTERS:
        raise InvalidUrl(f"is {len(text)} characters long; a URL may have {MAX_URL_CHARACTERS}")
    if any(character in _UNSAFE or unicodedata.category(character) in _UNSAFE_CATEGORIES for character in text):
        raise InvalidUrl("is not a reachable http(s) URL: it holds a space, a control or another character that no URL may hold")
    parts = _URL.fullmatch(text)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in DEFAULT_PORTS:
        raise InvalidUrl("is not a reachable http(s) URL: it must start with http:// or https://")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise InvalidUrl("is not a reachable http(s) URL: after the scheme only a host and a port may stand")
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    if port > 65535:
        raise InvalidUrl("is not a reachable http(s) URL: there is no such port")
    host, address = _read_host(authority["host"], allowed_names)
    return _agreed(scheme, host, port, address, (parts["path"] or "/") + (parts["query"] or ""))


def _read_host(text: str, allowed_names: frozenset[str]) -> tuple[str, Address | None]:
    if text.startswith("["):
        address: Address = IPv6Address(text[1:-1])
        return str(address), address
    if text.isascii():
        try:
            address = IPv4Address(text)
        except ValueError:
            pass
        else:
            return str(address), address
    name = _to_ascii(text)
    if name not in allowed_names:
        _check_name(name)
    return name, None


def _to_ascii(text: str) -> str:
    if text.isascii():
        # Not through idna: it refuses hyphens in third and fourth place, which real names have.
        name = text.lower()
    else:
        if any(unicodedata.category(character)[0] == "C" for character in text):
            raise InvalidUrl("is not a reachable http(s) URL: its host name holds an invisible character")
        name = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    return name.removesuffix(".")


def _check_name(name: str) -> None:
    labels = name.split(".")
    if len(name) > 253 or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or not _LAST_LABEL.fullmatch(labels[-1]):
        raise InvalidUrl("is not a reachable http(s) URL: its host is not a full public host name")
    if any(name == suffix or name.endswith(f".{suffix}") for suffix in RESERVED_SUFFIXES):
        raise InvalidUrl("points at a private or local host name")


def _agreed(scheme: str, host: str, port: int, address: Address | None, path: str) -> Target:
    """Only what is not ASCII is escaped: what the origin signed stays as it was written."""
    shown = f"[{host}]" if isinstance(address, IPv6Address) else host
    shown_port = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    url = URL(f"{scheme}://{shown}{shown_port}{quote(path, safe=_ASCII)}", encoded=True)
    if (url.scheme, url.raw_host, url.port) != (scheme, host, port) or url.user is not None or url.password is not None:
        raise InvalidUrl()
    return Target(scheme, host, port, address, url)


_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))
