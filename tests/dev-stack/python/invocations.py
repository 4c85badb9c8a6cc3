"""Counts the invocations of a stack's functions, from the REPORT lines in their logs.

Reads a JSON request from standard input:
  endpoint   the emulator
  stack      what the functions' names begin with
  since      milliseconds since 1970; earlier invocations are left out
Prints as JSON:
  functions    for each function, invocations, billedMillis (as AWS bills: each invocation's time, rounded up to a
               millisecond) and memoryMegabytes
  mostAtOnce   how many invocations there were at most at one time, of all functions together
A failure is one sentence on standard error and exit code 1.
"""

import json
import math
import re
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

REPORT = re.compile(r"^REPORT .*\tBilled Duration: ([0-9.]+) ms\tMemory Size: ([0-9]+) MB")
GROUPS = "/aws/lambda/"


def most_at_once(times):
    # Where one ends in the millisecond in which another begins, the end comes first.
    changes = sorted([(begin, 1) for begin, _ in times] + [(end, -1) for _, end in times])
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def invocations(logs, stack, since):
    found, times = {}, []
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"{GROUPS}{stack}-"):
        for group in (group["logGroupName"] for group in page["logGroups"]):
            count = {"invocations": 0, "billedMillis": 0, "memoryMegabytes": 0}
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since):
                for event in events["events"]:
                    report = REPORT.match(event["message"])
                    if not report:
                        continue
                    millis = math.ceil(float(report[1]))
                    count["invocations"] += 1
                    count["billedMillis"] += millis
                    count["memoryMegabytes"] = int(report[2])
                    times.append((event["timestamp"] - millis, event["timestamp"]))
            if count["invocations"]:
                found[group.removeprefix(f"{GROUPS}{stack}-")] = count
    return {"functions": found, "mostAtOnce": most_at_once(times)}


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
