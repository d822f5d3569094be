"""The code with which the machine refuses an effect: what a path, a tool or the kernel said."""

from __future__ import annotations

import errno

from lab.guest import paths
from lab.sequence.effects import Outcome

#: Win32 codes as HRESULTs.
FILE_NOT_FOUND = 0x80070002
PATH_NOT_FOUND = 0x80070003
ACCESS_DENIED = 0x80070005
DISK_FULL = 0x80070070
INVALID_NAME = 0x8007007B
FAILED = 0x80004005

_ERRNO = {
    errno.ENOENT: FILE_NOT_FOUND,
    errno.ENOTDIR: PATH_NOT_FOUND,
    errno.EACCES: ACCESS_DENIED,
    errno.EPERM: ACCESS_DENIED,
    errno.EROFS: 0x80070013,
    errno.ENOSPC: DISK_FULL,
    errno.EIO: 0x8007045D,
    **dict.fromkeys((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT), 0x80070035),
}


def refusal(error: Exception) -> Outcome:
    """The outcome of an effect that the machine refused."""
    if isinstance(error, paths.NoDrive):
        code = PATH_NOT_FOUND
    elif isinstance(error, paths.PathError):
        code = INVALID_NAME
    else:
        code = _ERRNO.get(getattr(error, "errno", None) or 0, FAILED)
    return Outcome(code, message=str(error))
