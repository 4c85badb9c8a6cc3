"""infra/bring-back.py with an AWS CLI that only answers."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from aws_stub import AwsStub

SCRIPT = Path(__file__).parent.parent / "bring-back.py"

IDS = {
    "Key": "key-1", "Bucket": "bucket-1", "Ledger": "ledger-1", "AuditLog": "audit-1", "UserPool": "eu-central-1_A",
    "OperatorsGroup": "operators",
}


def event(name, physical, status="DELETE_SKIPPED"):
    return {"LogicalResourceId": name, "PhysicalResourceId": physical, "ResourceStatus": status}


class BringingBack(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        deleted = [
            {"StackName": "crm-backup", "StackId": "old", "DeletionTime": "2026-01-01T00:00:00Z"},
            {"StackName": "crm-backup", "StackId": "young", "DeletionTime": "2026-02-01T00:00:00Z"},
            {"StackName": "other", "StackId": "other", "DeletionTime": "2026-03-01T00:00:00Z"},
        ]
        self.answers = {
            "cloudformation list-stacks": {"StackSummaries": deleted},
            "cloudformation describe-stack-events": {"StackEvents": [
                *(event(name, physical) for name, physical in IDS.items()),
                event("Key", "an-older-key"), event("Api", "gone", "DELETE_COMPLETE"),
            ]},
            "cloudformation describe-change-set": {"Status": "CREATE_COMPLETE"},
            "cloudformation describe-stacks": {"Stacks": [{"StackStatus": "IMPORT_COMPLETE"}]},
        }
        self.aws = AwsStub(self.folder, self.answers)

    def run_script(self, *arguments, typed=""):
        self.aws.save()
        return subprocess.run(
            [sys.executable, str(SCRIPT), "--stack", "crm-backup", *arguments], input=typed, capture_output=True,
            text=True, env={"PATH": f"{self.folder}:{os.environ['PATH']}"}, timeout=60, check=False,
        )

    def import_asked_for(self):
        [asked] = [one for one in self.aws.asked() if one[1] == "create-change-set"]
        after = dict(zip(asked, asked[1:]))
        return json.loads(after["--resources-to-import"]), after["--template-body"]

    def test_what_the_youngest_deleted_stack_has_left_is_imported_as_the_template_has_it(self):
        done = self.run_script("--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("young", next(one for one in self.aws.asked() if one[1] == "describe-stack-events"))
        wanted, template = self.import_asked_for()
        found = {one["LogicalResourceId"]: one["ResourceIdentifier"] for one in wanted}
        self.assertEqual(found["Key"], {"KeyId": "key-1"})
        self.assertEqual(found["Ledger"], {"TableName": "ledger-1"})
        self.assertEqual(found["OperatorsGroup"], {"GroupName": "operators", "UserPoolId": "eu-central-1_A"})
        self.assertEqual(list(found), list(IDS))
        # Each with the policy that an import asks for, and without a condition of the whole template.
        self.assertEqual(template.count("\n    DeletionPolicy: Retain"), len(IDS))
        self.assertEqual(template.count("\n    Type: AWS::"), len(IDS))
        self.assertNotIn("Condition: OwnUserPool", template)
        self.assertIn("TimeToLiveSpecification: { AttributeName: forgetAt, Enabled: true }", template)

    def test_a_table_that_was_made_anew_takes_the_place_of_the_old_one(self):
        self.assertEqual(self.run_script("--yes", "--ledger", "restored-1").returncode, 0)
        wanted, _ = self.import_asked_for()
        self.assertIn({"TableName": "restored-1"}, [one["ResourceIdentifier"] for one in wanted])

    def test_nothing_is_changed_without_a_yes(self):
        self.assertEqual(self.run_script("--dry-run").returncode, 0)
        done = self.run_script(typed="no\n")
        self.assertEqual((done.returncode, done.stderr), (1, "bring-back.py: nothing was done\n"))
        changes = {"create-change-set", "execute-change-set", "delete-bucket-policy"}
        self.assertFalse(changes & {one[1] for one in self.aws.asked()})

    def test_a_stack_for_another_issuer_has_no_users(self):
        self.answers["cloudformation describe-stack-events"]["StackEvents"] = [
            event(name, physical) for name, physical in IDS.items() if name not in ("UserPool", "OperatorsGroup")
        ]
        done = self.run_script("--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("has left UserPool.", done.stderr)
        self.assertEqual(self.run_script("--yes", "--without-users").returncode, 0)
        wanted, template = self.import_asked_for()
        self.assertEqual(len(wanted), 4)
        self.assertNotIn("Cognito", template)

    def test_failures_are_sentences(self):
        self.answers["cloudformation describe-change-set"] = {"Status": "FAILED", "StatusReason": "it has an owner"}
        done = self.run_script("--yes")
        self.assertEqual((done.returncode, "Traceback" in done.stderr), (1, False))
        self.assertIn("it has an owner", done.stderr)
        self.answers["cloudformation list-stacks"] = "the token has expired"
        self.assertIn("the token has expired", self.run_script("--yes").stderr)


if __name__ == "__main__":
    unittest.main()
