"""Looks at the emulated AWS for the journeys, past the product's API.

Reads a JSON request from standard input: `do` names one of the functions below, `endpoint` is the emulator's URL, and
the rest is its arguments. Prints what the function returns as JSON. A failure is one sentence on standard error and
exit code 1.
"""

import base64
import hashlib
import hmac
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


def rewrite(endpoint, table, partition, sort, path, value=None, secondsAgo=None, due=False):
    """Changes one field of a record that the ledger has; a time is given by how long ago it is. With `due` the record is
    due a minute ago as well."""
    if secondsAgo is not None:
        value = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - secondsAgo))
    names = {f"#n{place}": name for place, name in enumerate(["record", *path])}
    field = ".".join(names)
    changes, values = [f"{field} = :value"], {":value": TypeSerializer().serialize(value)}
    if due:
        names["#due"] = "dueAt"
        changes.append("#due = :due")
        values[":due"] = {"N": str(int((time.time() - 60) * 1000))}
    client("dynamodb", endpoint).update_item(
        TableName=table, Key={"partition": {"S": partition}, "sort": {"S": sort}},
        ConditionExpression=f"attribute_exists({field})", UpdateExpression=f"SET {', '.join(changes)}",
        ExpressionAttributeNames=names, ExpressionAttributeValues=values,
    )


def deployed(endpoint, bucket, table, auditTable, queues, userPoolId, clientId, name):
    s3, dynamodb, sqs = client("s3", endpoint), client("dynamodb", endpoint), client("sqs", endpoint)
    cognito, functions = client("cognito-idp", endpoint), client("lambda", endpoint)
    attributes = {
        queue: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for queue, url in queues.items()
    }
    return {
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"],
        "encryption": s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"],
        "timeToLive": [
            dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"] for name in (table, auditTable)
        ],
        "queues": attributes,
        "userPool": cognito.describe_user_pool(UserPoolId=userPoolId)["UserPool"],
        "userPoolMfa": cognito.get_user_pool_mfa_config(UserPoolId=userPoolId),
        "functions": [f for f in functions.list_functions()["Functions"] if f["FunctionName"].startswith(f"{name}-")],
        "mappings": functions.list_event_source_mappings()["EventSourceMappings"],
    }


def template(endpoint, path):
    return yaml_parse(Path(path).read_text(encoding="utf-8"))


def watch_bus(endpoint, bus, account):
    """Lets the events of one account go from the bus to a queue of its own. Returns the queue's URL."""
    events, sqs, name = client("events", endpoint), client("sqs", endpoint), f"events-of-{account}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["crm-backup"], "detail": {"accountId": [account]}}
    events.put_rule(EventBusName=bus, Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(EventBusName=bus, Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def unwatch_bus(endpoint, bus, account):
    events, sqs, name = client("events", endpoint), client("sqs", endpoint), f"events-of-{account}"
    events.remove_targets(EventBusName=bus, Rule=name, Ids=["queue"])
    events.delete_rule(EventBusName=bus, Name=name)
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


def received(endpoint, queue):
    """Takes all messages out of a queue."""
    sqs, bodies = client("sqs", endpoint), []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def put_message(endpoint, queue, body):
    client("sqs", endpoint).send_message(QueueUrl=queue, MessageBody=json.dumps(body))


def is_signed(endpoint, secret, headers, body):
    """Whether a webhook is signed as https://www.standardwebhooks.com says, by the standard library alone."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and expected in headers["webhook-signature"].split(" ")


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


def foreign_token(endpoint, group, userPoolId=None):
    """The ID token of somebody who has made themselves a client of their own in a user pool, and is in a group there; in a
    pool of their own, if none is named."""
    cognito, email = client("cognito-idp", endpoint), f"stranger-{time.time_ns()}@example.com"
    pool = userPoolId or cognito.create_user_pool(PoolName=f"of-{email}")["UserPool"]["Id"]
    made = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName=f"of-{email}", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )
    password = "Strangers-horse-42-staple"
    cognito.admin_create_user(UserPoolId=pool, Username=email, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=True)
    cognito.create_group(UserPoolId=pool, GroupName=group)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=group)
    answer = cognito.initiate_auth(
        ClientId=made["UserPoolClient"]["ClientId"], AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": password},
    )
    return answer["AuthenticationResult"]["IdToken"]


def segment(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main():
    request = json.load(sys.stdin)
    actions = (
        keys, encryption, rewrite, deployed, template, watch_bus, unwatch_bus, received, put_message, is_signed,
        search_logs, expired, foreign_token,
    )
    action = {action.__name__: action for action in actions}[request.pop("do")]
    json.dump(action(**request), sys.stdout, default=str)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"the emulator refused: {error}") from error
