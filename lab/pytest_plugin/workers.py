"""How xdist hands out the items: those of one run stay together, all others go one by one or by group."""

from __future__ import annotations

from xdist.scheduler import LoadGroupScheduling


class ScenarioScheduling(LoadGroupScheduling):
    """Runs in the front; the ids are those that the workers collected."""

    def _split_scope(self, nodeid: str) -> str:
        path, *below = nodeid.split("::")
        if path.endswith((".yaml", ".yml")):
            # Below the file stand the runs of its matrix, if it has one, and then the expectations.
            return f"{path}::{below[0]}" if len(below) > 1 else path
        # Tests in Python among scenarios ask a machine that their module deploys once.
        return path if "scenarios" in path.split("/")[:-1] else str(super()._split_scope(nodeid))
