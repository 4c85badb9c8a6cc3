"""Deploys infra/template.yaml to the emulator, the way `sam deploy` does it on AWS.

Reads a JSON request from standard input:
  endpoint    the emulator's URL
  stacks      the template parameters by name, of each stack by its name; all of them run the same uploads
  template    path of the template
  binaries    path of the executable of each function, by the name of its Binary in the template
  others      the same of other executables, which exchange.py may put in their place
Prints JSON: `outputs` by name, of each stack by its name, `code`, the SHA-256 of each function's zip, under which the
emulator unpacks it, `others`, the same of the other executables, and `functions`, the names of the first stack's functions,
all by Binary. A failure is one sentence on standard error and exit code 1.
"""

import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from samtranslator.yaml_helper import yaml_parse

ARTIFACTS = "deployment-artifacts"


def client(service, endpoint):
    config = Config(retries={"max_attempts": 1}, read_timeout=300, s3={"addressing_style": "path"})
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=config,
    )


def zipped(executable):
    """A function's zip. Stored, since packing takes longer than a local upload saves."""
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o755 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, Path(executable).read_bytes())
    return buffer.getvalue()


def upload(executable, s3):
    """Uploads a function and returns the SHA-256 of its zip, which is its key, too."""
    body = zipped(executable)
    code = hashlib.sha256(body).hexdigest()
    s3.put_object(Bucket=ARTIFACTS, Key=code, Body=body)
    return code


def functions(template):
    """The logical ids of the template's functions, by Binary."""
    return {
        resource["Metadata"]["BuildProperties"]["Binary"]: name
        for name, resource in template["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"
    }


def package(template, binaries, s3):
    """Uploads every function and points the template at the uploads, as `sam package` does."""
    code = {}
    s3.create_bucket(Bucket=ARTIFACTS)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            if binary not in binaries:
                raise SystemExit(f"the template names the function {binary}, which functions/ does not have")
            code[binary] = upload(binaries[binary], s3)
            resource["Properties"]["CodeUri"] = f"s3://{ARTIFACTS}/{code[binary]}"
    s3.put_object(Bucket=ARTIFACTS, Key="template.json", Body=json.dumps(template).encode())
    return f"{s3.meta.endpoint_url}/{ARTIFACTS}/template.json", code


def allow_what_the_emulator_asks_for(template):
    """On AWS who may send a message may send a batch of them; for the emulator that is an action of its own. So is what it
    takes the sending of an e-mail for."""
    for resource in template["Resources"].values():
        for policy in resource.get("Properties", {}).get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Action"] == "sqs:SendMessage":
                    statement["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]
                if statement["Action"] == "ses:SendEmail":
                    # For the emulator sending is about no identity, and it knows no sender when it decides.
                    statement["Resource"] = "*"
                    statement.pop("Condition")


def create(cloudformation, stack, template_url, parameters):
    cloudformation.create_stack(
        StackName=stack, TemplateURL=template_url, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        OnFailure="DO_NOTHING",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )


def outputs_once_created(cloudformation, stack):
    try:
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except WaiterError as error:
        raise SystemExit(f"CloudFormation did not create the stack: {reason(cloudformation, stack)}") from error
    created = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in created["Outputs"]}


def reason(cloudformation, stack):
    """Why the first resource failed; the later ones only followed it."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    for event in reversed(events):
        if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
            return f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
    status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return status.get("StackStatusReason", status["StackStatus"])


def apply_what_the_emulator_takes_otherwise(template, outputs, key_id, endpoint):
    """Settings of bucket and table that the emulator takes only from calls, or cannot keep to."""
    bucket = template["Resources"]["Bucket"]["Properties"]
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    s3 = client("s3", endpoint)
    # The bucket takes requests over TLS only, and the emulator has none.
    s3.delete_bucket_policy(Bucket=outputs["BucketName"])
    s3.put_bucket_encryption(
        Bucket=outputs["BucketName"],
        ServerSideEncryptionConfiguration={"Rules": [{
            "BucketKeyEnabled": encryption["BucketKeyEnabled"],
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_id},
        }]},
    )
    s3.put_bucket_lifecycle_configuration(
        Bucket=outputs["BucketName"],
        LifecycleConfiguration={"Rules": [lifecycle(r) for r in bucket["LifecycleConfiguration"]["Rules"]]},
    )
    for name, output in (("Ledger", "TableName"), ("AuditLog", "AuditTableName")):
        table = template["Resources"][name]["Properties"]
        client("dynamodb", endpoint).update_time_to_live(
            TableName=outputs[output], TimeToLiveSpecification=table["TimeToLiveSpecification"]
        )


def give_concurrencies_as_numbers(functions):
    """A concurrency that comes from a parameter arrives as text, over which the emulator's poller stumbles."""
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        most = int(mapping["ScalingConfig"]["MaximumConcurrency"])
        functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": most})


def lifecycle(rule):
    """CloudFormation's form of a lifecycle rule in S3's form."""
    api = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        api["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if "AbortIncompleteMultipartUpload" in rule:
        api["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return api


def main():
    request = json.load(sys.stdin)
    endpoint, stacks = request["endpoint"], request["stacks"]
    template = yaml_parse(Path(request["template"]).read_text(encoding="utf-8"))
    allow_what_the_emulator_asks_for(template)
    cloudformation = client("cloudformation", endpoint)
    url, code = package(template, request["binaries"], client("s3", endpoint))
    for stack, parameters in stacks.items():
        create(cloudformation, stack, url, parameters)
    outputs = {stack: outputs_once_created(cloudformation, stack) for stack in stacks}
    for stack in stacks:
        key_id = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId="Key")
        key_id = key_id["StackResourceDetail"]["PhysicalResourceId"]
        apply_what_the_emulator_takes_otherwise(template, outputs[stack], key_id, endpoint)
    give_concurrencies_as_numbers(client("lambda", endpoint))
    for sender in {parameters.get("EmailSender") for parameters in stacks.values()} - {None, ""}:
        # On AWS the operator verifies the sender before deploying.
        client("sesv2", endpoint).create_email_identity(EmailIdentity=sender)
    others = {binary: upload(path, client("s3", endpoint)) for binary, path in request["others"].items() if binary in code}
    first = next(iter(stacks))
    named = {
        binary: cloudformation.describe_stack_resource(StackName=first, LogicalResourceId=name)
        for binary, name in functions(template).items()
    }
    named = {binary: resource["StackResourceDetail"]["PhysicalResourceId"] for binary, resource in named.items()}
    json.dump({"outputs": outputs, "code": code, "others": others, "functions": named}, sys.stdout)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"the emulator refused the deployment: {error}") from error
