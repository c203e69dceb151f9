"""The dashboard and the files of compose's profile `observe` hang together: what one names, another has."""

import fnmatch
import tomllib
import unittest
from pathlib import Path
from urllib.parse import urlsplit

from compose import Compose
from files import REPOSITORY, dashboard, parsed, promtool, text

SERVICES = {"submission", "relay", "delivery"}
OBSERVE = "deploy/compose/observe"
COMPOSE = Compose()


def provisioned(kind: str) -> list[dict]:
    """What Grafana reads of one folder of its provisioning."""
    key = {"datasources": "datasources", "dashboards": "providers"}[kind]
    folder = COMPOSE.seen("grafana", f"/etc/grafana/provisioning/{kind}")
    return [entry for file in sorted(folder.iterdir()) for entry in parsed(str(file.relative_to(REPOSITORY)))[key]]


class Mounts(unittest.TestCase):
    def test_what_containers_mount_of_this_repository_is_there(self):
        for service in COMPOSE.services:
            for inside, here in COMPOSE.mounts(service).items():
                with self.subTest(service=service, mount=str(inside)):
                    self.assertTrue(here.exists(), here)
                    # The engine would make a folder of a file that is missing.
                    self.assertEqual(here.is_file(), inside.suffix != "", here)

    def test_every_file_that_observes_is_mounted(self):
        mounted = [here for service in COMPOSE.observing() for here in COMPOSE.mounts(service).values()]
        for folder in (OBSERVE, "deploy/grafana", "deploy/prometheus"):
            for file in (REPOSITORY / folder).rglob("*"):
                self.assertTrue(file.is_dir() or any(file.is_relative_to(here) for here in mounted), file)


class Collector(unittest.TestCase):
    def setUp(self):
        command = COMPOSE.services["collector"]["command"]
        self.file = COMPOSE.seen("collector", command[command.index("--config") + 1])
        self.config = parsed(str(self.file.relative_to(REPOSITORY)))

    def test_pipelines_are_made_of_what_is_set_up_and_nothing_is_left_over(self):
        pipelines = self.config["service"]["pipelines"].values()
        for part in ("receivers", "processors", "exporters"):
            used = {name for pipeline in pipelines for name in pipeline.get(part, [])}
            self.assertEqual(used, set(self.config[part]), part)
        self.assertEqual(set(self.config["service"]["pipelines"]), {"traces", "metrics"})

    def test_traces_go_to_a_container_that_it_sees(self):
        host, _, _ = self.config["exporters"]["otlp/jaeger"]["endpoint"].partition(":")
        self.assertIn(host, COMPOSE.names_seen_by("collector"))

    def test_it_listens_where_services_are_told_to_send(self):
        port = self.config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
        self.assertIn(f"http://collector:{port}", text(".env.example"))
        for service in SERVICES:
            self.assertIn("collector", COMPOSE.names_seen_by(service))


class Prometheus(unittest.TestCase):
    def setUp(self):
        self.config = parsed(f"{OBSERVE}/prometheus.yml")

    def test_its_configuration_is_right(self):
        self.assertEqual(promtool("config", self.config), "")

    def test_it_asks_each_service_where_that_tells(self):
        asked = {}
        for job in self.config["scrape_configs"]:
            for found in job["dns_sd_configs"]:
                self.assertLessEqual(set(found["names"]), COMPOSE.names_seen_by("prometheus"))
                asked[job["job_name"]] = found["port"]
        self.assertEqual(asked.keys(), SERVICES | {"haproxy"})
        for service in SERVICES:
            told = tomllib.loads(text(f"deploy/compose/config/{service}.toml"))["telemetry"]["listen"]
            self.assertEqual(told.rpartition(":")[2], str(asked[service]), service)

    def test_it_finds_the_alerts(self):
        found = set()
        for pattern in map(Path, self.config["rule_files"]):
            folder = COMPOSE.seen("prometheus", str(pattern.parent))
            found |= {file.name for file in folder.iterdir() if fnmatch.fnmatch(file.name, pattern.name)}
        # Whatever lies there is read as rules, too.
        self.assertEqual(found, {"alerts.yml"})


class Grafana(unittest.TestCase):
    def test_sources_are_containers_that_it_sees(self):
        for source in provisioned("datasources"):
            self.assertIn(urlsplit(source["url"]).hostname, COMPOSE.names_seen_by("grafana"))
        uids = [source["uid"] for source in provisioned("datasources")]
        self.assertEqual(len(uids), len(set(uids)))

    def test_the_dashboard_is_where_it_is_looked_for(self):
        folders = [COMPOSE.seen("grafana", provider["options"]["path"]) for provider in provisioned("dashboards")]
        self.assertIn(REPOSITORY / "deploy/grafana", folders)


class Dashboard(unittest.TestCase):
    def setUp(self):
        self.panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]

    def test_panels_ask_sources_that_are_provisioned(self):
        sources = {(source["type"], source["uid"]) for source in provisioned("datasources")}
        for panel in self.panels:
            self.assertTrue(panel["targets"], panel["title"])
            for asks in (panel, *panel["targets"]):
                self.assertIn((asks["datasource"]["type"], asks["datasource"]["uid"]), sources, panel["title"])

    def test_panels_are_told_apart(self):
        panels = dashboard()["panels"]
        for key in ("id", "title"):
            told = [panel[key] for panel in panels]
            self.assertEqual(len(told), len(set(told)), key)
        for panel in self.panels:
            letters = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(letters), len(set(letters)), panel["title"])

    def test_prometheus_understands_what_panels_ask(self):
        for panel in self.panels:
            for number, target in enumerate(panel["targets"]):
                expression = target["expr"].replace("$__rate_interval", "1m")
                self.assertNotIn("$", expression, panel["title"])
                rule = {"record": f"panel:{number}", "expr": expression}
                self.assertEqual(promtool("rules", {"groups": [{"name": "panel", "rules": [rule]}]}), "", panel["title"])


if __name__ == "__main__":
    unittest.main()
