# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the kernel's mount table."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from keyonce.stores.sqlite.filesystem import file_system_of, is_network

TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:21 / /proc rw,nosuid shared:2 - proc proc rw
40 22 0:52 / /mnt/team rw shared:9 master:3 - nfs4 server:/team rw,vers=4.2
41 40 254:9 / /mnt/team/fast rw - xfs /dev/vdb rw
42 22 0:53 / /mnt/with\040space rw - cifs //server/share rw
43 22 0:54 / /over rw - ext4 /dev/vdc rw
44 22 0:55 / /over rw - fuse.sshfs me@host: rw
garbage
45 22 0:56 / /broken rw -
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/keyonce.db", "ext4"),
        ("/mnt/team/keyonce.db", "nfs4"),
        ("/mnt/teammate/keyonce.db", "ext4"),
        ("/mnt/team/fast/keyonce.db", "xfs"),
        ("/mnt/with space/keyonce.db", "cifs"),
        ("/over/keyonce.db", "fuse.sshfs"),
        ("/broken/keyonce.db", "ext4"),
    ],
)
def test_the_nearest_and_latest_mount_counts(path, kind):
    assert kind == file_system_of(PurePosixPath(path), TABLE)


def test_without_a_mount_nothing_is_known():
    assert file_system_of(PurePosixPath("/x/y"), "garbage\n") is None


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "glusterfs",
        "ceph",
        "lustre",
        "gpfs",
        "virtiofs",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.glusterfs",
        "fuse.whatever",
    ],
)
def test_files_that_may_be_elsewhere_are_refused(kind):
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuseblk", "apfs"]
)
def test_local_files_are_not(kind):
    assert not is_network(kind)
