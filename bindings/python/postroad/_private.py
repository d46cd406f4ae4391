"""Files of mail and addresses are for their owner alone, as a queue is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Union


def make_private(path: Union[str, os.PathLike[str]]) -> None:
    """Makes the file unless it is there; one that is stays as it is."""
    # One that is there is not opened: closing it would end the locks that this process has on it (POSIX fcntl).
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def write_private(path: Path, octets: bytes) -> None:
    """As Path.write_bytes()."""
    make_private(path)
    path.write_bytes(octets)
