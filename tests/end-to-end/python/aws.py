"""Looks at the emulated AWS for the journeys, past the product's API.

Reads a JSON request from standard input: `do` names one of the functions below, `endpoint` is the emulator's URL, and
the rest is its arguments. Prints what the function returns as JSON. A failure is one sentence on standard error and
exit code 1.
"""

import base64
import json
import sys
import time
from pathlib import Path

import boto3
from boto3.dynamodb.types import TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from samtranslator.yaml_helper import yaml_parse


def client(service, endpoint):
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )


def keys(endpoint, bucket, prefix):
    s3 = client("s3", endpoint)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    return found + [upload["Key"] for upload in uploads if upload["Key"].startswith(prefix)]


def encryption(endpoint, bucket, key):
    head = client("s3", endpoint).head_object(Bucket=bucket, Key=key)
    return {name: head.get(name) for name in ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")}


def rewrite(endpoint, table, partition, sort, path, value=None, secondsAgo=None):
    """Changes one field of a record that the ledger has; a time is given by how long ago it is."""
    if secondsAgo is not None:
        value = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - secondsAgo))
    names = {f"#n{place}": name for place, name in enumerate(["record", *path])}
    field = ".".join(names)
    client("dynamodb", endpoint).update_item(
        TableName=table, Key={"partition": {"S": partition}, "sort": {"S": sort}},
        ConditionExpression=f"attribute_exists({field})", UpdateExpression=f"SET {field} = :value",
        ExpressionAttributeNames=names, ExpressionAttributeValues={":value": TypeSerializer().serialize(value)},
    )


def deployed(endpoint, bucket, table, queues, userPoolId, clientId, name):
    s3, dynamodb, sqs = client("s3", endpoint), client("dynamodb", endpoint), client("sqs", endpoint)
    cognito, functions = client("cognito-idp", endpoint), client("lambda", endpoint)
    attributes = {
        queue: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for queue, url in queues.items()
    }
    return {
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"],
        "encryption": s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"],
        "timeToLive": dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"],
        "queues": attributes,
        "userPool": cognito.describe_user_pool(UserPoolId=userPoolId)["UserPool"],
        "userPoolMfa": cognito.get_user_pool_mfa_config(UserPoolId=userPoolId),
        "functions": [f for f in functions.list_functions()["Functions"] if f["FunctionName"].startswith(f"{name}-")],
        "mappings": functions.list_event_source_mappings()["EventSourceMappings"],
    }


def template(endpoint, path):
    return yaml_parse(Path(path).read_text(encoding="utf-8"))


def search_logs(endpoint, needles, name):
    logs = client("logs", endpoint)
    lines, found = {}, set()
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            group = group["logGroupName"]
            lines[group] = 0
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
                for event in events["events"]:
                    lines[group] += 1
                    found.update((group, needle) for needle in needles if needle in event["message"])
    return {"lines": lines, "found": [f"{group}: {needle}" for group, needle in sorted(found)]}


def expired(endpoint, token, key):
    header, claims, _ = token.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    decoded |= {name: decoded[name] - 7200 for name in ("exp", "iat", "auth_time")}
    signed = f"{header}.{segment(json.dumps(decoded).encode())}"
    private = serialization.load_pem_private_key(Path(key).read_bytes(), password=None)
    return f"{signed}.{segment(private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def segment(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main():
    request = json.load(sys.stdin)
    actions = (keys, encryption, rewrite, deployed, template, search_logs, expired)
    action = {action.__name__: action for action in actions}[request.pop("do")]
    json.dump(action(**request), sys.stdout, default=str)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"the emulator refused: {error}") from error
