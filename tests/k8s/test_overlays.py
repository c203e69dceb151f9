"""Every overlay: builds with every kustomize at hand, to the same objects, which are valid and fit the services."""

import os
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import yaml

import agreement
import documented
import hardening
import kustomize
import schemas
import services
from cluster import Cluster
from kustomize import OVERLAYS, identity

REPOSITORY = Path(__file__).resolve().parents[2]


def check_object(o: dict) -> list[str]:
    """Against the schemas of Kubernetes, or the documented fields of a custom resource. Other kinds are refused."""
    found = schemas.problems(o) if schemas.is_core(o) else documented.problems(o)
    return [f"{identity(o)}: {told}" for told in found]


class Overlays(unittest.TestCase):
    maxDiff = None

    def fine(self, check):
        """`check` finds no problem in any overlay, whoever built it."""
        problems = {
            f"{overlay}, {kustomizer}: {problem}"
            for overlay in OVERLAYS
            for kustomizer in kustomize.all_at_hand()
            for problem in check(kustomizer.build(overlay))
        }
        if problems:
            self.fail("\n".join(sorted(problems)))

    def test_there_are_a_small_one_and_a_large_one(self):
        self.assertEqual(OVERLAYS, ["dev", "production"])

    def test_some_kustomize_is_at_hand(self):
        found = kustomize.all_at_hand()
        self.assertTrue(found, "install kubernetes-client (Debian), kubectl or kustomize")
        print("built with", ", ".join(map(str, found)))

    def test_all_kustomizes_build_the_same(self):
        for overlay in OVERLAYS:
            first, *others = [kustomize.without_hashes(k.build(overlay)) for k in kustomize.all_at_hand()]
            for other in others:
                self.assertEqual(first, other)

    def test_old_and_new_kustomize_know_all_words(self):
        """For a version that is not at hand."""
        for file in kustomize.kustomizations():
            words = yaml.safe_load(file.read_text())
            self.assertEqual(kustomize.problems_of_wording(file.parent, words), [])
            self.assertEqual(kustomize.left_out(file.parent, words), [], "not built by anybody")

    def test_objects_are_valid_and_known(self):
        self.fine(lambda objects: [problem for o in objects for problem in check_object(o)])

    def test_manifests_agree_with_the_services(self):
        self.fine(lambda objects: agreement.problems(Cluster(objects)))

    def test_rights_budgets_and_policies(self):
        self.fine(lambda objects: hardening.problems(Cluster(objects)))

    def test_production_survives_the_loss_of_a_node(self):
        for kustomizer in kustomize.all_at_hand():
            cluster = Cluster(kustomizer.build("production"))
            for name in services.SERVICES:
                self.assertGreaterEqual(cluster.scaler_of(name)["spec"]["minReplicas"], 2, name)
            postgres = cluster.all("Cluster")[0]["spec"]
            self.assertGreaterEqual(postgres["instances"], 3)
            # An asynchronous fail-over loses acknowledged mail.
            self.assertGreaterEqual(postgres["postgresql"]["synchronous"]["number"], 1)
            self.assertEqual(postgres["postgresql"]["synchronous"]["dataDurability"], "required")
            self.assertTrue(cluster.all("ScheduledBackup"))
            self.assertGreaterEqual(cluster.all("Pooler")[0]["spec"]["instances"], 2)
            metrics = cluster.scaler_of("relay")["spec"]["metrics"]
            self.assertEqual({metric["type"] for metric in metrics}, {"Resource", "External"})
            for running in cluster.services():
                if "grpc.bind" in running.configuration:
                    self.assertIn("grpc.tls.client_authority", running.configuration)
            claim = cluster.named("PersistentVolumeClaim", "mailboxes")
            self.assertEqual(claim["spec"]["accessModes"], ["ReadWriteMany"])


class Programs(unittest.TestCase):
    """What the services' own code says, where it is there to be asked."""

    def sources(self) -> str:
        return "\n".join(file.read_text() for file in (REPOSITORY / "crates").glob("*/src/**/*.rs"))

    def test_the_code_answers_to_the_probes(self):
        sources = self.sources()
        for path in ("/live", "/ready", "/metrics"):
            self.assertIn(f'"{path}"', sources)

    def test_the_code_tells_the_queue_metric(self):
        self.assertIn('"chasqui_queue_units"', self.sources())

    def test_the_programs_accept_their_configuration(self):
        """`--check` of a built program, which tells every problem at once, with the file and variables of each overlay."""
        folder = Path(os.environ.get("CHASQUI_PROGRAMS", REPOSITORY / "target/debug"))
        for overlay in OVERLAYS:
            cluster = Cluster(kustomize.all_at_hand()[0].build(overlay))
            for running in cluster.services():
                with self.subTest(overlay=overlay, service=running.name):
                    self.assertTrue((folder / running.name).is_file(), "build it first: cargo build --bins")
                    self.assertEqual(self.told_by(folder / running.name, running), [])

    def told_by(self, program: Path, running) -> list[str]:
        environment = {v["name"]: v.get("value", "x" * 32) for v in running.environment}
        name = running.container["command"][-1]
        data = next(
            o["data"][Path(name).name] for o in running.cluster.all("ConfigMap") if Path(name).name in o.get("data", {})
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / Path(name).name
            file.write_text(data)
            tomllib.loads(data)
            checked = subprocess.run([program, "--config", file, "--check"], env=environment, capture_output=True, text=True)
        lines = checked.stderr.splitlines()
        # The files are the cluster's; agreement.py checks that it has them.
        return [line for line in lines if "can't read /etc/chasqui/" not in line]


if __name__ == "__main__":
    unittest.main()
