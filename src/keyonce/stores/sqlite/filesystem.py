# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a path lies on a network file system, by the kernel's mount table.

SQLite's WAL needs shared memory and honest locks between all processes that
have the file open; network file systems give neither.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Final

MOUNT_TABLE: Final = Path("/proc/self/mountinfo")

NETWORK: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "9p",
        "afs",
        "coda",
        "glusterfs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "orangefs",
        "pvfs2",
        "ocfs2",
        "gfs2",
        "panfs",
        "davfs",
        "vboxsf",
        "prl_fs",
        "virtiofs",
    }
)
LOCAL_FUSE: Final = frozenset({"fuse.fuse-overlayfs"})

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def file_system_of(path: PurePath, table: str) -> str | None:
    """Say of which type the mount is that holds *path*, an absolute one."""
    best: tuple[int, str] | None = None
    for line in table.splitlines():
        mount = _mount_of(line)
        if mount is None or not path.is_relative_to(mount[0]):
            continue
        depth = len(PurePath(mount[0]).parts)
        if best is None or depth >= best[0]:  # a later mount covers an earlier one
            best = (depth, mount[1])
    return None if best is None else best[1]


def _mount_of(line: str) -> tuple[str, str] | None:
    left, dash, right = line.partition(" - ")
    point = left.split()[4:5]
    kind = right.split()[:1]
    if not dash or not point or not kind:
        return None
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), point[0]), kind[0]


def is_network(kind: str) -> bool:
    """Whether files of this type may be elsewhere; any other FUSE may be, too."""
    return kind in NETWORK or (kind.startswith("fuse.") and kind not in LOCAL_FUSE)


def read_mounts(table: Path) -> str | None:
    """Read the mount table, or None where the platform has none."""
    try:
        return table.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
