#!/usr/bin/env python3
"""Checks a deployment: whether it answers, works, is protected, and can report trouble.

  python3 infra/check-deployment.py --stack crm-backup

It only looks. Each line says "ok", "note" (worth knowing) or "fault" with what to do; a fault makes exit code 1. Run it
after each deployment. It also finds what somebody has changed by hand in the user pool: the functions cannot see that,
and rely on it.

It needs the AWS CLI and the rights to read the stack.
"""

import argparse
import urllib.error
import urllib.parse
import urllib.request

from aws_cli import Cli, Failure

PATIENCE = 30

# A deployment without changes leaves such a setting as it is.
MEND = "set it back, as the template has it"


class Report:
    """Prints what was found, and remembers whether there was a fault."""

    def __init__(self):
        self.faults = 0

    def say(self, what, is_right, otherwise):
        if is_right:
            print(f"ok     {what}")
        else:
            self.faults += 1
            print(f"fault  {what}: {otherwise}")

    def note(self, text):
        print(f"note   {text}")


def get(url):
    """Status, content type and beginning of the body."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.headers.get("content-type", ""), answer.read(1_000_000)
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("content-type", ""), error.read(1_000_000)
    except OSError as error:
        return None, "", str(getattr(error, "reason", error)).encode()


def check_api(report, url):
    status, _, body = get(f"{url}/openapi.json")
    right = status == 200 and b'"openapi"' in body
    report.say("the API describes itself", right, f"{url}/openapi.json answers {status}")
    status, _, _ = get(f"{url}/accounts/1")
    report.say("the API lets nobody in without a token", status == 401, f"{url}/accounts/1 answers {status}, not 401")
    status, kind, _ = get(f"{url}/nothing-is-here")
    right = status == 404 and "problem+json" in kind
    report.say("unknown paths are answered by a function", right, f"{status}, {kind or 'no content type'}")


def check_sign_in(report, cli, outputs):
    pool, client = outputs["UserPoolId"], outputs["ClientId"]
    described = cli.ask("cognito-idp", "describe-user-pool-client", "--user-pool-id", pool, "--client-id", client)
    described = described["UserPoolClient"]
    query = {"response_type": "code", "client_id": client, "redirect_uri": next(iter(described["CallbackURLs"]), "")}
    status, _, _ = get(f"{outputs['SignInUrl']}/oauth2/authorize?{urllib.parse.urlencode(query)}")
    otherwise = f"{outputs['SignInUrl']} answers {status}; after the first deployment, wait some minutes"
    report.say("the sign-in pages are there", status == 200, otherwise)
    mfa = cli.ask("cognito-idp", "get-user-pool-mfa-config", "--user-pool-id", pool)
    right = mfa.get("MfaConfiguration") == "ON" and not mfa.get("SmsMfaConfiguration")
    report.say("every user needs an authenticator app", right, f"somebody has changed the user pool {pool}; {MEND}")
    flows = set(described.get("ExplicitAuthFlows", [])) - {"ALLOW_ADMIN_USER_PASSWORD_AUTH"}
    otherwise = f"the client allows {', '.join(sorted(flows))}; {MEND}"
    report.say("nobody signs in past the pages", not flows, otherwise)
    scopes = set(described.get("AllowedOAuthScopes", []))
    otherwise = f"the client has the scopes {', '.join(sorted(scopes))}; {MEND}"
    report.say("tokens cannot change their user", scopes == {"openid", "email"}, otherwise)
    clients = cli.ask("cognito-idp", "list-user-pool-clients", "--user-pool-id", pool).get("UserPoolClients", [])
    otherwise = f"there are {len(clients)} clients; tokens of the others are not taken here, but they may change users"
    report.say("there is one client", len(clients) == 1, otherwise)


def check_work(report, cli, functions):
    for function in functions:
        found = cli.ask("lambda", "list-event-source-mappings", "--function-name", function)["EventSourceMappings"]
        for mapping in found:
            right = mapping["State"] in ("Enabled", "Enabling", "Updating", "Creating")
            otherwise = f"its queue is {mapping['State']}; enable the mapping {mapping['UUID']}"
            report.say(f"{function} takes work", right, otherwise)
    most = cli.ask("lambda", "get-account-settings")["AccountLimit"]["ConcurrentExecutions"]
    if most <= 20:
        report.note(f"only {most} functions may run at the same time in this AWS account; ask for a higher quota")


def check_alarms(report, cli, alarms):
    topics = {topic for alarm in alarms for topic in alarm.get("AlarmActions", [])}
    report.say("alarms are sent", bool(topics), "there is no topic; deploy with AlarmTopicArn")
    for topic in sorted(topics):
        try:
            listed = cli.ask("sns", "list-subscriptions-by-topic", "--topic-arn", topic).get("Subscriptions", [])
        except Failure as failure:
            report.say("somebody gets them", False, str(failure))
            continue
        confirmed = [one for one in listed if one["SubscriptionArn"].startswith("arn:")]
        report.say("somebody gets them", bool(confirmed), f"nobody has confirmed a subscription of {topic}")
    for alarm in alarms:
        if alarm["StateValue"] == "ALARM":
            report.say(f"{alarm['AlarmName']} is quiet", False, alarm.get("AlarmDescription", "see its history"))


def check_email(report, cli, sender):
    if not sender:
        report.note("no e-mail is sent; EmailSender is empty")
        return
    listed = cli.ask("sesv2", "list-email-identities")["EmailIdentities"]
    names = {one["IdentityName"] for one in listed if one.get("SendingEnabled", True)}
    right = sender in names or sender.rpartition("@")[2] in names
    report.say(f"Amazon SES knows {sender}", right, "verify the address or its domain")
    account = cli.ask("sesv2", "get-account")
    if not account.get("ProductionAccessEnabled", True):
        report.note("Amazon SES is in its sandbox, so only verified receivers get e-mail; ask AWS to leave it")


def run():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", metavar="NAME", required=True, help="the stack")
    parser.add_argument("--region", help="its region, if it is not the AWS CLI's own")
    parser.add_argument("--endpoint-url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cli, report = Cli(options.region, options.endpoint_url), Report()

    stack = cli.ask("cloudformation", "describe-stacks", "--stack-name", options.stack)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}
    listed = cli.ask("cloudformation", "list-stack-resources", "--stack-name", options.stack)["StackResourceSummaries"]

    def of_type(kind):
        return [one["PhysicalResourceId"] for one in listed if one["ResourceType"] == kind]

    status = stack["StackStatus"]
    right = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    report.say("the last deployment is complete", right, f"it is {status}; see the events of the stack")
    if not stack.get("EnableTerminationProtection"):
        report.note("the stack is not protected from deletion (aws cloudformation update-termination-protection)")
    if "ApiUrl" not in outputs:
        raise Failure(f"{options.stack} is no stack of crm-backup: it has no output ApiUrl")
    check_api(report, outputs["ApiUrl"].rstrip("/"))
    if "UserPoolId" in outputs:
        check_sign_in(report, cli, outputs)
    check_work(report, cli, of_type("AWS::Lambda::Function"))
    names = of_type("AWS::CloudWatch::Alarm")
    found = cli.ask("cloudwatch", "describe-alarms", "--alarm-names", *names)["MetricAlarms"] if names else []
    check_alarms(report, cli, found)
    check_email(report, cli, parameters.get("EmailSender"))
    if report.faults:
        raise Failure(f"{report.faults} fault{'s' if report.faults > 1 else ''}")
    print("Nothing is wrong.")


if __name__ == "__main__":
    try:
        run()
    except Failure as failure:
        raise SystemExit(f"check-deployment.py: {failure}") from None
    except KeyboardInterrupt:
        raise SystemExit("check-deployment.py: interrupted") from None
