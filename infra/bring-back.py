#!/usr/bin/env python3
"""Gives what a deleted stack has left behind to a new stack of the same name: key, bucket, ledger, audit log and users.

  python3 infra/bring-back.py --stack crm-backup --dry-run    # says what it has found
  python3 infra/bring-back.py --stack crm-backup
  sam deploy                                                  # adds all the rest

A new stack would have tables and a bucket of its own, which are empty. This script makes a stack that has only what was
left (an import of CloudFormation), and `sam deploy` completes it. Nothing that is stored is copied or changed.

It needs the AWS CLI, and the rights of whoever deploys.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

from aws_cli import Cli, Failure

EPILOG = """\
A deleted stack is found for 90 days. After that, or if you made a table anew from its point-in-time recovery, name
what to take: --key ID, --bucket NAME, --ledger NAME, --audit-log NAME, --user-pool ID. What you do not name is taken
from the deleted stack. docs/operator.md has the whole procedure.
"""

# In the checkout it is beside this file, and in a package one folder above.
TEMPLATE = next(Path(__file__).parent.glob("template.yaml"), Path(__file__).parent.parent / "template.yaml")

# What stays, in the order of the template: the name in the template, its type, and what CloudFormation finds it by.
KEPT = (
    ("Key", "AWS::KMS::Key", "KeyId"),
    ("Bucket", "AWS::S3::Bucket", "BucketName"),
    ("Ledger", "AWS::DynamoDB::Table", "TableName"),
    ("AuditLog", "AWS::DynamoDB::Table", "TableName"),
    ("UserPool", "AWS::Cognito::UserPool", "UserPoolId"),
    ("OperatorsGroup", "AWS::Cognito::UserPoolGroup", "GroupName"),
)

# Stacks whose users sign in at another issuer have none of these.
OF_USERS = ("UserPool", "OperatorsGroup")

PATIENCE = 600


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", metavar="NAME", required=True, help="the name of the deleted and of the new stack")
    parser.add_argument("--region", help="its region, if it is not the AWS CLI's own")
    parser.add_argument("--dry-run", action="store_true", help="say what would be taken, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask before the stack is made")
    parser.add_argument("--without-users", action="store_true", help="the stack is for another issuer (TokenIssuer)")
    parser.add_argument("--key", metavar="ID", dest="Key")
    parser.add_argument("--bucket", metavar="NAME", dest="Bucket")
    parser.add_argument("--ledger", metavar="NAME", dest="Ledger")
    parser.add_argument("--audit-log", metavar="NAME", dest="AuditLog")
    parser.add_argument("--user-pool", metavar="ID", dest="UserPool")
    parser.add_argument("--endpoint-url", help=argparse.SUPPRESS)
    return parser.parse_args()


def left_behind(cli, stack):
    """The ids of what the youngest deleted stack of this name has left, by name in the template."""
    deleted = cli.ask("cloudformation", "list-stacks", "--stack-status-filter", "DELETE_COMPLETE")["StackSummaries"]
    deleted = [one for one in deleted if one["StackName"] == stack]
    if not deleted:
        return {}
    youngest = max(deleted, key=lambda one: str(one.get("DeletionTime", one.get("CreationTime"))))
    events = cli.ask("cloudformation", "describe-stack-events", "--stack-name", youngest["StackId"])["StackEvents"]
    kept = {}
    for event in events:
        # Newest first. An update may have left something, too.
        if event["ResourceStatus"] == "DELETE_SKIPPED":
            kept.setdefault(event["LogicalResourceId"], event["PhysicalResourceId"])
    return kept


def chosen(options, cli):
    """The ids of what to take, by name in the template."""
    names = [name for name, _, _ in KEPT if not (options.without_users and name in OF_USERS)]
    named = {name: getattr(options, name, None) for name in names}
    # Only the youngest stack is looked at, so a pool that an older one has left must be named.
    found = {} if all(named[name] or name == "OperatorsGroup" for name in names) else left_behind(cli, options.stack)
    ids = {name: named[name] or found.get(name) for name in names}
    if "OperatorsGroup" in ids:
        ids["OperatorsGroup"] = "operators"
    missing = [name for name in names if not ids[name]]
    if missing:
        raise Failure(
            f"there is no deleted stack {options.stack} that has left {', '.join(missing)}. Name what to take "
            "(--help lists the options)" + ("" if options.without_users else ", or use --without-users")
        )
    return ids


def resource(text, name):
    """The lines of one resource of the template, without its condition."""
    lines = re.search(rf"^  {name}:\n(?:(?:    .*| *)\n)+", text, re.MULTILINE)
    if not lines:
        raise Failure(f"{TEMPLATE} has no resource {name}")
    return "".join(line for line in lines.group(0).splitlines(True) if not line.startswith("    Condition:"))


def template(names):
    """A template with these resources only, as the whole template has them."""
    text = TEMPLATE.read_text(encoding="utf-8")
    head = 'AWSTemplateFormatVersion: "2010-09-09"\nDescription: crm-backup - what a deleted stack has left\n'
    return head + "Resources:\n" + "".join(resource(text, name) for name in names)


def bring_back(cli, stack, ids):
    kinds = {name: (kind, key) for name, kind, key in KEPT}
    wanted = []
    for name, physical in ids.items():
        kind, key = kinds[name]
        identifier = {key: physical}
        if name == "OperatorsGroup":
            identifier["UserPoolId"] = ids["UserPool"]
        wanted.append({"ResourceType": kind, "LogicalResourceId": name, "ResourceIdentifier": identifier})
    # It is made anew by `sam deploy`, which would stumble over one that is there.
    cli.ask("s3api", "delete-bucket-policy", "--bucket", ids["Bucket"])
    with tempfile.TemporaryDirectory() as folder:
        body, imports = Path(folder, "template.yaml"), Path(folder, "resources.json")
        body.write_text(template(ids), encoding="utf-8")
        imports.write_text(json.dumps(wanted), encoding="utf-8")
        cli.ask(
            "cloudformation", "create-change-set", "--stack-name", stack, "--change-set-name", "bring-back",
            "--change-set-type", "IMPORT", "--resources-to-import", f"file://{imports}",
            "--template-body", f"file://{body}",
        )
    name = ("--stack-name", stack, "--change-set-name", "bring-back")
    wait(lambda: cli.ask("cloudformation", "describe-change-set", *name), "Status", "CREATE_COMPLETE")
    cli.ask("cloudformation", "execute-change-set", *name)
    described = ("cloudformation", "describe-stacks", "--stack-name", stack)
    wait(lambda: cli.ask(*described)["Stacks"][0], "StackStatus", "IMPORT_COMPLETE")


def wait(look, member, wanted):
    for _ in range(PATIENCE // 2):
        seen = look()
        if seen[member] == wanted:
            return
        if seen[member].endswith(("FAILED", "ROLLBACK_COMPLETE")):
            reason = seen.get("StatusReason") or seen.get("StackStatusReason") or "it gives no reason"
            raise Failure(f"CloudFormation ended with {seen[member]}: {reason}")
        time.sleep(2)
    raise Failure(f"CloudFormation is not done after {PATIENCE // 60} minutes; look at the stack in its console")


def run():
    options = arguments()
    cli = Cli(options.region, options.endpoint_url)
    ids = chosen(options, cli)
    print(f"The stack {options.stack} will have")
    for name, physical in ids.items():
        print(f"  {name:<15} {physical}")
    if options.dry_run:
        return
    if not options.yes and input("Make it now? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Failure("nothing was done")
    bring_back(cli, options.stack, ids)
    print(f"Done. The stack {options.stack} has what was left, and nothing else yet. Deploy it as usual: sam deploy")


if __name__ == "__main__":
    try:
        run()
    except Failure as failure:
        raise SystemExit(f"bring-back.py: {failure}") from None
    except (KeyboardInterrupt, EOFError):
        raise SystemExit("bring-back.py: interrupted") from None
