"""Strict validation of Kubernetes' own objects, against the schemas inside kubernetes-validate."""

import functools
import json
import re

import importlib_resources
from jsonschema import Draft202012Validator
from kubernetes_validate import latest_version
from referencing import Registry, Resource

VERSION = latest_version()
# Its files rather than its function, which reads two megabytes of definitions for each object.
FOLDER = importlib_resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local-strict"

# Groups of Kubernetes itself. Others are custom resources, and documented.py has to know them.
CORE_GROUPS = re.compile(r"^(v\d\w*|(apps|autoscaling|batch|policy|[a-z.]+\.k8s\.io)/v\d\w*)$")


def is_core(o: dict) -> bool:
    return bool(CORE_GROUPS.match(o["apiVersion"]))


def problems(o: dict) -> list[str]:
    """What is wrong with an object of Kubernetes' own."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", o["apiVersion"])
    file = FOLDER / f"{o['kind'].lower()}-{group}.json"
    if not file.is_file():
        return [f"Kubernetes {VERSION} has no {o['kind']} in {o['apiVersion']}"]
    return told(json.loads(file.read_text()), o)


def problems_of_part(definition: str, part: object) -> list[str]:
    """What is wrong with a part that a custom resource takes over from Kubernetes."""
    return told({"$ref": f"{definitions()['$id']}#/$defs/io.k8s.{definition}"}, part)


def told(schema: dict, value: object) -> list[str]:
    validator = Draft202012Validator(schema, registry=registry())
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(value)]


@functools.cache
def definitions() -> dict:
    return json.loads((FOLDER / "_definitions.json").read_text())


@functools.cache
def registry() -> Registry:
    return (Resource.from_contents(definitions()) @ Registry()).crawl()
