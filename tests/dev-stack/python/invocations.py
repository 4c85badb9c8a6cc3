"""Counts the invocations of a stack's functions, from the REPORT lines in their logs.

Reads a JSON request from standard input:
  endpoint   the emulator
  stack      what the functions' names begin with
  since      milliseconds since 1970; earlier invocations are left out
Prints, for each function, invocations, billedMillis (as AWS bills: each invocation's time, rounded up to a millisecond)
and memoryMegabytes as JSON. A failure is one sentence on standard error and exit code 1.
"""

import json
import math
import re
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

REPORT = re.compile(r"^REPORT .*\tBilled Duration: ([0-9.]+) ms\tMemory Size: ([0-9]+) MB")
GROUPS = "/aws/lambda/"


def invocations(logs, stack, since):
    found = {}
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"{GROUPS}{stack}-"):
        for group in (group["logGroupName"] for group in page["logGroups"]):
            count = {"invocations": 0, "billedMillis": 0, "memoryMegabytes": 0}
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since):
                for report in filter(None, (REPORT.match(event["message"]) for event in events["events"])):
                    count["invocations"] += 1
                    count["billedMillis"] += math.ceil(float(report[1]))
                    count["memoryMegabytes"] = int(report[2])
            if count["invocations"]:
                found[group.removeprefix(f"{GROUPS}{stack}-")] = count
    return found


def main():
    request = json.load(sys.stdin)
    logs = boto3.client(
        "logs", endpoint_url=request["endpoint"], region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    json.dump(invocations(logs, request["stack"], request["since"]), sys.stdout)


try:
    main()
except (BotoCoreError, ClientError) as error:
    sys.exit(f"the emulator does not show its logs: {error}")
