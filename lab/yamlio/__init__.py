"""YAML the user wrote -> validated values, with every problem at its exact place."""

from lab.yamlio.models import (
    BadValue,
    Document,
    Model,
    as_document,
    json_schema,
    load_document,
    load_model,
    load_nodes,
    parse,
    parse_document,
)  # fmt: skip
from lab.yamlio.nodes import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Listing,
    Mapping,
    Node,
    Place,
    Scalar,
    did_you_mean,
    quoted,
    read_nodes,
)  # fmt: skip

__all__ = [
    "MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "BadValue", "Document", "Listing", "Mapping", "Model", "Node",
    "Place", "Scalar", "as_document", "did_you_mean", "json_schema", "load_document", "load_model",
    "load_nodes", "parse", "parse_document", "quoted", "read_nodes",
]  # fmt: skip
