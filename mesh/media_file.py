"""Media on their way to a worker: a file in memory without a name, written once, then sealed, and never pickled.

Its path, given to WorkerPool.run, is good in the worker, too: the open file goes along. So a worker can open what it was
given, and nothing else that the service holds, as it could if it were let into /proc/<the service>/fd.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from types import TracebackType
from typing import NoReturn, Self

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
"""Nobody can change the bytes any more, this process included: what is decoded is what was hashed."""


class MediaPath(str):
    """Where a MediaFile can be opened; each opening has a position of its own."""

    descriptor: int
    sha256: str


class MediaFile:
    def __init__(self) -> None:
        self._descriptor = os.memfd_create("media", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @classmethod
    def of(cls, content: bytes) -> MediaFile:
        """These bytes as a sealed file."""
        media = cls()
        media.write(content)
        media.seal()
        return media

    def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            written = os.write(self._descriptor, rest)
            self._digest.update(rest[:written])
            self.size_bytes += written
            rest = rest[written:]

    def seal(self) -> None:
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, SEALS)

    @property
    def sha256(self) -> str:
        """Lower-case hexadecimal."""
        return self._digest.hexdigest()

    @property
    def path(self) -> MediaPath:
        if self._descriptor < 0:
            raise ValueError("this media file is closed")
        if fcntl.fcntl(self._descriptor, fcntl.F_GET_SEALS) != SEALS:
            raise ValueError("this media file is not sealed yet")
        path = MediaPath(f"/proc/{os.getpid()}/fd/{self._descriptor}")
        path.descriptor, path.sha256 = self._descriptor, self.sha256
        return path

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("media are never pickled: give WorkerPool.run the MediaFile's path")
