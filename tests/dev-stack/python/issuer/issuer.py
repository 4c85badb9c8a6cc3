"""What the addresses of the issuer do. Each takes a `Call` and returns an `Answer`."""

import json
import re
import secrets
import urllib.parse
from http.cookies import CookieError, SimpleCookie

from . import authorization, pages, totp
from .attempts import Attempt
from .authorization import Client
from .grants import Grants, Refused, SignIn
from .key import Key
from .users import User, Users

# The most unfinished sign-ins, so that whoever only begins some does not fill the memory.
MOST_ATTEMPTS = 1_000


class Call:
    """A request, as far as it matters."""

    def __init__(self, query, body, cookies, content_type):
        self.query = query
        self.body = body
        self.cookies = cookies
        self.content_type = content_type

    def form(self):
        return parameters(self.body.decode("utf-8", errors="replace"))

    def document(self):
        """The JSON object in the body. A page of another origin cannot send this type without asking first."""
        if self.content_type != "application/json":
            raise ValueError("the content type is not application/json")
        document = json.loads(self.body)
        if not isinstance(document, dict):
            raise ValueError("the body is not a JSON object")
        return document


class Answer:
    def __init__(self, status, body="", *, kind="text/html; charset=utf-8", headers=()):
        self.status = status
        self.body = body.encode()
        self.kind = kind
        self.headers = list(headers)


def parameters(text):
    """No parameter may be there twice (RFC 6749, 3.1)."""
    pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, max_num_fields=50)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a parameter is there twice")
    return found


def cookies_of(header):
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


def as_json(status, document, *headers):
    return Answer(status, json.dumps(document), kind="application/json", headers=headers)


def redirect(address, *headers):
    return Answer(303, headers=[("location", address), *headers])


def with_query(address, members):
    return f"{address}{'&' if '?' in address else '?'}{urllib.parse.urlencode(members)}"


class Issuer:
    def __init__(self, url, client_id, providers):
        self.url = url
        self.providers = providers
        self.client = Client(client_id)
        self.key = Key()
        self.users = Users()
        self.grants = Grants(url, self.key)
        self.attempts = {}
        # Cookies do not tell ports apart, and there may be several issuers.
        port = urllib.parse.urlsplit(url).port
        self.session_cookie, self.browser_cookie = f"session-{port}", f"browser-{port}"
        self.provider_cookie = f"provider-{port}"

    # ------------------------------------------------------------------------------------------------- documents

    def configuration(self, _call):
        at = self.url
        return as_json(200, {
            "issuer": at, "authorization_endpoint": f"{at}/oauth2/authorize", "token_endpoint": f"{at}/oauth2/token",
            "revocation_endpoint": f"{at}/oauth2/revoke", "end_session_endpoint": f"{at}/logout",
            "jwks_uri": f"{at}/.well-known/jwks.json", "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"], "scopes_supported": ["openid", "email"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"], "prompt_values_supported": ["login", "none"],
            "token_endpoint_auth_methods_supported": ["none"],
        })

    def keys(self, _call):
        return as_json(200, {"keys": [self.key.published()]})

    # ----------------------------------------------------------------------------------------------- the sign-in

    def authorize(self, call):
        try:
            authorization.check_address(self.client, call.query)
        except authorization.Unusable as error:
            return Answer(400, pages.message("This does not work", str(error)))
        try:
            request = authorization.checked(call.query, self.providers)
            session = self.grants.session(call.cookies.get(self.session_cookie))
            if authorization.may_reuse(request, session):
                return self.give_code(session, request)
            if request.get("prompt") == "none":
                raise authorization.Wrong("login_required", "Nobody is signed in.")
        except authorization.Wrong as error:
            return self.back(call.query, {"error": error.error, "error_description": error.description})
        return self.begin(call, request, call.query.get("identity_provider"))

    def begin(self, call, request, provider):
        browser = call.cookies.get(self.browser_cookie) or secrets.token_urlsafe(32)
        attempt = Attempt(browser, request, self.providers)
        while len(self.attempts) >= MOST_ATTEMPTS:
            del self.attempts[next(iter(self.attempts))]
        self.attempts[attempt.id] = attempt
        query = {"attempt": attempt.id}
        place = "/login"
        if provider in self.providers:
            place, query["name"] = "/provider", provider
        return redirect(with_query(self.url + place, query), cookie(self.browser_cookie, browser))

    def attempt(self, call, members):
        """The sign-in that this browser has begun."""
        attempt = self.attempts.get(members.get("attempt", ""))
        if attempt is None or attempt.is_over() or attempt.browser != call.cookies.get(self.browser_cookie):
            return None
        return attempt

    def login(self, call):
        attempt = self.attempt(call, call.query)
        return Answer(200, attempt.page()) if attempt else lost()

    def take_login(self, call):
        form = call.form()
        attempt = self.attempt(call, form)
        if attempt is None:
            return lost()
        sign_in = attempt.take(form, self.users)
        return self.complete(call, attempt, sign_in) if sign_in else Answer(200, attempt.page())

    def provider(self, call):
        attempt, name = self.attempt(call, call.query), call.query.get("name")
        if attempt is None or name not in self.providers:
            return lost()
        known = call.cookies.get(self.provider_cookie)
        # Cognito passes `prompt=login` on to the provider.
        if known and attempt.request.get("prompt") != "login":
            return self.complete_at_provider(call, attempt, name, known)
        return Answer(200, pages.provider(attempt.id, name, None))

    def take_provider(self, call):
        form = call.form()
        attempt, name = self.attempt(call, form), form.get("name")
        if attempt is None or name not in self.providers:
            return lost()
        return self.complete_at_provider(call, attempt, name, form.get("user", "").strip())

    def complete_at_provider(self, call, attempt, provider, user):
        if not re.fullmatch(r"[a-z0-9.-]{1,64}", user, re.ASCII):
            return Answer(200, pages.provider(attempt.id, provider, "A name has small letters, digits, dots and hyphens."))
        sign_in = SignIn(self.users.of_provider(provider, user), None)
        return self.complete(call, attempt, sign_in, cookie(self.provider_cookie, user, "/provider"))

    def complete(self, call, attempt, sign_in, *headers):
        del self.attempts[attempt.id]
        self.grants.end_session(call.cookies.get(self.session_cookie))
        session = cookie(self.session_cookie, self.grants.begin_session(sign_in))
        return self.give_code(sign_in, attempt.request, session, *headers)

    def give_code(self, sign_in, request, *headers):
        return self.back(request, {"code": self.grants.new_code(sign_in, request)}, *headers)

    def back(self, request, members, *headers):
        if "state" in request:
            members["state"] = request["state"]
        return redirect(with_query(request["redirect_uri"], members), *headers)

    def logout(self, call):
        address = call.query.get("logout_uri")
        if call.query.get("client_id") != self.client.id or address not in self.client.sign_outs:
            return Answer(400, pages.message("This does not work", "The application may not return to this address."))
        self.grants.end_session(call.cookies.get(self.session_cookie))
        return redirect(address, (*cookie(self.session_cookie, ""),))

    # ------------------------------------------------------------------------------------------------ the tokens

    def token(self, call):
        try:
            form = call.form()
            kinds = {"authorization_code": self.grants.redeem, "refresh_token": self.grants.refresh}
            if form.get("client_id") != self.client.id:
                raise Refused("invalid_client", "The client is unknown.")
            if form.get("grant_type") not in kinds:
                raise Refused("unsupported_grant_type", "Send a code or a refresh token.")
            return as_json(200, kinds[form["grant_type"]](form))
        except ValueError as error:
            return as_json(400, {"error": "invalid_request", "error_description": str(error)})
        except Refused as refused:
            return as_json(400, {"error": refused.error, "error_description": refused.description})

    def revoke(self, call):
        form = call.form()
        if form.get("client_id") != self.client.id:
            return as_json(400, {"error": "invalid_client"})
        self.grants.revoke(form.get("token", ""))
        return as_json(200, {})

    # -------------------------------------------------------------------------------------------------- for tests

    def sign(self, call):
        return as_json(200, {"token": self.key.token(call.document())})

    def add_user(self, call):
        """`email` and `password`, or `provider` and `id`; perhaps `groups`. With `isInvited` the password must be changed
        and there is no second factor yet. With `isVerified` false nobody has checked the address."""
        asked = call.document()
        groups = list(asked.get("groups", []))
        if "provider" in asked:
            user = self.users.of_provider(asked["provider"], asked["id"])
            user.groups = groups
            return as_json(201, {"subject": user.subject})
        user = User(asked["email"], asked["password"], groups=groups, verified=asked.get("isVerified", True))
        user.must_change_password = bool(asked.get("isInvited"))
        user.secret = None if asked.get("isInvited") else totp.new_secret()
        self.users.add(user)
        return as_json(201, {"subject": user.subject, "totpSecret": user.secret})

    def add_addresses(self, call):
        asked = call.document()
        self.client.callbacks.update(asked.get("callbacks", []))
        self.client.sign_outs.update(asked.get("signOuts", []))
        return as_json(200, {})

    def age(self, call):
        asked = call.document()
        user = self.users.of_subject(asked["subject"])
        if user is None:
            return as_json(404, {"error": "there is no such user"})
        return as_json(200, {"signIns": self.grants.let_be_older(user, int(asked["seconds"]))})


def cookie(name, value, path="/"):
    """A cookie of this host for as long as the browser runs, out of reach for scripts and for posts from other sites."""
    ends = "" if value else "; Max-Age=0"
    return ("set-cookie", f"{name}={value}; Path={path}; HttpOnly; SameSite=Lax{ends}")


def lost():
    sentence = "This sign-in has ended, or another browser began it. Go back to the application and sign in there."
    return Answer(400, pages.message("Please start again", sentence))
