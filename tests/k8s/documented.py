"""The custom resources that the manifests may use, by the fields that their documentation names.

documented/<kind>.yaml tells, for one kind, where it is documented, which fields must be there, and the fields that may be,
each with its kind of value:

    string, integer, boolean, object      as in JSON
    duration, size                        as Kubernetes writes them: 8760h, 10Gi
    map of string, list of string
    any | first                           one of these words
    io.k8s.…                              a part of Kubernetes' own, by the name in its schemas

`[]` is each element of a list; of the required fields, `a?.b` must be there where there is an `a`. What is not named is
refused, misspelt or not: a field that a manifest newly uses is looked up and added.
"""

import functools
import re
from pathlib import Path

import yaml

import schemas

KINDS = {"string": str, "integer": int, "boolean": bool, "object": dict}
PATTERNS = {
    "duration": re.compile(r"^(\d+(\.\d+)?(h|m|s|ms))+$"),
    "size": re.compile(r"^\d+(\.\d+)?([KMGTPE]i?)?$"),
}


@functools.cache
def documented() -> dict[tuple[str, str], dict]:
    files = sorted((Path(__file__).parent / "documented").glob("*.yaml"))
    loaded = (yaml.safe_load(file.read_text()) for file in files)
    return {(kind["apiVersion"], kind["kind"]): kind for kind in loaded}


def problems(o: dict) -> list[str]:
    kind = documented().get((o["apiVersion"], o["kind"]))
    if kind is None:
        file = f"documented/{o['kind'].lower()}.yaml"
        return [f"{o['apiVersion']} {o['kind']} is unknown here: look its fields up and add {file}"]
    found = schemas.problems_of_part("apimachinery.pkg.apis.meta.v1.ObjectMeta", o["metadata"])
    found += [f"{path} is missing" for path in kind["required"] if not has(o, path)]
    top = {key: value for key, value in o.items() if key not in ("apiVersion", "kind", "metadata")}
    return found + walk(top, "", kind["fields"])


def walk(value: object, path: str, fields: dict[str, str]) -> list[str]:
    if path in fields:
        return [f"{path}: {told}" for told in mismatch(value, fields[path])]
    if not any(known.startswith((f"{path}.", f"{path}[]")) for known in fields) and path:
        return [f"{path} is not among the documented fields"]
    if isinstance(value, dict):
        inner = ((f"{path}.{key}".lstrip("."), part) for key, part in value.items())
    elif isinstance(value, list):
        inner = ((f"{path}[]", part) for part in value)
    else:
        return [f"{path} must have fields"]
    return [problem for inner_path, part in inner for problem in walk(part, inner_path, fields)]


def mismatch(value: object, kind: str) -> list[str]:
    if kind.startswith("io.k8s."):
        return schemas.problems_of_part(kind.removeprefix("io.k8s."), value)
    if kind.startswith("list of "):
        fits = isinstance(value, list) and not any(mismatch(part, kind.removeprefix("list of ")) for part in value)
    elif kind.startswith("map of "):
        fits = isinstance(value, dict) and not any(mismatch(part, kind.removeprefix("map of ")) for part in value.values())
    elif kind in PATTERNS:
        fits = isinstance(value, str) and bool(PATTERNS[kind].match(value))
    elif kind in KINDS:
        fits = type(value) is KINDS[kind]
    else:
        fits = value in kind.split(" | ")
    return [] if fits else [f"`{value}` is not: {kind}"]


def has(o: object, path: str) -> bool:
    """Whether a required field is there. `a?.b` is required only where there is an `a`."""
    head, _, rest = path.partition(".")
    optional, each = head.endswith("?"), "[]" in head
    head = head.rstrip("?").removesuffix("[]")
    if not isinstance(o, dict) or head not in o:
        return optional
    parts = o[head] if each else [o[head]]
    return all(has(part, rest) for part in parts) if rest else True
