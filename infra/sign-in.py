#!/usr/bin/env python3
"""Signs in at the sign-in pages of a stack, and prints an ID token for curl and scripts.

  ID_TOKEN=$(python3 infra/sign-in.py --stack crm-backup)
  curl -H "Authorization: Bearer $ID_TOKEN" "$API/accounts/4711/backups"

A browser opens. At the first sign-in you choose a password and connect an authenticator app: have the app ready. The
token is all that is written to standard output. It is valid for 15 minutes; treat it like a password.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import html
import http.client
import json
import os
import queue
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EPILOG = """\
where to sign in:
  --stack needs the AWS CLI and the right to look at the stack (cloudformation:DescribeStacks). Without it, ask your
  operator for the outputs SignInUrl and ClientId of the stack. SIGN_IN_URL and CLIENT in the environment do the same as
  --url and --client-id.

a fresh sign-in:
  Confirming a restore needs a sign-in of the last five minutes. A browser that has signed in within the last hour is
  not asked again, unless you add --fresh. Then a token is printed only if somebody has just signed in.

a script that takes longer than 15 minutes:
  --session FILE keeps the session in a file that only you can read. The next call with the same file needs no browser,
  for up to 10 hours after the sign-in. Whoever has the file has your rights for as long. --sign-out ends the session.

a machine without a browser:
  --no-browser prints the address. Open it anywhere. In the end the browser is sent to localhost, which is another
  machine then: paste that address here, or forward the port (ssh -L 8765:localhost:8765).
"""

# Where browsers come back to; the defaults of the template's parameters CallbackUrls and SignOutUrls.
CALLBACK = "http://localhost:8765/callback"
SIGNED_OUT = "http://localhost:8765/signed-out"

# How old a sign-in may be when a restore is confirmed, in seconds.
FRESH = 300

# How long to wait for an answer of the network, in seconds.
PATIENCE = 30


class Failure(Exception):
    """What went wrong, in a sentence that says what to do."""


# ------------------------------------------------------------------------------------------------------ arguments


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_argument_group("where to sign in")
    where.add_argument("--stack", metavar="NAME", help="the stack; the AWS CLI looks up the rest")
    where.add_argument("--region", help="the region of the stack, if it is not the AWS CLI's own")
    where.add_argument("--url", default=os.environ.get("SIGN_IN_URL"), help="the stack's output SignInUrl")
    where.add_argument("--client-id", default=os.environ.get("CLIENT"), help="the stack's output ClientId")
    how = parser.add_argument_group("how to sign in")
    how.add_argument("--fresh", action="store_true", help="sign in again, even if the browser still remembers you")
    how.add_argument("--provider", metavar="NAME", help="go straight to this identity provider (parameter SsoName)")
    how.add_argument("--lang", metavar="CODE", help="language of the pages, such as de")
    how.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    how.add_argument("--session", metavar="FILE", help="keep the session in this file, and use it next time")
    how.add_argument("--timeout", metavar="SECONDS", type=int, default=600, help="how long to wait (default: 600)")
    how.add_argument(
        "--callback", metavar="URL", help=f"where the browser returns to (default: {CALLBACK}); one of CallbackUrls"
    )
    parser.add_argument("--sign-out", action="store_true", help="end the session of the browser, and of --session")
    parser.add_argument(
        "--signed-out", metavar="URL", default=SIGNED_OUT,
        help=f"where the browser returns to after --sign-out (default: {SIGNED_OUT}); one of SignOutUrls",
    )
    options = parser.parse_args(argv)
    if options.stack:
        options.url, options.client_id = outputs(options.stack, options.region)
    if not options.url or not options.client_id:
        parser.error("say where to sign in: --stack NAME, or both --url URL and --client-id ID")
    options.url = base_url(options.url)
    options.callback = listening_url(options.callback or CALLBACK, "--callback")
    options.signed_out = listening_url(options.signed_out, "--signed-out")
    return options


def outputs(stack, region):
    """The address of the sign-in pages and the client, from the outputs of a stack."""
    command = ["aws", "cloudformation", "describe-stacks", "--stack-name", stack, "--output", "json"]
    command += ["--region", region] if region else []
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        raise Failure("there is no AWS CLI here (aws); install it, or give --url and --client-id") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise Failure(f"the AWS CLI cannot look at the stack {stack}: {reason[-1] if reason else 'it gives no reason'}")
    try:
        listed = json.loads(done.stdout)["Stacks"][0].get("Outputs", [])
        found = {one["OutputKey"]: one["OutputValue"] for one in listed}
    except (ValueError, KeyError, IndexError, TypeError):
        raise Failure("the AWS CLI answered in an unknown form") from None
    if "SignInUrl" not in found or "ClientId" not in found:
        raise Failure(f"the stack {stack} has no sign-in pages; do its users sign in at another issuer (TokenIssuer)?")
    return found["SignInUrl"], found["ClientId"]


def base_url(text):
    """Passwords and tokens go there, so it is https, or on this machine."""
    text = text if "://" in text else f"https://{text}"
    url = urllib.parse.urlsplit(text)
    local = url.hostname in ("localhost", "127.0.0.1", "::1")
    if not url.hostname or url.scheme not in (("http", "https") if local else ("https",)):
        raise Failure(f"{text} is no address of sign-in pages; it begins with https://")
    return text.rstrip("/")


def listening_url(text, option):
    """This program listens there, so it is on this machine."""
    url = urllib.parse.urlsplit(text)
    try:
        port = url.port
    except ValueError:
        port = None
    if url.scheme != "http" or url.hostname != "localhost" or not port or not url.path:
        raise Failure(f"{option} is an address such as {CALLBACK}: http, localhost, a port and a path")
    return text


# --------------------------------------------------------------------------------------------------- the listener


class Listener:
    """Takes the requests with which a browser comes back. Browsers look up localhost as 127.0.0.1 or as ::1."""

    def __init__(self, url):
        self.path = urllib.parse.urlsplit(url).path
        self.port = urllib.parse.urlsplit(url).port
        self.arrived = queue.Queue()
        self.expected = None
        self.servers = [server for server in (self._server("127.0.0.1"), self._server("::1")) if server]
        if not self.servers:
            raise Failure(
                f"port {self.port} of this machine is in use. End the program that uses it (another sign-in?), or let "
                f"your operator add an address with another port to CallbackUrls, and name it with --callback"
            )
        for server in self.servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def _server(self, host):
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
                if parts.path != listener.path:
                    return self.answer(404, "There is nothing here.")
                # Any page can send a browser here. Only the page that was asked knows the state.
                if not listener.is_expected(query):
                    return self.answer(400, "This does not belong to the sign-in that is waiting. Please start again.")
                listener.arrived.put(query)
                if "error" in query:
                    return self.answer(400, "You are not signed in. The terminal says more.")
                return self.answer(200, "Done. You can close this window and go back to the terminal.")

            def answer(self, status, sentence):
                body = f"<!doctype html><meta charset=utf-8><title>crm-backup</title><p>{html.escape(sentence)}</p>"
                body = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Security-Policy", "default-src 'none'")
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """The code is in the address, so requests are not logged."""

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        try:
            return Server((host, self.port), Handler)
        except OSError:
            return None

    def is_expected(self, query):
        return self.expected is None or hmac.compare_digest(query.get("state", "").encode(), self.expected.encode())

    def take_pasted(self):
        """Takes the address that a browser on another machine has ended at, from the terminal."""
        for line in sys.stdin:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(line.strip()).query))
            if self.is_expected(query):
                return self.arrived.put(query)
            if line.strip():
                say("This is not the address that the browser was sent to in the end; it begins with "
                    f"http://localhost:{self.port}{self.path}?")
        return None

    def wait(self, seconds):
        try:
            return self.arrived.get(timeout=seconds)
        except queue.Empty:
            raise Failure(f"nobody has finished within {seconds} seconds; please start again") from None

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


def show(address, options, listener, what):
    """Opens a browser, or says what to open."""
    opened = False
    if not options.no_browser:
        try:
            opened = webbrowser.open(address)
        except webbrowser.Error:
            pass
    if opened:
        say(f"{what} in the browser. If none opens, open this address:\n{address}")
        return
    say(f"Open this address in a browser:\n{address}")
    if sys.stdin is not None and sys.stdin.isatty():
        say("If the browser runs on another machine, paste the address here that it was sent to in the end.")
        threading.Thread(target=listener.take_pasted, daemon=True).start()


# ---------------------------------------------------------------------------------------------------- the protocol


def sign_in(options):
    """Signs in by authorization code with PKCE (RFC 7636). Returns the tokens."""
    verifier, state, nonce = (secrets.token_urlsafe(48) for _ in range(3))
    request = {
        "response_type": "code",
        "client_id": options.client_id,
        "redirect_uri": options.callback,
        "scope": "openid email",
        "state": state,
        "nonce": nonce,
        "code_challenge_method": "S256",
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
    }
    if options.fresh:
        request.update(prompt="login", max_age=str(FRESH))
    if options.provider:
        request["identity_provider"] = options.provider
    if options.lang:
        request["lang"] = options.lang
    listener = Listener(options.callback)
    listener.expected = state
    try:
        show(f"{options.url}/oauth2/authorize?{urllib.parse.urlencode(request)}", options, listener, "Sign in")
        answer = listener.wait(options.timeout)
    finally:
        listener.close()
    if "code" not in answer:
        reason = answer.get("error_description") or answer.get("error") or "they give no reason"
        raise Failure(f"the sign-in pages refused: {reason}")
    tokens = token_request(options, {
        "grant_type": "authorization_code", "code": answer["code"], "redirect_uri": options.callback,
        "code_verifier": verifier,
    })
    claims = checked(tokens, options)
    if claims.get("nonce") != nonce:
        raise Failure("the token belongs to another sign-in (its nonce differs); please start again")
    return tokens, claims


def token_request(options, form):
    """Asks for tokens. The answer comes from the issuer itself over TLS, so its signature need not be checked (OpenID
    Connect Core, 3.1.3.7); the API checks it."""
    form = {"client_id": options.client_id, **form}
    try:
        status, body = post(f"{options.url}/oauth2/token", form)
    except OSError as error:
        raise Failure(f"{options.url} does not answer: {getattr(error, 'reason', error)}") from None
    try:
        answer = json.loads(body)
        reason = answer.get("error_description") or answer.get("error")
    except (ValueError, AttributeError):
        answer, reason = {}, None
    if status != 200 or not isinstance(answer.get("id_token"), str):
        raise Refused(f"{options.url} gave no ID token: {reason or f'status {status}'}")
    return answer


class Refused(Failure):
    """The issuer has answered, and has given no tokens."""


def post(url, form):
    request = urllib.request.Request(url, data=urllib.parse.urlencode(form).encode(), method="POST")
    request.add_header("Accept", "application/json")
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except http.client.HTTPException as error:
        raise OSError(f"it answers in an unknown form ({type(error).__name__})") from None


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A code or a refresh token goes to the issuer and nowhere else."""

    def redirect_request(self, *_):
        return None


def checked(tokens, options):
    """The claims of the ID token, if it is one for this client, and as fresh as was asked for."""
    try:
        part = tokens["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        issued, signed_in, expires = (int(claims[name]) for name in ("iat", "auth_time", "exp"))
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        raise Failure("the ID token is no JSON Web Token with the usual claims") from None
    audience = claims.get("aud")
    if options.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise Failure("the ID token is for another client")
    if claims.get("token_use", "id") != "id":
        raise Failure("the answer has no ID token but another one")
    # Both times are the issuer's, so a clock here that is wrong does not matter.
    if options.fresh and issued - signed_in > FRESH:
        raise Failure("nobody was asked to sign in again; use a private window, or sign out first (--sign-out)")
    claims.update(iat=issued, auth_time=signed_in, exp=expires)
    return claims


def describe(claims):
    def clock(seconds):
        return time.strftime("%H:%M", time.localtime(seconds))

    who = claims.get("email") or claims.get("cognito:username") or claims.get("sub")
    groups = claims.get("cognito:groups") or []
    say(f"Signed in as {who} at {clock(claims['auth_time'])}. Groups: {', '.join(groups) or 'none'}. "
        f"The token is valid until {clock(claims['exp'])}.")
    minutes = (claims["iat"] - claims["auth_time"]) // 60
    if minutes * 60 >= FRESH:
        say(f"This sign-in is {minutes} minutes old. To confirm a restore, sign in with --fresh.")


# ---------------------------------------------------------------------------------------------------- the session


def resume(options):
    """Tokens from the session file, or None if it is not there, of another client, or at its end."""
    try:
        with open(options.session, encoding="utf-8") as file:
            kept = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {options.session}: {error}") from None
    if not isinstance(kept, dict) or (kept.get("url"), kept.get("client")) != (options.url, options.client_id):
        return None
    try:
        tokens = token_request(options, {"grant_type": "refresh_token", "refresh_token": kept["refreshToken"]})
    except Refused:
        say("The session has ended.")
        return None
    tokens.setdefault("refresh_token", kept["refreshToken"])
    return tokens, checked(tokens, options)


def keep(options, tokens):
    """Replaces the session file. The old refresh token is void as soon as there is a new one."""
    if not tokens.get("refresh_token"):
        return
    kept = {"url": options.url, "client": options.client_id, "refreshToken": tokens["refresh_token"]}
    folder = os.path.dirname(os.path.abspath(options.session))
    try:
        # mkstemp makes files that only their owner can read.
        handle, name = tempfile.mkstemp(dir=folder, prefix=".session-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.replace(name, options.session)
    except OSError as error:
        raise Failure(f"cannot write {options.session}: {error}") from None


def sign_out(options):
    if options.session and os.path.exists(options.session):
        try:
            with open(options.session, encoding="utf-8") as file:
                token = json.load(file)["refreshToken"]
            status, _ = post(f"{options.url}/oauth2/revoke", {"client_id": options.client_id, "token": token})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failure(f"the session in {options.session} is not ended: {error}") from None
        if status >= 300:
            raise Failure(f"the session in {options.session} is not ended: {options.url} answers with status {status}")
        os.remove(options.session)
        say("The session is ended. Tokens that were handed out stay valid for up to 15 minutes.")
    listener = Listener(options.signed_out)
    query = urllib.parse.urlencode({"client_id": options.client_id, "logout_uri": options.signed_out})
    try:
        show(f"{options.url}/logout?{query}", options, listener, "Signing out")
        listener.wait(options.timeout)
    finally:
        listener.close()
    say("Signed out.")


# --------------------------------------------------------------------------------------------------------- running


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(options):
    if options.sign_out:
        sign_out(options)
        return None
    resumed = resume(options) if options.session and not options.fresh else None
    tokens, claims = resumed or sign_in(options)
    if options.session:
        keep(options, tokens)
    describe(claims)
    return tokens["id_token"]


def main():
    try:
        options = arguments(sys.argv[1:])
        # Browsers may write to standard output. Only the token belongs there, so all else goes to standard error.
        output = os.dup(1)
        os.dup2(2, 1)
        token = run(options)
    except Failure as failure:
        raise SystemExit(f"sign-in.py: {failure}") from None
    except KeyboardInterrupt:
        raise SystemExit("sign-in.py: interrupted") from None
    if token is not None:
        with os.fdopen(output, "w", encoding="ascii") as file:
            file.write(token + "\n")


if __name__ == "__main__":
    main()
