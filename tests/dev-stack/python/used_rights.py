"""Records which rights of the functions' roles are used: all that a role's statements allow, and of these the actions
that a request needed.

The file is a JSON list: {"role", "statement" (its place in the role's policies), "granted": [action], "used": [action]}.
It is written again whenever a right is used for the first time.
"""

import json
import os
import threading

from ministack.core import iam_evaluator

ROLE_OF_A_STACK = ":assumed-role/"


class UsedRights:
    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.granted = {}
        self.used = {}

    def note(self, context, policies):
        """Notes an allowed request. `policies` are those of its role."""
        role = context.principal_arn.partition(ROLE_OF_A_STACK)[2].partition("/")[0]
        statements = [statement for policy in policies for statement in policy]
        match = iam_evaluator._first_match(context, statements, "Allow")
        place = next(place for place, statement in enumerate(statements) if statement is match)
        with self.lock:
            if role not in self.granted:
                self.granted[role] = [statement.actions for statement in statements]
            elif context.action in self.used.get((role, place), ()):
                return
            self.used.setdefault((role, place), set()).add(context.action)
            self.write()

    def write(self):
        rights = [
            {"role": role, "statement": place, "granted": actions, "used": sorted(self.used.get((role, place), ()))}
            for role, statements in sorted(self.granted.items())
            for place, actions in enumerate(statements)
        ]
        with open(f"{self.path}.new", "w", encoding="utf-8") as file:
            json.dump(rights, file)
        os.replace(f"{self.path}.new", self.path)


def record(path):
    """Records from now on, into the file at `path`."""
    rights, evaluate = UsedRights(path), iam_evaluator.evaluate

    def evaluate_and_note(context, policies, *limits):
        result = evaluate(context, policies, *limits)
        if result.decision == "Allow" and ROLE_OF_A_STACK in context.principal_arn and policies:
            rights.note(context, policies)
        return result

    iam_evaluator.evaluate = evaluate_and_note
