"""UNC paths: a file server's share, which is the lab's site, spoken to over HTTP."""

from __future__ import annotations

import errno
import json
from typing import Any

from lab.guest import http, paths

#: Seconds of silence after which a server counts as gone.
SILENCE = 60.0


def is_unc(path: str) -> bool:
    return path.startswith("\\\\")


class Share:
    """A file or folder of a share. ``site``: the address that answers for every server."""

    def __init__(self, site: str, path: str) -> None:
        self._site = site
        self.path = path
        self._url = "/share/" + "/".join(paths.parts_of(path.lstrip("\\")))

    def put(self, source: str) -> None:
        """Write the local file ``source`` here. Raises OSError."""
        answer = http.put(self._site, self._url, source, timeout=SILENCE)
        b"".join(answer.body)
        if answer.status != 201:
            raise OSError(errno.EACCES, f"{self.path}: the server answered {answer.status}")

    def files(self) -> list[dict[str, Any]]:
        """The files below this folder: "name" relative with slashes, "size". Raises OSError."""
        answer = http.get(self._site, self._url, timeout=SILENCE)
        body = b"".join(answer.body)
        if answer.status != 200:
            raise NotADirectoryError(errno.ENOTDIR, f"{self.path}: the server answered {answer.status}")
        found: list[dict[str, Any]] = json.loads(body)["files"]
        return found

    def fetch(self, target: str) -> str:
        """Read this file into the local file ``target``; gives it back. Raises OSError."""
        answer = http.get(self._site, self._url, timeout=SILENCE)
        with open(target, "wb", buffering=1 << 20) as file:
            for chunk in answer.body:
                file.write(chunk)
        if answer.status != 200:
            raise FileNotFoundError(errno.ENOENT, f"{self.path}: the server answered {answer.status}")
        return target
