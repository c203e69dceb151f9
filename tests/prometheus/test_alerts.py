"""Each alert has been seen to ring, and not to: promtool runs the cases of alerts_test.yml, here they are counted."""

import unittest

from files import alerts, parsed


class Alerts(unittest.TestCase):
    def cases(self, rings: bool) -> set[str]:
        tests = parsed("tests/prometheus/alerts_test.yml")["tests"]
        return {
            case["alertname"]
            for test in tests
            for case in test["alert_rule_test"]
            if bool(case.get("exp_alerts")) == rings
        }

    def test_each_alert_has_a_case_that_fires_and_one_that_nearly_does(self):
        names = {rule["alert"] for rule in alerts()}
        self.assertTrue(names)
        self.assertEqual(self.cases(rings=True), names)
        self.assertEqual(self.cases(rings=False), names)

    def test_each_alert_leads_to_its_paragraph(self):
        for rule in alerts():
            self.assertEqual(rule["annotations"]["runbook_url"].partition("#")[2], rule["alert"].lower())
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))


if __name__ == "__main__":
    unittest.main()
