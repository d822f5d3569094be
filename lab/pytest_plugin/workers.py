"""How xdist hands out the items: those of a YAML file stay together, all others go one by one or by group."""

from __future__ import annotations

from xdist.scheduler import LoadGroupScheduling


class ScenarioScheduling(LoadGroupScheduling):
    """Runs in the front; the ids are those that the workers collected."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.endswith((".yaml", ".yml")) else super()._split_scope(nodeid)
