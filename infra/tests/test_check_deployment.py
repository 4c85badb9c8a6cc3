"""infra/check-deployment.py with an AWS CLI that only answers, and an API of three answers."""

import os
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aws_stub import AwsStub

SCRIPT = Path(__file__).parent.parent / "check-deployment.py"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        answers = {"/openapi.json": (200, b'{"openapi": "3.1.0"}'), "/accounts/1": (401, b"{}")}
        answers["/oauth2/authorize"] = (200, b"<html>")
        status, body = self.server.instead.get(path) or answers.get(path) or (404, b"{}")
        self.send_response(status)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged."""


class Checking(unittest.TestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.instead = {}
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        url = f"http://127.0.0.1:{self.server.server_port}"
        outputs = {"ApiUrl": url, "SignInUrl": url, "UserPoolId": "pool", "ClientId": "client"}
        self.stack = {
            "StackStatus": "UPDATE_COMPLETE", "EnableTerminationProtection": True,
            "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
            "Parameters": [{"ParameterKey": "EmailSender", "ParameterValue": "crm@example.com"}],
        }
        resources = {"export-chunk": "AWS::Lambda::Function", "stalled": "AWS::CloudWatch::Alarm"}
        self.mapping = {"State": "Enabled", "UUID": "mapping-1"}
        self.alarm = {"AlarmName": "stalled", "StateValue": "OK", "AlarmActions": [TOPIC]}
        self.alarm["AlarmDescription"] = "See it."
        self.client = {
            "CallbackURLs": ["http://localhost:8765/callback"], "AllowedOAuthScopes": ["openid", "email"],
            "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"],
        }
        self.mfa = {"MfaConfiguration": "ON", "SoftwareTokenMfaConfiguration": {"Enabled": True}}
        self.subscription = {"SubscriptionArn": f"{TOPIC}:1"}
        self.aws = AwsStub(Path(folder.name), {
            "cloudformation describe-stacks": {"Stacks": [self.stack]},
            "cloudformation list-stack-resources": {"StackResourceSummaries": [
                {"PhysicalResourceId": name, "ResourceType": kind} for name, kind in resources.items()
            ]},
            "cognito-idp describe-user-pool-client": {"UserPoolClient": self.client},
            "cognito-idp get-user-pool-mfa-config": self.mfa,
            "cognito-idp list-user-pool-clients": {"UserPoolClients": [{}]},
            "lambda list-event-source-mappings": {"EventSourceMappings": [self.mapping]},
            "lambda get-account-settings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
            "cloudwatch describe-alarms": {"MetricAlarms": [self.alarm]},
            "sns list-subscriptions-by-topic": {"Subscriptions": [self.subscription]},
            "sesv2 list-email-identities": {"EmailIdentities": [{"IdentityName": "example.com"}]},
            "sesv2 get-account": {"ProductionAccessEnabled": True},
        })

    def run_script(self):
        self.aws.save()
        return subprocess.run(
            [sys.executable, str(SCRIPT), "--stack", "crm-backup"], capture_output=True, text=True, timeout=60,
            env={"PATH": f"{self.aws.folder}:{os.environ['PATH']}"}, check=False,
        )

    def assert_fault(self, words):
        done = self.run_script()
        faults = [line for line in done.stdout.splitlines() if line.startswith("fault")]
        self.assertEqual((done.returncode, len(faults)), (1, 1), done.stdout + done.stderr)
        self.assertIn(words, faults[0])
        self.assertEqual(done.stderr, "check-deployment.py: 1 fault\n")

    def test_a_good_deployment_has_no_fault(self):
        done = self.run_script()
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertNotIn("note", done.stdout)
        self.assertTrue(done.stdout.endswith("Nothing is wrong.\n"))

    def test_it_only_looks(self):
        self.run_script()
        for asked in self.aws.asked():
            self.assertRegex(asked[1], "^(describe|list|get)-")

    def test_an_api_that_lets_people_in_is_a_fault(self):
        self.server.instead["/accounts/1"] = (200, b"{}")
        self.assert_fault("without a token")

    def test_a_user_pool_that_was_changed_by_hand_is_a_fault(self):
        self.mfa["MfaConfiguration"] = "OPTIONAL"
        self.assert_fault("authenticator app")
        self.mfa["MfaConfiguration"] = "ON"
        self.client["ExplicitAuthFlows"].append("ALLOW_USER_PASSWORD_AUTH")
        self.assert_fault("ALLOW_USER_PASSWORD_AUTH")
        self.client["ExplicitAuthFlows"].pop()
        self.client["AllowedOAuthScopes"].append("aws.cognito.signin.user.admin")
        self.assert_fault("scopes")

    def test_alarms_that_nobody_gets_are_a_fault(self):
        self.subscription["SubscriptionArn"] = "PendingConfirmation"
        self.assert_fault("nobody has confirmed")
        self.alarm["AlarmActions"] = []
        self.assert_fault("deploy with AlarmTopicArn")

    def test_a_red_alarm_and_a_queue_without_a_reader_are_faults(self):
        self.alarm["StateValue"] = "ALARM"
        self.assert_fault("stalled is quiet: See it.")
        self.alarm["StateValue"] = "OK"
        self.mapping["State"] = "Disabled"
        self.assert_fault("mapping-1")

    def test_a_sender_that_ses_does_not_know_is_a_fault(self):
        self.aws.answers["sesv2 list-email-identities"] = {"EmailIdentities": []}
        self.assert_fault("crm@example.com")

    def test_what_is_worth_knowing_is_a_note(self):
        self.stack["EnableTerminationProtection"] = False
        self.stack["Parameters"] = []
        self.aws.answers["lambda get-account-settings"] = {"AccountLimit": {"ConcurrentExecutions": 10}}
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout.count("\nnote"), 3, done.stdout)


if __name__ == "__main__":
    unittest.main()
