"""What an application may ask for at /oauth2/authorize."""

import re

SCOPES = {"openid", "email"}

# The parameters that matter later.
KEPT = ("client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "prompt")


class Client:
    """The one application. It has no secret, and returns only to these addresses, letter by letter."""

    def __init__(self, client_id):
        self.id = client_id
        self.callbacks = {"http://localhost:8765/callback"}
        self.sign_outs = {"http://localhost:8765/signed-out"}


class Unusable(Exception):
    """There is no safe address to return to."""


class Wrong(Exception):
    """An error of RFC 6749, 4.1.2.1, or of OpenID Connect Core, 3.1.2.6, and a sentence."""

    def __init__(self, error, description):
        super().__init__(description)
        self.error = error
        self.description = description


def check_address(client, query):
    if query.get("client_id") != client.id:
        raise Unusable("The application is unknown (client_id).")
    if query.get("redirect_uri") not in client.callbacks:
        raise Unusable("The application may not return to this address (redirect_uri).")


def checked(query, providers):
    """The request, with `scope` filled in and `max_age` as a number or None."""
    if query.get("response_type") != "code":
        raise Wrong("unsupported_response_type", "Only response_type=code is supported.")
    scopes = set(query.get("scope", "openid email").split())
    if "openid" not in scopes or scopes - SCOPES:
        raise Wrong("invalid_scope", "The scopes are openid and email.")
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256" or not re.fullmatch(r"[\w-]{43}", challenge, re.ASCII):
        raise Wrong("invalid_request", "PKCE with S256 is required.")
    if query.get("prompt", "") not in ("", "login", "none"):
        raise Wrong("invalid_request", "The prompt is login or none.")
    if not re.fullmatch(r"\d{0,9}", query.get("max_age", ""), re.ASCII):
        raise Wrong("invalid_request", "max_age is a number of seconds.")
    if query.get("identity_provider", "COGNITO") not in (*providers, "COGNITO"):
        raise Wrong("invalid_request", "The identity provider is unknown.")
    request = {name: query[name] for name in KEPT if name in query} | {"scope": " ".join(sorted(scopes, reverse=True))}
    return request | {"max_age": int(query["max_age"]) if query.get("max_age") else None}


def may_reuse(request, session):
    """Whether a session is enough for this request."""
    if session is None or request.get("prompt") == "login":
        return False
    return request["max_age"] is None or session.age() <= request["max_age"]
