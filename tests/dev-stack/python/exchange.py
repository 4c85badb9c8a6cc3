"""Gives functions other code, as a deployment does, while they work.

Reads a JSON request from standard input:
  endpoint    the emulator's URL
  code        the SHA-256 of the zip that each function shall run from now on, by the function's name; deploy.py has uploaded it
Prints `null`. A failure is one sentence on standard error and exit code 1.
"""

import json
import sys

from botocore.exceptions import BotoCoreError, ClientError

from deploy import ARTIFACTS, client


def main():
    request = json.load(sys.stdin)
    functions = client("lambda", request["endpoint"])
    for name, code in request["code"].items():
        functions.update_function_code(FunctionName=name, S3Bucket=ARTIFACTS, S3Key=code)
    print("null")


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"the emulator refused to exchange a function: {error}") from error
