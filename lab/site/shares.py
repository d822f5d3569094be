"""The file servers that sequences name: what machines write there stands in the run's folder.

Every server name is answered (``\\\\server\\share\\..`` is ``/share/server/share/..``), nobody is asked for
an account, and names ignore case, as on Windows. A folder's answer is a JSON list of the files below it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

#: A share's name and a server's come first.
_LEAST = 3
#: Bytes that stay free on the host's disk, whatever a machine writes.
RESERVE = 512 << 20
#: What the system says of a name that no file here can have.
_NAMES = (errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR, errno.ENOTEMPTY, errno.EILSEQ)


class Shares:
    """Serves what is below ``folder``, which is made with the first file."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    async def answer(self, request: Request, names: Sequence[str]) -> Response:
        """GET and HEAD of a file or folder, PUT of a file."""
        try:
            return await self._answer(request, names)
        except OSError as error:  # a name that no file here can have
            return PlainTextResponse(f"{error.strerror}\n", 400)

    async def _answer(self, request: Request, names: Sequence[str]) -> Response:
        if request.method == "PUT":
            return await self._put(request, names)
        path = self._place(names)
        if path.is_dir():
            files = (item for item in path.rglob("*") if item.is_file())
            listed = [{"name": str(item.relative_to(path)), "size": item.stat().st_size} for item in files]
            return JSONResponse({"files": sorted(listed, key=lambda item: str(item["name"]))})
        if not path.is_file():
            return PlainTextResponse("not found\n", 404)
        return FileResponse(path, media_type="application/octet-stream")

    async def _put(self, request: Request, names: Sequence[str]) -> Response:
        if len(names) < _LEAST:
            return PlainTextResponse("a file has a server, a share and a name\n", 400)
        path = self._place(names)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        except OSError as error:
            return PlainTextResponse(f"{error.strerror}\n", 409)
        try:
            with os.fdopen(handle, "wb") as file:
                async for chunk in request.stream():
                    if _free(handle) < RESERVE + len(chunk):
                        raise OSError(errno.ENOSPC, "the lab's own disk is full")
                    file.write(chunk)
            os.chmod(part, 0o644)
            os.replace(part, path)
        except OSError as error:
            status = 400 if error.errno in _NAMES else 507
            return PlainTextResponse(f"{error.strerror}\n", status)
        finally:
            if os.path.exists(part):
                os.unlink(part)
        return PlainTextResponse("created\n", 201)

    def _place(self, names: Sequence[str]) -> Path:
        """The path of plain names below the folder, with the spelling of what is there already."""
        path = self._folder
        for name in names:
            wanted = name.casefold()
            found = [item.name for item in path.iterdir()] if path.is_dir() else []
            path = path / next((item for item in found if item.casefold() == wanted), name)
        return path


def _free(handle: int) -> int:
    """Bytes that are free where an open file is."""
    status = os.fstatvfs(handle)
    return status.f_bavail * status.f_frsize
