"""What the services know: their keys, from deploy/config, where every key is named with its default."""

import functools
import re
import tomllib
from dataclasses import dataclass, field

from kustomize import DEPLOY

SERVICES = ("submission", "relay", "delivery")

# What a service does not start without. Of sections that are optional as a whole, their own demands.
NEEDED = {
    "submission": ["host_name", "listen.address", "tls.certificate", "tls.key", "directory.targets"],
    "relay": ["host_name", "directory.targets", "delivery.targets", "grpc.bind"],
    "delivery": ["host_name", "maildir.root", "grpc.bind"],
}

SECTION = re.compile(r"^(?:# )?\[{1,2}([a-z_.]+)\]{1,2}$")
# `# key = value`: a default, commented out.
KEY = re.compile(r"^(?:# )?(([a-z_]+) = .*)$")
# `# token, tls: as in [directory]`
AS_IN = re.compile(r"^# ([a-z_, ]+): as in \[([a-z_.]+)\]$")
PATHS = re.compile(r"(?<![\w/.])/[a-z]+\b(?![/.])")


@dataclass
class Service:
    """Its keys as in `outbound.port`, those of a list's elements as in `listen.address`, with examples or defaults."""

    name: str
    keys: dict[str, object] = field(default_factory=dict)
    # What its plain HTTP server answers to, as the words in the file tell.
    http_paths: set[str] = field(default_factory=set)

    @property
    def prefix(self) -> str:
        return f"CHASQUI_{self.name.upper()}__"

    def key_of(self, variable: str) -> str | None:
        """CHASQUI_RELAY__OUTBOUND__PORT is outbound.port."""
        if not variable.startswith(self.prefix):
            return None
        return variable.removeprefix(self.prefix).lower().replace("__", ".")


@functools.cache
def known(name: str) -> Service:
    return read(name, (DEPLOY / "config" / f"{name}.toml").read_text())


def read(name: str, text: str) -> Service:
    service = Service(name)
    section = ""
    like = []
    for line in text.splitlines():
        if found := SECTION.match(line):
            section = f"{found[1]}."
        elif found := AS_IN.match(line):
            like += [(section, part.strip(), f"{found[2]}.") for part in found[1].split(",")]
        elif found := KEY.match(line):
            service.keys[section + found[2]] = tomllib.loads(found[1])[found[2]]
    for section, part, other in like:
        for key, value in list(service.keys.items()):
            if key == other + part or key.startswith(f"{other}{part}."):
                service.keys[section + key.removeprefix(other)] = value
    words = "\n".join(line.partition("#")[2] for line in text.splitlines())
    service.http_paths = set(PATHS.findall(words))
    return service


def flat(table: dict, path: str = "") -> list[tuple[str, object]]:
    """The keys of a TOML file; those of a list of tables once for each."""
    found = []
    for key, value in table.items():
        tables = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        for part in tables:
            found += flat(part, f"{path}{key}.") if isinstance(part, dict) else [(path + key, part)]
    return found


UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
SIZES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def seconds(duration: str) -> float:
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhd])", duration))


def octets(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+) *(\w*)", size).groups()
    return int(number) * SIZES[unit]
