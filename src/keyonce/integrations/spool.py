# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies that stay in memory while small and spill to a file when large."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from keyonce.core.errors import IdempotencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

KIB: Final = 1024
SPILL_AT: Final = 256 * KIB
PIECE: Final = 64 * KIB
MOST_SPILLED: Final = 8 * KIB * KIB * KIB


class SpillFull(IdempotencyError):
    """All spill files together have reached their cap."""


class SpillSpace:
    """Where large bodies go, and how much of them there may be at once.

    Files have no name, so that a killed process leaves none behind.
    """

    def __init__(
        self, folder: Path | None = None, *, most_bytes: int = MOST_SPILLED
    ) -> None:
        """Spill into *folder*, by default one that is not kept in memory."""
        self._folder = folder or _disk_folder()
        self._most_bytes = most_bytes
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """How many bytes are spilled now."""
        return self._used

    def take(self, size: int) -> None:
        """Reserve *size* bytes.

        Raises:
            SpillFull: that would go over the cap.
        """
        with self._lock:
            if self._used + size > self._most_bytes:
                message = "The spill files have reached their cap."
                raise SpillFull(message)
            self._used += size

    def give_back(self, size: int) -> None:
        """Return *size* reserved bytes."""
        with self._lock:
            self._used -= size

    def file(self) -> IO[bytes]:
        """Open a nameless file."""
        return tempfile.TemporaryFile(dir=self._folder, buffering=0)


def _disk_folder() -> Path:
    # The usual temporary folder is often kept in memory, this one never is.
    lasting = Path("/var/tmp")  # noqa: S108 - files are nameless
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())


class Spool:
    """One body, appended to, then read as often as wanted. A Body."""

    __slots__ = ("_file", "_pieces", "_size", "_space", "_taken")

    def __init__(self, space: SpillSpace) -> None:
        """Begin empty, in memory."""
        self._space = space
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._size = 0
        self._taken = 0

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._size

    @property
    def spilled(self) -> bool:
        """Whether the bytes are in a file."""
        return self._file is not None

    def write(self, piece: bytes) -> None:
        """Append *piece*.

        Raises:
            SpillFull: the spill space has no room.
            OSError: the file cannot be written.
        """
        if self._file is None and self._size + len(piece) <= SPILL_AT:
            self._pieces.append(piece)
            self._size += len(piece)
            return
        self._spill(piece)

    def _spill(self, piece: bytes) -> None:
        pieces = [*self._pieces, piece]
        for part in pieces:
            self._space.take(len(part))
            self._taken += len(part)
            if self._file is None:
                self._file = self._space.file()
            _write_all(self._file, part)
        self._size += len(piece)
        self._pieces.clear()

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes in pieces, from the start, each time anew."""
        if self._file is None:
            yield from self._pieces
            return
        at = 0
        while at < self._size:
            self._file.seek(at)
            piece = self._file.read(PIECE)
            if not piece:
                message = "A spill file is shorter than what was written to it."
                raise OSError(message)
            at += len(piece)
            yield piece

    def read(self) -> bytes:
        """Give all the bytes at once, which brings a spilled body into memory."""
        if self._file is None:
            if len(self._pieces) != 1:
                self._pieces = [b"".join(self._pieces)]
            return self._pieces[0]
        return b"".join(self.chunks())

    def close(self) -> None:
        """Forget the bytes and give their space back. Closing twice is fine."""
        self._pieces.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._space.give_back(self._taken)
        self._taken = self._size = 0


def _write_all(file: IO[bytes], part: bytes) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[file.write(rest) :]
