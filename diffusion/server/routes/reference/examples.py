"""An example of each request: what the schema gives, a picked one, or the least that is allowed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["Schemas", "curl_of", "example_of", "resolve"]

Schemas = Mapping[str, Mapping[str, Any]]
"""The schemas of an OpenAPI document, by name."""

_ADDRESS: Final = "localhost:7860"
_JOB: Final = "019ab0c3d2e4f5a6b7c8d9e0"
_PICTURE: Final = "iVBORw0KGgo…"
_PICKED: Final[Mapping[str, object]] = {
    "POST /txt2img": {"prompt": "a red apple", "steps": 20, "seed": 7},
    "POST /api/v1/jobs": {
        "prompt": "a castle",
        "negative": "blurry",
        "width": 768,
        "height": 512,
        "hires": {"scale": 2.0, "upscaler": "lanczos", "strength": 0.4},
    },
    "PATCH /api/v1/jobs/{job}": {"place": 0},
    "POST /api/v1/tokens": {"prompts": ["a red apple"]},
    "POST /api/v1/models/download": {"model": "owner/name"},
    "POST /api/v1/gallery/zip": {"pictures": [f"{_JOB}-0"]},
    "POST /api/v1/gallery/delete": {"pictures": [f"{_JOB}-0"]},
    "POST /api/v1/gallery/read": {"image": _PICTURE},
    "POST /api/v1/preprocess": {"image": _PICTURE, "preprocessor": "canny"},
    "POST /sdapi/v1/txt2img": {"prompt": "a red apple", "steps": 20, "sampler_name": "Euler a"},
    "POST /sdapi/v1/img2img": {
        "prompt": "a green apple",
        "init_images": [_PICTURE],
        "denoising_strength": 0.6,
    },
    "POST /sdapi/v1/options": {"sd_model_checkpoint": "emoji"},
    "POST /sdapi/v1/png-info": {"image": _PICTURE},
    "POST /controlnet/detect": {
        "controlnet_module": "canny",
        "controlnet_input_images": [_PICTURE],
    },
    "POST /sdapi/v1/extra-batch-images": {
        "imageList": [{"data": _PICTURE, "name": "apple.png"}],
        "upscaler_1": "Lanczos",
    },
    "POST /sdapi/v1/extra-single-image": {"image": _PICTURE, "upscaler_1": "Lanczos"},
}
_VALUES: Final[Mapping[str, object]] = {
    "job": _JOB,
    "picture": f"{_JOB}-0",
    "place": 0,
    "model": "emoji",
    "prompt": "a red apple",
    "image": _PICTURE,
    "name": "name",
}


def resolve(schema: Mapping[str, Any], schemas: Schemas) -> Mapping[str, Any]:
    """Return what a schema refers to, or itself."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def example_of(name: str, schema: Mapping[str, Any], schemas: Schemas) -> object:
    """Return an example of the body of the operation ``name``: its method and path."""
    if name in _PICKED:
        return _PICKED[name]
    return _value("", resolve(schema, schemas), schemas)


def _value(name: str, schema: Mapping[str, Any], schemas: Schemas) -> object:
    """Return an example of a value; ``name``: of its field."""
    schema = resolve(schema, schemas)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if "anyOf" in schema:
        return _value(name, schema["anyOf"][0], schemas)
    kind = schema.get("type")
    if kind == "object":
        fields, needed = schema.get("properties", {}), schema.get("required", ())
        return {each: _value(each, fields[each], schemas) for each in fields if each in needed}
    if kind == "array":
        return [_value(name, schema.get("items", {}), schemas)]
    simple = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0)}
    return _VALUES.get(name, simple.get(str(kind), kind == "boolean" or "text"))


def curl_of(method: str, path: str, operation: Mapping[str, Any], schemas: Schemas) -> str:
    """Return a command that asks for an operation."""
    words = ["curl"] if method == "GET" else ["curl", "-X", method]
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = content["application/json"].get("schema", {})
        body = example_of(f"{method} {path}", schema, schemas)
        words += [
            "-H",
            "content-type: application/json",
            "-d",
            json.dumps(body, ensure_ascii=False),
        ]
    elif content:
        words += ["-F", "image=@picture.png", "-F", "prompt=a red apple"]
    return shlex.join([*words, _address(path, operation.get("parameters", ()), schemas)])


def _address(path: str, parameters: Sequence[Mapping[str, Any]], schemas: Schemas) -> str:
    """Return an address with examples in place of the parts that are not fixed."""
    needed = [each for each in parameters if each.get("required")]
    for each in needed:
        value = str(_VALUES.get(each["name"], _value(each["name"], each["schema"], schemas)))
        path = path.replace(f"{{{each['name']}}}", value)
    queries = [each["name"] for each in needed if each["in"] == "query"]
    query = "&".join(f"{name}={_VALUES.get(name, 'text')}" for name in queries)
    return f"{_ADDRESS}{path}" + (f"?{query}" if query else "")
