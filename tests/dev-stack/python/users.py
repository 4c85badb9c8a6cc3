"""Creates a user in the stack's Cognito user pool and signs in with password and second factor, or signs in again.

Reads a JSON request from standard input:
  endpoint, userPoolId, clientId   where
  email, password                  who
  groups                           the groups of a user who does not exist yet; they are made where they are missing
  totpSecret                       instead of groups, the authenticator secret of a user who exists
Prints totpSecret, idToken, accessToken and refreshToken as JSON. A failure is one sentence on standard error and exit
code 1.
"""

import json
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from issuer.totp import current_code


def create(cognito, pool, email, password, groups):
    cognito.admin_create_user(
        UserPoolId=pool, Username=email, MessageAction="SUPPRESS",
        UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
    )
    cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=True)
    for group in groups:
        try:
            cognito.create_group(UserPoolId=pool, GroupName=group)
        except cognito.exceptions.GroupExistsException:
            pass
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=group)


def sign_in_with_password(cognito, client_id, email, password):
    return cognito.initiate_auth(
        ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters={"USERNAME": email, "PASSWORD": password}
    )


def enrol(cognito, client_id, email, password):
    """Adds a second factor. AWS answers a sign-in without one with a challenge to set one up; the emulator lets it pass."""
    answer = sign_in_with_password(cognito, client_id, email, password)
    token = answer["AuthenticationResult"]["AccessToken"]
    secret = cognito.associate_software_token(AccessToken=token)["SecretCode"]
    cognito.verify_software_token(AccessToken=token, UserCode=current_code(secret))
    cognito.set_user_mfa_preference(
        AccessToken=token, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
    )
    return secret


def sign_in(cognito, client_id, email, password, secret):
    answer = sign_in_with_password(cognito, client_id, email, password)
    if answer.get("ChallengeName") != "SOFTWARE_TOKEN_MFA":
        raise SystemExit("the user pool did not ask for the second factor")
    answer = cognito.respond_to_auth_challenge(
        ClientId=client_id, ChallengeName="SOFTWARE_TOKEN_MFA", Session=answer["Session"],
        ChallengeResponses={"USERNAME": email, "SOFTWARE_TOKEN_MFA_CODE": current_code(secret)},
    )
    return answer["AuthenticationResult"]


def main():
    request = json.load(sys.stdin)
    cognito = boto3.client(
        "cognito-idp", endpoint_url=request["endpoint"], region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client_id, email, password = request["clientId"], request["email"], request["password"]
    secret = request.get("totpSecret")
    if secret is None:
        create(cognito, request["userPoolId"], email, password, request["groups"])
        secret = enrol(cognito, client_id, email, password)
    tokens = sign_in(cognito, client_id, email, password, secret)
    json.dump({
        "totpSecret": secret, "idToken": tokens["IdToken"], "accessToken": tokens["AccessToken"],
        "refreshToken": tokens["RefreshToken"],
    }, sys.stdout)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"the user pool refused: {error}") from error
