"""Sessions of browsers, codes and refresh tokens, and the tokens that they give."""

import base64
import hashlib
import hmac
import secrets
import time
import uuid

# Seconds. The template and Cognito's documentation have the same.
SESSION = 3_600
CODE = 300
ID_TOKEN = 900
ACCESS_TOKEN = 300
REFRESH_TOKEN = 36_000


class Refused(Exception):
    """An error of RFC 6749, 5.2, and a sentence."""

    def __init__(self, error, description):
        super().__init__(description)
        self.error = error
        self.description = description


class SignIn:
    """A user has signed in. `methods` are the values of `amr`, or None if a provider has signed the user in."""

    def __init__(self, user, methods):
        self.user = user
        self.methods = methods
        self.at = int(time.time())

    def age(self):
        return int(time.time()) - self.at


class Grant:
    """What one code gives; it ends as a whole."""

    def __init__(self, sign_in, request):
        self.id = str(uuid.uuid4())
        self.sign_in = sign_in
        self.request = request
        self.made_at = time.time()
        self.is_used = False
        self.is_ended = False


class Grants:
    def __init__(self, issuer, key):
        self.issuer = issuer
        self.key = key
        self.sessions = {}  # by cookie: SignIn
        self.codes = {}  # by code: Grant
        self.refresh_tokens = {}  # by token: Grant

    def begin_session(self, sign_in):
        cookie = secrets.token_urlsafe(32)
        self.sessions[cookie] = sign_in
        return cookie

    def session(self, cookie):
        sign_in = self.sessions.get(cookie)
        if sign_in is not None and sign_in.age() >= SESSION:
            del self.sessions[cookie]
            return None
        return sign_in

    def end_session(self, cookie):
        self.sessions.pop(cookie, None)

    def let_be_older(self, user, seconds):
        """Lets all sign-ins of a user have been earlier."""
        held = [*self.sessions.values(), *(grant.sign_in for grant in self.refresh_tokens.values())]
        of_user = {id(sign_in): sign_in for sign_in in held if sign_in.user is user}
        for sign_in in of_user.values():
            sign_in.at -= seconds
        return len(of_user)

    def new_code(self, sign_in, request):
        code = secrets.token_urlsafe(32)
        self.codes[code] = Grant(sign_in, request)
        return code

    def redeem(self, form):
        """Tokens for a code. Any try uses it up."""
        grant = self.codes.get(form.get("code", ""))
        if grant is None:
            raise Refused("invalid_grant", "The code is unknown.")
        if grant.is_used:
            grant.is_ended = True
            raise Refused("invalid_grant", "The code was used before.")
        grant.is_used = True
        if time.time() - grant.made_at > CODE:
            raise Refused("invalid_grant", "The code is too old.")
        asked = grant.request
        if (form.get("client_id"), form.get("redirect_uri")) != (asked["client_id"], asked["redirect_uri"]):
            raise Refused("invalid_grant", "The code is for another client or address.")
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if not hmac.compare_digest(challenge, asked["code_challenge"]):
            raise Refused("invalid_grant", "The code verifier is wrong.")
        return self.tokens(grant, asked.get("nonce"))

    def refresh(self, form):
        """Tokens for a refresh token, which ends with that."""
        grant = self.refresh_tokens.pop(form.get("refresh_token", ""), None)
        if grant is None or grant.is_ended or grant.sign_in.age() >= REFRESH_TOKEN:
            raise Refused("invalid_grant", "The refresh token is unknown, used, ended or too old.")
        if form.get("client_id") != grant.request["client_id"]:
            raise Refused("invalid_grant", "The refresh token is for another client.")
        return self.tokens(grant, None)

    def revoke(self, token):
        grant = self.refresh_tokens.pop(token, None)
        if grant is not None:
            grant.is_ended = True

    def tokens(self, grant, nonce):
        refresh_token = secrets.token_urlsafe(48)
        self.refresh_tokens[refresh_token] = grant
        access_token = self.access_token(grant)
        return {
            "id_token": self.id_token(grant, nonce, access_token), "access_token": access_token,
            "refresh_token": refresh_token, "token_type": "Bearer", "expires_in": ACCESS_TOKEN,
        }

    def shared_claims(self, grant, use, lifetime):
        now = int(time.time())
        user = grant.sign_in.user
        claims = {
            "iss": self.issuer, "sub": user.subject, "token_use": use, "auth_time": grant.sign_in.at, "iat": now,
            "exp": now + lifetime, "jti": str(uuid.uuid4()), "origin_jti": grant.id,
        }
        groups = user.groups + ([f"local_{user.provider}"] if user.provider else [])
        return claims | ({"cognito:groups": groups} if groups else {})

    def access_token(self, grant):
        """As Cognito's: a client, and no audience."""
        claims = self.shared_claims(grant, "access", ACCESS_TOKEN)
        request = grant.request
        claims |= {
            "client_id": request["client_id"], "scope": request["scope"], "username": grant.sign_in.user.name, "version": 2
        }
        return self.key.token(claims)

    def id_token(self, grant, nonce, access_token):
        user, sign_in = grant.sign_in.user, grant.sign_in
        claims = self.shared_claims(grant, "id", ID_TOKEN) | {
            "aud": grant.request["client_id"], "cognito:username": user.name, "email": user.email,
            "email_verified": user.is_verified,
            "at_hash": base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode(),
        }
        if nonce:
            claims["nonce"] = nonce
        if sign_in.methods:
            claims |= {"amr": sign_in.methods, "acr": "urn:cognito:loa:4"}
        if user.provider:
            claims["identities"] = [{
                "userId": user.provider_id, "providerName": user.provider, "providerType": "SAML", "issuer": None,
                "primary": "true", "dateCreated": str(user.made_at),
            }]
        return self.key.token(claims)
