"""The page of an OpenAPI document as HTML: groups of operations, their fields and answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from diffusion.server.routes.reference.examples import Schemas, curl_of, resolve

__all__ = ["write_page"]

_LONGEST_DEFAULT: Final = 60
_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: the interface</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style/colours.css">
<link rel="stylesheet" href="/page/style/reference.css">
</head>
<body>
<header><h1>{title} {version}: the interface</h1>
<p>Every route of this server. The same for programs is <a href="/openapi.json">/openapi.json</a>; \
the page to draw with is <a href="/">here</a>. Where the server has users, each request needs a \
token: <code>-H 'authorization: Bearer TOKEN'</code>.</p></header>
"""


def write_page(document: Mapping[str, Any]) -> str:
    """Return a page that describes an OpenAPI document."""
    schemas: Schemas = document.get("components", {}).get("schemas", {})
    groups = _groups(document["paths"])
    info = document["info"]
    parts = [_HEAD.format(title=escape(info["title"]), version=escape(info["version"]))]
    links = "".join(f'<li><a href="#{_anchor(tag)}">{escape(tag)}</a></li>' for tag in groups)
    parts.append(f'<nav aria-label="Groups"><ul>{links}</ul></nav>\n<main>')
    for tag, operations in groups.items():
        parts.append(f'<section><h2 id="{_anchor(tag)}">{escape(tag)}</h2>')
        parts += [_operation(*each, schemas) for each in operations]
        parts.append("</section>")
    return "\n".join([*parts, "</main>\n</body>\n</html>\n"])


def _groups(
    paths: Mapping[str, Mapping[str, Any]],
) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
    """Return method, path and description of all operations by their tag."""
    found: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            found.setdefault(tag, []).append((method.upper(), path, operation))
    return found


def _words(text: str) -> str:
    """Return a text as HTML; what stands in backquotes is code."""
    return re.sub(r"(`{1,2})([^`]+)\1", r"<code>\2</code>", escape(text))


def _anchor(tag: str) -> str:
    return "".join(each if each.isalnum() else "-" for each in tag.lower())


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Schemas) -> str:
    """Return an operation, folded."""
    note = operation.get("description", operation.get("summary", ""))
    curl = curl_of(method, path, operation, schemas)
    tables = [
        _table("Parameters", _parameter_rows(operation, schemas)),
        *(_table(f"Fields ({kind})", rows) for kind, rows in _bodies(operation, schemas)),
        _answers(operation),
    ]
    title = f'<span class="method">{method}</span> <code>{escape(path)}</code>'
    short = _words(note.partition("\n")[0])
    return (
        f'<details><summary>{title} <span class="short">{short}</span></summary>'
        f"<p>{_words(note)}</p><pre tabindex=0><code>{escape(curl)}</code></pre>"
        f"{''.join(tables)}</details>"
    )


def _parameter_rows(operation: Mapping[str, Any], schemas: Schemas) -> Iterator[list[str]]:
    for each in operation.get("parameters", ()):
        schema = resolve(each.get("schema", {}), schemas)
        yield _row(f"{each['name']} ({each['in']})", schema, schemas, needed=each.get("required"))


def _bodies(
    operation: Mapping[str, Any], schemas: Schemas
) -> Iterator[tuple[str, Iterator[list[str]]]]:
    """Yield the kind of each body, and the rows of its fields."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = resolve(content.get("schema", {}), schemas)
        needed = schema.get("required", ())
        fields = schema.get("properties", {}).items()
        yield kind, (_row(name, each, schemas, needed=name in needed) for name, each in fields)


def _row(
    name: str, field: Mapping[str, Any], schemas: Schemas, *, needed: bool | None
) -> list[str]:
    """Return the cells of a field: name, kind, default and description."""
    default = "needed" if needed else json.dumps(field.get("default"), ensure_ascii=False)
    if len(default) > _LONGEST_DEFAULT:
        default = f"{default[:_LONGEST_DEFAULT]}…"
    about = field.get("description") or resolve(field, schemas).get("description", "")
    return [name, _kind(field), default, about]


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the kind of a value in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[key]))
    if "enum" in schema:
        return " or ".join(json.dumps(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


def _table(title: str, rows: Iterator[list[str]]) -> str:
    """Return a table of fields; nothing where there are none."""
    cells = [
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{_words(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    ]
    if not cells:
        return ""
    head = "".join(f'<th scope="col">{each}</th>' for each in ("name", "kind", "default", "about"))
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(cells)}</tbody>"
    return f'<div class="wide" tabindex=0><table><caption>{title}</caption>{body}</table></div>'


def _answers(operation: Mapping[str, Any]) -> str:
    rows = (
        f"<dt>{escape(status)}</dt><dd>{_words(answer.get('description', ''))}</dd>"
        for status, answer in operation.get("responses", {}).items()
    )
    return f"<h3>Answers</h3><dl>{''.join(rows)}</dl>"
