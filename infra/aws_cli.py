"""The AWS CLI, for the scripts beside this file."""

import json
import subprocess


class Failure(Exception):
    """What went wrong, in a sentence that says what to do."""


class Cli:
    """The AWS CLI."""

    def __init__(self, region, endpoint):
        self.options = [*(["--region", region] if region else []), *(["--endpoint-url", endpoint] if endpoint else [])]

    def ask(self, *arguments):
        command = ["aws", *arguments, "--output", "json", *self.options]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        except FileNotFoundError:
            raise Failure("there is no AWS CLI here (aws); install it") from None
        if done.returncode:
            reason = done.stderr.strip().splitlines()
            raise Failure(reason[-1] if reason else f"aws {' '.join(arguments[:2])} fails and gives no reason")
        return json.loads(done.stdout or "{}")
