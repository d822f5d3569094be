"""A tree of ``xmltree`` back to XML, and to and from JSON.

Engine room: pure. What was read is written so that its canonical form is the same; always as UTF-8, because
that is what a declaration left out means. JSON form of a node: text is a string, everything else an object:
``{"tag", "attributes", "content"}``, ``{"cdata"}``, ``{"comment"}``, ``{"instruction": [target, data]}``.
"""

from __future__ import annotations

import re
from typing import Any

from lab.errors import InputError, Problem
from lab.sequence.xmltree import (
    MAX_DEPTH,
    CData,
    Comment,
    Document,
    Element,
    Instruction,
    Node,
    read_document,
)

FORMAT = "osdlab task sequence document"
VERSION = 1

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;", "\n": "&#xA;", "\t": "&#x9;"}
)
_NAME = re.compile(r"[^\W\d][\w.:-]*")


def write_document(document: Document) -> bytes:
    """The document as UTF-8."""
    out: list[str] = []
    if document.declaration is not None:
        version, encoding, standalone = document.declaration
        out.append(f'<?xml version="{version}"')
        out.append(' encoding="utf-8"' if encoding else "")
        out.append("" if standalone < 0 else f' standalone="{"yes" if standalone else "no"}"')
        out.append("?>\n")
    before, after = document.outside
    for node in before:
        _write(node, out)
        out.append("\n")
    _write(document.root, out)
    for node in after:
        out.append("\n")
        _write(node, out)
    out.append("\n")
    text = "".join(out)
    if document.newline != "\n":
        text = text.replace("\n", document.newline)
    return text.encode("utf-8")


def _write(node: Node, out: list[str]) -> None:
    if isinstance(node, Element):
        out.append(f"<{node.tag}")
        for name, value in node.attributes.items():
            out.append(f' {name}="{value.translate(_ATTRIBUTE)}"')
        if not node.content:
            out.append("/>")
            return
        out.append(">")
        for child in node.content:
            _write(child, out)
        out.append(f"</{node.tag}>")
    elif isinstance(node, CData):
        out.append("<![CDATA[" + node.replace("]]>", "]]]]><![CDATA[>") + "]]>")
    elif isinstance(node, Comment):
        out.append(f"<!--{node}-->")
    elif isinstance(node, Instruction):
        out.append(f"<?{node.target}{' ' if node.data else ''}{node.data}?>")
    else:
        out.append(node.translate(_TEXT))


def document_to_json(document: Document) -> dict[str, Any]:
    """The document as JSON values, with everything in it."""
    before, after = document.outside
    return {
        "format": FORMAT,
        "version": VERSION,
        "declaration": list(document.declaration) if document.declaration else None,
        "newline": document.newline,
        "before": [_node_to_json(node) for node in before],
        "root": _node_to_json(document.root),
        "after": [_node_to_json(node) for node in after],
    }


def document_from_json(data: Any, path: str) -> Document:
    """The document that ``document_to_json`` gave, or one edited since; its positions are those of the XML
    that it writes. Raises InputError when it is something else, or nothing that XML can say."""
    try:
        if data["format"] != FORMAT or data["version"] != VERSION:
            raise ValueError(f"not an {FORMAT} of version {VERSION}")
        declaration = data.get("declaration")
        newline = data.get("newline", "\n")
        if newline not in ("\n", "\r\n"):
            raise ValueError("'newline' is neither LF nor CRLF")
        if declaration is not None:
            version, encoding, standalone = declaration
            if version != "1.0" or not isinstance(encoding, str) or standalone not in (-1, 0, 1):
                raise ValueError("'declaration' is not [\"1.0\", encoding, -1, 0 or 1]")
            declaration = (version, encoding, standalone)
        root = _node_from_json(data["root"], 1)
        if not isinstance(root, Element):
            raise ValueError("'root' is no element")
        outside = tuple(
            tuple(_node_from_json(node, 1) for node in data.get(key, ())) for key in ("before", "after")
        )
        if any(not isinstance(node, Comment | Instruction) for part in outside for node in part):
            raise ValueError("outside the root there are only comments and instructions")
        written = write_document(Document(root, (outside[0], outside[1]), declaration, newline))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        said = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)
        raise InputError([Problem(path, 1, 1, f"not a task sequence document: {said}")]) from None
    try:
        return read_document(written, path)
    except InputError as error:
        said = error.problems[0].message
        raise InputError([Problem(path, 1, 1, f"the document cannot be written as XML: {said}")]) from None


def _node_to_json(node: Node) -> Any:
    if isinstance(node, Element):
        data: dict[str, Any] = {"tag": node.tag}
        if node.attributes:
            data["attributes"] = dict(node.attributes)
        if node.content:
            data["content"] = [_node_to_json(child) for child in node.content]
        return data
    if isinstance(node, CData):
        return {"cdata": str(node)}
    if isinstance(node, Comment):
        return {"comment": str(node)}
    if isinstance(node, Instruction):
        return {"instruction": [node.target, node.data]}
    return node


def _node_from_json(data: Any, depth: int) -> Node:
    if depth > MAX_DEPTH + 1:
        raise ValueError(f"elements are nested more than {MAX_DEPTH} deep")
    if isinstance(data, str):
        return data
    if "tag" in data:
        attributes = {_name(name): _text(value) for name, value in data.get("attributes", {}).items()}
        content = [_node_from_json(child, depth + 1) for child in data.get("content", ())]
        return Element(_name(data["tag"]), attributes, content)
    if "cdata" in data:
        return CData(_text(data["cdata"]))
    if "comment" in data:
        comment = _text(data["comment"])
        if "--" in comment or comment.endswith("-"):
            raise ValueError("a comment may not hold '--'")
        return Comment(comment)
    if "instruction" in data:
        target, text = data["instruction"]
        if "?>" in text or _name(target).casefold() == "xml":
            raise ValueError(f"processing instruction '{target}'")
        return Instruction(_name(target), _text(text))
    raise ValueError(f"a node has none of tag, cdata, comment, instruction: {sorted(data)[:5]}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not text")
    return value


def _name(value: Any) -> str:
    if not _NAME.fullmatch(_text(value)):
        raise ValueError(f"'{value:.40}' is not a name that XML has")
    return str(value)
