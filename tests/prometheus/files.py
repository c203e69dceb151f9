"""The files that watch the fleet, as the programs read them."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


def text(path: str) -> str:
    return (REPOSITORY / path).read_text()


def parsed(path: str) -> object:
    return yaml.safe_load(text(path))


def alerts() -> list[dict]:
    return [rule for group in parsed("deploy/prometheus/alerts.yml")["groups"] for rule in group["rules"]]


def dashboard() -> dict:
    return json.loads(text("deploy/grafana/chasqui.json"))


def examples(path: str) -> list[dict]:
    """The YAML that a document shows."""
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", text(path), re.MULTILINE | re.DOTALL)]


def promtool(kind: str, content: object) -> str:
    """What promtool says is wrong with rules or with a configuration; nothing if all is well."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump(content, file)
        file.flush()
        checked = subprocess.run(["promtool", "check", kind, file.name], capture_output=True, text=True)
    return checked.stdout + checked.stderr if checked.returncode else ""
