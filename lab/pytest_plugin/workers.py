"""How xdist hands out the items: those of a file of scenarios stay together, all others go as they came."""

from __future__ import annotations

from xdist.scheduler import LoadGroupScheduling


class ScenarioScheduling(LoadGroupScheduling):
    """Runs in the front; the ids are those that the workers collected."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        # Tests in Python among scenarios ask a machine that their module deploys once.
        together = path.endswith((".yaml", ".yml")) or "scenarios" in path.split("/")[:-1]
        return path if together else super()._split_scope(nodeid)
