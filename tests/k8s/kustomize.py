"""Builds the overlays with every kustomize at hand."""

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
K8S = DEPLOY / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())

# Words that kustomize 2.0 (in kubectl 1.14 to 1.20) and current versions (5) both know, and read alike. Left out are
# `patches`, which means another thing in each, and `labels`, `components`, `replacements`, `helmCharts`, which 2.0 doesn't
# know; also `commonLabels`, which would change selectors, and `secretGenerator`, which would put secrets into files.
# https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
# https://github.com/kubernetes-sigs/kustomize/blob/v2.0.3/pkg/types/kustomization.go
BOTH_KNOW = {
    "apiVersion",
    "kind",
    "namespace",
    "bases",
    "resources",
    "patchesStrategicMerge",
    "configMapGenerator",
    "images",
}


@dataclass(frozen=True)
class Kustomizer:
    """A program that builds, and how to call it."""

    command: tuple[str, ...]
    version: str

    @functools.cache
    def build(self, overlay: str) -> list[dict]:
        folder = K8S / "overlays" / overlay
        built = subprocess.run([*self.command, folder], capture_output=True, text=True)
        if built.returncode != 0:
            raise AssertionError(f"{self} does not build {overlay}: {built.stderr}")
        return [document for document in yaml.safe_load_all(built.stdout) if document]

    def __str__(self) -> str:
        return f"{' '.join(self.command)} ({self.version})"


@functools.cache
def all_at_hand() -> list[Kustomizer]:
    programs = [shutil.which(name) for name in ("kubectl", "kustomize")]
    programs += os.environ.get("KUSTOMIZERS", "").split(":")
    return [kustomizer(program) for program in programs if program]


def kustomizer(program: str) -> Kustomizer:
    if Path(program).name == "kustomize":
        return Kustomizer((program, "build"), output([program, "version"]))
    told = output([program, "version", "--client"])
    # kubectl tells its kustomize since 1.25; before 1.21 it was 2.0.3, whatever kubectl's own version.
    inside = re.search(r"Kustomize Version: *(\S+)", told)
    own = re.search(r"v(\d+\.\d+\.\d+)", told)
    version = f"kustomize {inside[1]}" if inside else f"kustomize inside kubectl {own[1] if own else '?'}"
    return Kustomizer((program, "kustomize"), version)


def output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def without_hashes(objects: list[dict]) -> dict[str, dict]:
    """By identity, without what versions make differently: the hash in a generated name, and the order."""
    text = yaml.safe_dump_all(objects)
    for name in (o["metadata"]["name"] for o in objects if o["kind"] == "ConfigMap"):
        text = text.replace(name, name.rsplit("-", 1)[0])
    return {identity(o): o for o in yaml.safe_load_all(text)}


def identity(o: dict) -> str:
    return f"{o['kind']} {o['metadata']['name']}"


def kustomizations() -> list[Path]:
    return sorted(K8S.rglob("kustomization.yaml"))


def problems_of_wording(folder: Path, kustomization: dict) -> list[str]:
    """What one of the two kustomizes would not read, or read otherwise."""
    where = folder.relative_to(K8S)
    found = [f"{where}: `{word}` is not for both kustomizes" for word in kustomization if word not in BOTH_KNOW]
    for name in kustomization.get("resources", []):
        if not (folder / name).is_file():
            found.append(f"{where}: resources: {name} is no file")
    for name in kustomization.get("bases", []):
        if not (folder / name / "kustomization.yaml").is_file():
            found.append(f"{where}: bases: {name} is no folder with a kustomization")
    return found


def left_out(folder: Path, kustomization: dict) -> list[str]:
    """Manifests that lie there and that nobody builds."""
    named = set(kustomization.get("resources", [])) | set(kustomization.get("patchesStrategicMerge", []))
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.yaml")}
    return sorted(there - named - {"kustomization.yaml", "prometheus-adapter-rules.yaml"})
