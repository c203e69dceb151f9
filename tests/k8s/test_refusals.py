"""The checks refuse what is wrong: each case breaks one thing in a good overlay, and has to be told of it."""

import copy
import unittest

import agreement
import documented
import hardening
import kustomize
import services
from cluster import Cluster
from test_overlays import check_object


class Broken(unittest.TestCase):
    overlay = "production"

    def setUp(self):
        built = kustomize.all_at_hand()[0].build(self.overlay)
        self.objects = copy.deepcopy(built)

    def named(self, kind: str, name: str) -> dict:
        return next(o for o in self.objects if (o["kind"], o["metadata"]["name"]) == (kind, name))

    def container(self, name: str) -> dict:
        return self.named("Deployment", name)["spec"]["template"]["spec"]["containers"][0]

    def without(self, kind: str, name: str):
        self.objects.remove(self.named(kind, name))

    def set_variable(self, service: str, name: str, value: str):
        self.container(service)["env"].append({"name": name, "value": value})

    def drop_variable(self, service: str, name: str):
        environment = self.container(service)["env"]
        environment.remove(next(v for v in environment if v["name"] == name))

    def edit_file(self, service: str, old: str, new: str):
        file = next(o for o in self.objects if o["kind"] == "ConfigMap" and f"{service}.toml" in o["data"])
        self.assertIn(old, file["data"][f"{service}.toml"])
        file["data"][f"{service}.toml"] = file["data"][f"{service}.toml"].replace(old, new)

    def refused(self, words: str):
        found = [problem for o in self.objects for problem in check_object(o)]
        if not found:
            cluster = Cluster(self.objects)
            found = agreement.problems(cluster) + hardening.problems(cluster)
        self.assertTrue(any(words in problem for problem in found), f"`{words}` is not told, but {found}")


class Schemas(Broken):
    def test_a_misspelt_field(self):
        self.container("relay")["imagePullPolicies"] = "Always"
        self.refused("imagePullPolicies")

    def test_a_value_of_the_wrong_kind(self):
        self.container("relay")["ports"][0]["containerPort"] = "2525"
        self.refused("containerPort")

    def test_a_missing_field(self):
        del self.named("Deployment", "relay")["spec"]["selector"]
        self.refused("selector")

    def test_a_version_that_is_gone(self):
        self.named("HorizontalPodAutoscaler", "relay")["apiVersion"] = "autoscaling/v2beta2"
        self.refused("no HorizontalPodAutoscaler in autoscaling/v2beta2")

    def test_an_unknown_kind_of_kubernetes(self):
        self.objects.append({"apiVersion": "v1", "kind": "Podd", "metadata": {"name": "x"}})
        self.refused("no Podd in v1")

    def test_an_unknown_custom_resource(self):
        self.objects.append({"apiVersion": "example.org/v1", "kind": "Mailer", "metadata": {"name": "x"}})
        self.refused("example.org/v1 Mailer is unknown")

    def test_fields_that_custom_resources_do_not_document(self):
        for kind, name, path, value in [
            ("Cluster", "postgres", ("spec", "instance"), 3),
            ("Cluster", "postgres", ("spec", "postgresql", "synchronous", "methods"), "any"),
            ("Pooler", "postgres-pooler", ("spec", "pgbouncer", "mode"), "session"),
            ("ScheduledBackup", "postgres", ("spec", "cron"), "0 0 * * * *"),
            ("ObjectStore", "postgres-backup", ("spec", "configuration", "bucket"), "s3://x"),
            ("Certificate", "relay-tls", ("spec", "dnsName"), "mx1.example.org"),
            ("Issuer", "grpc", ("spec", "ca", "secret"), "grpc-authority"),
        ]:
            with self.subTest(kind=kind, path=path):
                self.setUp()
                part = self.named(kind, name)
                for key in path[:-1]:
                    part = part[key]
                part[path[-1]] = value
                self.refused(f"{'.'.join(path)} is not among the documented fields")

    def test_values_that_custom_resources_do_not_document(self):
        for kind, name, key, value in [
            ("Cluster", "postgres", "instances", "three"),
            ("Cluster", "postgres", "primaryUpdateMethod", "fast"),
            ("Certificate", "relay-grpc", "duration", "1 year"),
            ("Certificate", "relay-grpc", "usages", ["mail"]),
            ("Pooler", "postgres-pooler", "template", {"spec": {"container": []}}),
        ]:
            with self.subTest(kind=kind, key=key):
                self.setUp()
                self.named(kind, name)["spec"][key] = value
                self.refused(f"spec.{key}")

    def test_a_custom_resource_that_lacks_what_it_needs(self):
        del self.named("Cluster", "postgres")["spec"]["storage"]["size"]
        self.refused("spec.storage.size is missing")


class Agreement(Broken):
    def test_a_variable_of_no_key(self):
        self.set_variable("relay", "CHASQUI_RELAY__OUTBOUND__PORTS", "25")
        self.refused("there is no key outbound.ports")

    def test_a_variable_of_another_service(self):
        self.set_variable("relay", "CHASQUI_SUBMISSION__HOST_NAME", "x.example.org")
        self.refused("CHASQUI_SUBMISSION__HOST_NAME means nothing")

    def test_a_reference_to_what_comes_later(self):
        self.container("relay")["env"].reverse()
        self.refused("DATABASE_URL refers to DATABASE_USER")

    def test_a_misspelt_key(self):
        self.edit_file("relay", "drain_deadline", "drain_deadlines")
        self.refused("outbound.drain_deadlines: there is no such key")

    def test_a_key_of_the_wrong_kind(self):
        self.edit_file("relay", '"20s"', "20")
        self.refused("outbound.drain_deadline: `20` is not of the kind")

    def test_a_key_that_is_not_given(self):
        self.drop_variable("submission", "CHASQUI_SUBMISSION__HOST_NAME")
        self.refused("submission: host_name is not given")

    def test_a_port_that_nobody_listens_on(self):
        self.edit_file("submission", ":2465", ":2466")
        self.refused("are not those it listens on")

    def test_a_service_for_no_port(self):
        self.named("Service", "relay")["spec"]["ports"][0]["targetPort"] = "smtps"
        self.refused("there is no port smtps")

    def test_a_port_that_takes_rights(self):
        self.edit_file("relay", ":2525", ":25")
        self.refused("may not listen on [25]")

    def test_a_probe_of_another_path_or_port(self):
        self.container("relay")["readinessProbe"]["httpGet"]["path"] = "/healthz"
        self.refused("readinessProbe: /healthz is not answered to")
        self.setUp()
        self.container("relay")["readinessProbe"]["httpGet"]["port"] = "grpc"
        self.refused("readinessProbe: grpc is not the port of telemetry.listen")
        self.setUp()
        # With the same path for both, a pod that drains would be killed, or stay in its Services.
        self.container("relay")["livenessProbe"]["httpGet"]["path"] = "/ready"
        self.refused("livenessProbe: /ready")

    def test_a_probe_of_grpc(self):
        self.container("delivery")["livenessProbe"] = {"grpc": {"port": 2640}}
        self.refused("livenessProbe is missing, or does not use HTTP")

    def test_a_file_that_no_volume_has(self):
        self.edit_file("relay", "tls/key.pem", "tls/private.pem")
        self.refused("no volume has /etc/chasqui/tls/private.pem")

    def test_mailboxes_that_lie_elsewhere(self):
        self.edit_file("delivery", "/var/lib/chasqui/mail", "/srv/mail")
        self.refused("/srv/mail is no volume")

    def test_a_drain_that_is_cut_short(self):
        self.edit_file("relay", '"20s"', '"40s"')
        self.refused("does not fit a drain of 100 s")

    def test_memory_below_the_budgets(self):
        self.edit_file("relay", '"20s"', '"20s"\ncontent_memory = "2GiB"')
        self.refused("is too little for budgets")

    def test_queue_sessions_over_the_pooler(self):
        url = next(v for v in self.container("relay")["env"] if v["name"] == "DATABASE_URL")
        url["value"] = url["value"].replace("postgres-rw", "postgres-pooler")
        self.refused("postgres-pooler is not the primary")

    def test_more_pods_than_connections(self):
        self.named("HorizontalPodAutoscaler", "relay")["spec"]["maxReplicas"] = 40
        self.refused("Postgres allows 400 connections")
        self.setUp()
        self.named("HorizontalPodAutoscaler", "delivery")["spec"]["maxReplicas"] = 40
        self.refused("the poolers have 80 connections")

    def test_a_name_that_the_certificate_lacks(self):
        self.named("Certificate", "relay-tls")["spec"]["dnsNames"] = ["mx2.example.org"]
        self.refused("not for host_name mx1.example.org")

    def test_a_target_that_is_not_there(self):
        self.without("Service", "relay-grpc")
        self.refused("relay.targets: there is no Service relay-grpc")

    def test_a_target_that_is_not_balanced(self):
        del self.named("Service", "relay-grpc")["spec"]["clusterIP"]
        self.refused("is not headless")

    def test_a_target_at_another_port(self):
        self.edit_file("submission", "relay-grpc:2630", "relay-grpc:2631")
        self.refused("relay listens on 2630")

    def test_calls_without_credentials(self):
        for name in ("AUTHORITY", "CERTIFICATE", "KEY"):
            self.drop_variable("submission", f"CHASQUI_SUBMISSION__RELAY__TLS__{name}")
        self.refused("relay.targets: relay speaks TLS")

    def test_a_server_that_demands_none(self):
        self.drop_variable("delivery", "CHASQUI_DELIVERY__GRPC__TLS__CLIENT_AUTHORITY")
        self.refused("off loopback a token or tls.client_authority is demanded")

    def test_a_certificate_for_another_use(self):
        self.named("Certificate", "submission-grpc")["spec"]["usages"] = ["digital signature", "server auth"]
        self.refused("demands a certificate for clients")
        self.setUp()
        self.named("Certificate", "delivery-grpc")["spec"]["dnsNames"] = ["delivery"]
        self.refused("the certificate of delivery is not for delivery-grpc")

    def test_a_policy_that_stops_calls(self):
        self.without("NetworkPolicy", "delivery")
        self.refused("no network policy lets 2640 in to delivery")

    def test_a_metric_that_nobody_makes(self):
        metrics = self.named("HorizontalPodAutoscaler", "relay")["spec"]["metrics"]
        metrics[1]["external"]["metric"]["name"] = "chasqui_queue_unit"
        self.refused("no rule of the Prometheus adapter makes chasqui_queue_unit")

    def test_a_migration_of_nothing(self):
        self.named("Job", "migrate")["spec"]["template"]["spec"]["containers"][0]["command"] = ["chasqui", "migrations"]
        self.refused("the command is not `chasqui migrate`")


class Token(Broken):
    overlay = "dev"

    def test_calls_without_the_token(self):
        self.drop_variable("relay", "CHASQUI_RELAY__DELIVERY__TOKEN")
        self.refused("delivery.targets: delivery demands a token")

    def test_a_token_in_clear(self):
        self.drop_variable("relay", "CHASQUI_RELAY__GRPC__TOKEN")
        self.set_variable("relay", "CHASQUI_RELAY__GRPC__TOKEN", "0123456789abcdef0123456789abcdef")
        self.refused("nobody makes the Secret (none) for CHASQUI_RELAY__GRPC__TOKEN")


class Hardening(Broken):
    def test_rights(self):
        for key, value, words in [
            ("allowPrivilegeEscalation", True, "gain privileges"),
            ("readOnlyRootFilesystem", False, "read-only root"),
            ("capabilities", {"drop": ["ALL"], "add": ["NET_ADMIN"]}, "drop all capabilities"),
        ]:
            with self.subTest(key=key):
                self.setUp()
                self.container("relay")["securityContext"][key] = value
                self.refused(words)

    def test_root(self):
        self.named("Deployment", "relay")["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 0
        self.refused("must run as 10001")

    def test_what_is_missing(self):
        for kind, name, words in [
            ("NetworkPolicy", "deny", "denies by default"),
            ("PodDisruptionBudget", "relay", "PodDisruptionBudget"),
            ("ServiceAccount", "relay", "ServiceAccount"),
            ("Issuer", "public", "no Issuer public"),
            ("ObjectStore", "postgres-backup", "no ObjectStore"),
            ("Job", "migrate", "no Job that migrates"),
            ("Certificate", "relay-grpc", "nobody makes the Secret relay-grpc"),
        ]:
            with self.subTest(kind=kind):
                self.setUp()
                self.without(kind, name)
                self.refused(words)

    def test_a_service_that_hides_its_clients(self):
        self.named("Service", "relay")["spec"]["externalTrafficPolicy"] = "Cluster"
        self.refused("loses the client's address")

    def test_a_secret_in_a_file(self):
        metadata = {"name": "x", "namespace": "chasqui"}
        self.objects.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"x": "y"}})
        self.refused("secrets are referred to, never written")

    def test_a_policy_that_opens_more(self):
        self.named("NetworkPolicy", "relay")["spec"]["ingress"].append({"ports": [{"port": 22}]})
        self.refused("network policies open [22, 2525")

    def test_replicas_beside_an_autoscaler(self):
        self.named("Deployment", "relay")["spec"]["replicas"] = 3
        self.refused("its autoscaler's to set")

    def test_no_spread_and_no_resources(self):
        del self.named("Deployment", "relay")["spec"]["template"]["spec"]["topologySpreadConstraints"]
        self.refused("must be spread")
        self.setUp()
        del self.container("relay")["resources"]["requests"]["cpu"]
        self.refused("must request CPU")

    def test_a_lax_namespace(self):
        self.named("Namespace", "chasqui")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "baseline"
        self.refused("must enforce the restricted standard")


class Words(unittest.TestCase):
    def test_words_that_one_kustomize_lacks(self):
        folder = kustomize.K8S / "overlays/dev"
        for words, told in [
            ({"resources": ["../../base"]}, "is no file"),
            ({"patches": [{"path": "relay.yaml"}]}, "`patches` is not for both"),
            ({"labels": []}, "`labels` is not for both"),
            ({"bases": ["../nowhere"]}, "is no folder"),
        ]:
            with self.subTest(words=words):
                self.assertIn(told, "\n".join(kustomize.problems_of_wording(folder, words)))


class Reading(unittest.TestCase):
    def test_keys_are_read_from_comments_too(self):
        service = services.read(
            "relay",
            'host_name = "x"\n[outbound]\n# port = 25   # of MX hosts\n# [a.tls]\n# key = ""\n[a]\n# token = ""\n'
            "[b]\n# token, tls: as in [a]\n# Plain HTTP: /live, and not /etc/x.\n",
        )
        texts = dict.fromkeys(["a.tls.key", "a.token", "b.token", "b.tls.key"], "")
        self.assertEqual(service.keys, {"host_name": "x", "outbound.port": 25, **texts})
        self.assertEqual(service.http_paths, {"/live"})

    def test_durations_and_sizes(self):
        self.assertEqual(services.seconds("1m30s"), 90)
        self.assertEqual(services.octets("256MiB"), 256 << 20)

    def test_documented_fields_are_well_formed(self):
        for kind in documented.documented().values():
            for path, of in kind["fields"].items():
                with self.subTest(kind=kind["kind"], path=path):
                    self.assertTrue(path.startswith("spec"))
                    self.assertNotIn("", of.split(" | "))


if __name__ == "__main__":
    unittest.main()
