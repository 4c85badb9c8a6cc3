"""Starts MiniStack, with two things as AWS does them and MiniStack does not.

A staging label belongs to one version of a secret: giving it to another version takes it from the first one (API
reference of Secrets Manager, PutSecretValue). A policy may ask for the label that a request names (condition key
secretsmanager:VersionStage in the Service Authorization Reference).
"""

import json

from ministack.app import main
from ministack.core import iam_actions
from ministack.services import secretsmanager

put_secret_value = secretsmanager._put_secret_value
request_tag_context = iam_actions.request_tag_context


def put_and_move_labels(data):
    answer = put_secret_value(data)
    _, secret = secretsmanager._resolve(data.get("SecretId"))
    if secret and answer[0] == 200:
        version = json.loads(answer[2])["VersionId"]
        for label in data.get("VersionStages", []):
            secretsmanager._remove_stage_everywhere(secret, label, except_version_id=version)
    return answer


def context_with_label(service, iam_action, body, params):
    context = request_tag_context(service, iam_action, body, params)
    if service == "secretsmanager":
        label = json.loads(body or b"{}").get("VersionStage")
        return context if label is None else {**context, "secretsmanager:VersionStage": label}
    return context


secretsmanager._put_secret_value = put_and_move_labels
iam_actions.request_tag_context = context_with_label

if __name__ == "__main__":
    main()
