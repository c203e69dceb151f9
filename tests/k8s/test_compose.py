"""docker-compose.yml and deploy/compose/config, without an engine: the services accept what containers are told."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

import services
from kustomize import DEPLOY

REPOSITORY = DEPLOY.parent
PROGRAMS = Path(os.environ.get("CHASQUI_PROGRAMS", REPOSITORY / "target/debug"))
CONFIG = DEPLOY / "compose/config"
# Where containers have secrets and certificate.
RUN = r"/run/(secrets|tls)\b"
# What .env must set, and then all of it that changes what the services are told.
SETTINGS = (
    {"HOST_NAME": "mx.example.org"},
    {"HOST_NAME": "mx.example.org", "OTLP": "http://collector:4317", "SAMPLE": "1", "EDGE_NETWORK": "10.9.8.0/24"},
)
# ${NAME}, ${NAME:-a default}, ${NAME:?what to say without it}
REFERENCE = re.compile(r"\$\{([A-Z_]+)(?::(-|\?)([^}]*))?\}")


def compose() -> dict:
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())


def environment(service: dict, settings: dict[str, str]) -> dict[str, str]:
    """As Compose puts `settings` in."""

    def value(reference: re.Match) -> str:
        name, kind, word = reference.groups()
        if kind == "?" and name not in settings:
            raise AssertionError(f"{name} is not set: {word}")
        return settings.get(name) or (word if kind == "-" else "")

    return {name: REFERENCE.sub(value, str(text)) for name, text in service["environment"].items()}


def unknown(name: str, variables: dict[str, str]) -> list[str]:
    """Variables that mean nothing to a service: those with its prefix it would refuse, others it would not see."""
    known = services.known(name)
    sections = {key.rpartition(".")[0] for key in known.keys}
    found = []
    for variable in variables:
        if variable.removesuffix("_FILE") == "DATABASE_URL":
            continue
        key = known.key_of(variable) or known.key_of(variable.removesuffix("_FILE"))
        keys = {key, (key or "").removesuffix("_file")}
        if key is None or not keys & (known.keys.keys() | sections):
            found.append(f"{name}: {variable} means nothing to the service")
    return found


def secrets_made() -> set[str]:
    setup = (DEPLOY / "compose/setup.sh").read_text()
    return set(re.findall(r"^secret ([a-z-]+) ", setup, re.MULTILINE))


def refused(name: str, variables: dict[str, str], text: str) -> list[str]:
    """What the program itself says, which looks for the files and reads the secrets."""
    with tempfile.TemporaryDirectory() as folder:
        # The shape of database-url; as good as any for a token.
        content = "postgres://chasqui:0123456789abcdef@postgres/chasqui\n"
        for file in [*secrets_made(), "certificate.pem", "key.pem"]:
            (Path(folder) / file).write_text(content)
        file = Path(folder) / f"{name}.toml"
        file.write_text(re.sub(RUN, folder, text))
        told = {variable: re.sub(RUN, folder, value) for variable, value in variables.items()}
        check = subprocess.run([PROGRAMS / name, "--config", file, "--check"], env=told, capture_output=True, text=True)
    lines = check.stderr.splitlines()
    return lines if lines or check.returncode == 0 else [f"{name} --check ends with {check.returncode}"]


def cases() -> list[tuple[str, dict, dict[str, str]]]:
    """Each service with its variables, by each of the settings."""
    found = compose()["services"]
    return [(name, found[name], environment(found[name], settings)) for settings in SETTINGS for name in services.SERVICES]


class Compose(unittest.TestCase):
    def setUp(self):
        for name in services.SERVICES:
            self.assertTrue((PROGRAMS / name).is_file(), "build it first: cargo build --bins")

    def test_the_services_accept_what_they_are_told(self):
        for name, _, variables in cases():
            with self.subTest(service=name, variables=variables):
                self.assertEqual(unknown(name, variables), [])
                self.assertEqual(refused(name, variables, (CONFIG / f"{name}.toml").read_text()), [])

    def test_files_that_are_named_are_mounted_and_made(self):
        for name, service, variables in cases():
            mounted = {volume.replace(":ro", "").rpartition(":")[2] for volume in service["volumes"]}
            named = re.findall(r'(?<=")/(?:run|var)/[^"]+', (CONFIG / f"{name}.toml").read_text())
            named += [value for value in variables.values() if value.startswith("/")]
            with self.subTest(service=name, named=named):
                self.assertIn("/etc/chasqui", mounted)
                self.assertTrue(named)
                for path in map(Path, named):
                    self.assertTrue({str(path), str(path.parent)} & mounted, f"no volume has {path}")
                    if path.parent == Path("/run/secrets"):
                        self.assertIn(path.name, secrets_made())

    def test_no_file_is_left_over(self):
        self.assertEqual({file.stem for file in CONFIG.glob("*")}, set(services.SERVICES))


class Broken(unittest.TestCase):
    """The checks refuse what is wrong."""

    def relay(self) -> tuple[dict[str, str], str]:
        return environment(compose()["services"]["relay"], SETTINGS[0]), (CONFIG / "relay.toml").read_text()

    def test_a_misspelt_variable(self):
        for misspelt in (
            "CHASQUI_RELAY__HOSTNAME",
            "CHASQUI_RELAY__GRPC__TOKENS_FILE",
            "CHASQUI_RELY__HOST_NAME",
            "CHASQUI_SUBMISSION__HOST_NAME",
            "DATABASE_URLS",
        ):
            variables, _ = self.relay()
            variables[misspelt] = "x"
            self.assertEqual(unknown("relay", variables), [f"relay: {misspelt} means nothing to the service"])

    def test_a_misspelt_variable_the_program_sees(self):
        variables, text = self.relay()
        variables["CHASQUI_RELAY__TELEMETRY__OLTP"] = "http://collector:4317"
        self.assertIn("telemetry.oltp", "\n".join(refused("relay", variables, text)))

    def test_a_misspelt_key(self):
        variables, text = self.relay()
        told = refused("relay", variables, text.replace("[telemetry]\nlisten", "[telemetry]\nlisten_on"))
        self.assertIn("telemetry.listen_on", "\n".join(told))

    def test_a_value_that_cannot_be_read(self):
        variables, text = self.relay()
        variables["CHASQUI_RELAY__LISTEN"] = variables["CHASQUI_RELAY__LISTEN"].replace("starttls", "startls")
        self.assertIn("startls", "\n".join(refused("relay", variables, text)))

    def test_what_must_be_set(self):
        with self.assertRaisesRegex(AssertionError, "set HOST_NAME in .env"):
            environment(compose()["services"]["relay"], {})


if __name__ == "__main__":
    unittest.main()
