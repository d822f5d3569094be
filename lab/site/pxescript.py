"""The iPXE script that answers a card: the templates of the configuration, chosen by the decision. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.site.pxe import CLIENT_SYSTEMS, PxeDecision

#: Stands in the templates of "abort" and "ignore" for why.
REASON = "{reason}"
#: What could mean something else in a script is shown as another character: braces expand settings.
_STRANGE = re.compile(r"[^A-Za-z0-9 .,:'()_/=+-]")
_LONGEST = 400


def script(scripts: Mapping[str, Any], decision: PxeDecision, client_system: int) -> str:
    """``scripts``: {"boot": {package: {"uefi", "bios"}}, "prompt", "abort", "ignore"}.

    A required deployment is started at once, an available one behind the prompt. A boot image that the lab
    has no files of cannot be started: the card leaves, and says so.
    """
    if decision.action != "boot":
        return _left(scripts, decision.action, "; ".join(decision.reasons))
    images = {package.casefold(): texts for package, texts in scripts["boot"].items()}
    texts = images.get(decision.boot_image.casefold())
    if texts is None:
        return _left(scripts, "abort", f"the lab has no files of boot image {decision.boot_image}")
    firmware, _ = CLIENT_SYSTEMS[client_system]
    text: str = texts[firmware]
    return text if decision.mandatory else scripts["prompt"] + text


def _left(scripts: Mapping[str, Any], action: str, reason: str) -> str:
    text: str = scripts[action]
    return text.replace(REASON, _STRANGE.sub(",", reason).replace(", ,", ",")[:_LONGEST])
