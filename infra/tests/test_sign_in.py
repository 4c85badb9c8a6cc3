"""infra/sign-in.py against an issuer that takes codes with PKCE only, and a browser that follows redirects."""

import base64
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "sign-in.py"
CLIENT = "client-1"

# Follows the redirects from the address that it is given, as a browser does once its user has signed in. What it prints
# must not end up beside the token.
BROWSER = """import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1]).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def encoded(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


class Issuer(ThreadingHTTPServer):
    """Signs everybody in at once. Attributes change what it does."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.codes = {}
        self.refresh_tokens = set()
        self.asked = []  # the queries of /oauth2/authorize
        self.signed_in_ago = 0
        self.claims = {}  # instead of the right ones
        self.error = None  # instead of a code
        self.state = None  # instead of the right one
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def tokens(self, nonce):
        now = int(time.time())
        claims = {
            "aud": CLIENT, "token_use": "id", "iat": now, "exp": now + 900, "auth_time": now - self.signed_in_ago,
            "email": "ada@example.com", "cognito:groups": ["4711:super-admin"], "nonce": nonce, **self.claims,
        }
        refresh_token = f"refresh-{len(self.refresh_tokens)}-{time.time_ns()}"
        self.refresh_tokens.add(refresh_token)
        return {"id_token": f"{encoded({'alg': 'RS256'})}.{encoded(claims)}.signature", "refresh_token": refresh_token}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/logout":
            return self.redirect(query["logout_uri"])
        self.server.asked.append(query)
        answer = {"state": self.server.state or query["state"]}
        if self.server.error:
            answer.update(error="access_denied", error_description=self.server.error)
        else:
            answer["code"] = f"code-{len(self.server.codes)}"
            self.server.codes[answer["code"]] = query
        return self.redirect(f"{query['redirect_uri']}?{urllib.parse.urlencode(answer)}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(body))
        if self.path == "/oauth2/revoke":
            self.server.refresh_tokens.discard(form["token"])
            return self.answer(200, {})
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.server.refresh_tokens:
                return self.answer(400, {"error": "invalid_grant"})
            self.server.refresh_tokens.remove(form["refresh_token"])
            return self.answer(200, self.server.tokens(None))
        asked = self.server.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        shown = (challenge.decode(), form["redirect_uri"])
        if asked is None or shown != (asked["code_challenge"], asked["redirect_uri"]):
            return self.answer(400, {"error": "invalid_grant"})
        return self.answer(200, self.server.tokens(asked.get("nonce")))

    def redirect(self, url):
        self.send_response(302)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged."""


class SigningIn(unittest.TestCase):
    def setUp(self):
        self.issuer = Issuer()
        self.addCleanup(self.issuer.server_close)
        self.addCleanup(self.issuer.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "browser.py").write_text(BROWSER)
        self.port = free_port()

    def run_script(self, *arguments, where=True, path=None):
        environment = {
            "PATH": path or os.environ["PATH"], "BROWSER": f"{sys.executable} {self.folder / 'browser.py'} %s",
            "HOME": str(self.folder),
        }
        place = ["--url", self.issuer.url, "--client-id", CLIENT] if where else []
        command = [sys.executable, str(SCRIPT), "--callback", f"http://localhost:{self.port}/callback"]
        return subprocess.run(
            [*command, "--timeout", "5", *place, *arguments], env=environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60, check=False,
        )

    def assert_token(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\A[\w-]+\.[\w-]+\.signature\n\Z")
        self.assertNotIn(done.stdout.strip(), done.stderr)

    def assert_refused(self, done, words):
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn(words, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_a_sign_in_prints_the_token_and_nothing_else(self):
        done = self.run_script()
        self.assert_token(done)
        self.assertIn("Signed in as ada@example.com", done.stderr)
        [asked] = self.issuer.asked
        self.assertEqual((asked["response_type"], asked["scope"]), ("code", "openid email"))
        self.assertEqual(asked["code_challenge_method"], "S256")
        self.assertNotIn("prompt", asked)

    def test_a_fresh_sign_in_asks_for_one(self):
        done = self.run_script("--fresh", "--lang", "de", "--provider", "acme")
        self.assert_token(done)
        [asked] = self.issuer.asked
        self.assertEqual((asked["prompt"], asked["max_age"]), ("login", "300"))
        self.assertEqual((asked["lang"], asked["identity_provider"]), ("de", "acme"))

    def test_a_fresh_sign_in_that_nobody_was_asked_for_is_refused(self):
        self.issuer.signed_in_ago = 301
        self.assert_refused(self.run_script("--fresh"), "nobody was asked to sign in again")
        # An ordinary sign-in may be old, and says so.
        done = self.run_script()
        self.assert_token(done)
        self.assertIn("5 minutes old", done.stderr)

    def test_a_fresh_sign_in_needs_to_say_when_it_was(self):
        self.issuer.claims = {"auth_time": None}
        self.assert_refused(self.run_script("--fresh"), "usual claims")

    def test_a_foreign_state_is_not_taken(self):
        self.issuer.state = "somebody-else"
        done = self.run_script("--timeout", "2")
        self.assert_refused(done, "nobody has finished")
        self.assertIn("does not belong to the sign-in", done.stderr)

    def test_tokens_for_others_are_not_taken(self):
        for claims, words in (
            ({"nonce": "other"}, "nonce"), ({"aud": "other"}, "another client"), ({"token_use": "access"}, "ID token"),
        ):
            self.issuer.claims = claims
            self.assert_refused(self.run_script(), words)

    def test_a_refusal_is_told(self):
        self.issuer.error = "User is not confirmed"
        self.assert_refused(self.run_script(), "the sign-in pages refused: User is not confirmed")

    def test_a_port_in_use_is_told(self):
        with socket.socket() as first, socket.socket(socket.AF_INET6) as second:
            first.bind(("127.0.0.1", self.port))
            first.listen()
            try:
                second.bind(("::1", self.port))
                second.listen()
            except OSError:
                pass  # no IPv6 here
            self.assert_refused(self.run_script(), f"port {self.port} of this machine is in use")

    def test_a_session_needs_no_browser_until_it_ends(self):
        session = self.folder / "session.json"
        self.assert_token(self.run_script("--session", str(session)))
        self.assertEqual(stat.S_IMODE(session.stat().st_mode), 0o600)
        first = session.read_text()
        self.assert_token(self.run_script("--session", str(session)))
        self.assertEqual(len(self.issuer.asked), 1)
        self.assertNotEqual(session.read_text(), first, "the refresh token was exchanged")
        self.issuer.refresh_tokens.clear()
        done = self.run_script("--session", str(session))
        self.assert_token(done)
        self.assertIn("The session has ended", done.stderr)
        self.assertEqual(len(self.issuer.asked), 2)
        # A fresh sign-in is never one from the file.
        self.assert_token(self.run_script("--session", str(session), "--fresh"))
        self.assertEqual(len(self.issuer.asked), 3)

    def test_signing_out_ends_the_session(self):
        session = self.folder / "session.json"
        self.assert_token(self.run_script("--session", str(session)))
        back = f"http://localhost:{free_port()}/signed-out"
        done = self.run_script("--sign-out", "--session", str(session), "--signed-out", back)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertFalse(session.exists())
        self.assertEqual(self.issuer.refresh_tokens, set())

    def test_a_stack_says_where(self):
        program = self.folder / "aws"
        outputs = {"SignInUrl": self.issuer.url, "ClientId": CLIENT}
        outputs = [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()]
        answer = json.dumps({"Stacks": [{"Outputs": outputs}]})
        program.write_text(f"#!/bin/sh\necho '{answer}'\n")
        program.chmod(0o755)
        self.assert_token(self.run_script("--stack", "crm-backup", where=False, path=f"{self.folder}:/usr/bin:/bin"))
        program.write_text("#!/bin/sh\necho 'Stack with id x does not exist' >&2\nexit 255\n")
        done = self.run_script("--stack", "x", where=False, path=f"{self.folder}:/usr/bin:/bin")
        self.assert_refused(done, "Stack with id x does not exist")
        program.write_text("""#!/bin/sh\necho '{"Stacks": [{"Outputs": []}]}'\n""")
        done = self.run_script("--stack", "x", where=False, path=f"{self.folder}:/usr/bin:/bin")
        self.assert_refused(done, "has no sign-in pages")
        self.assert_refused(self.run_script("--stack", "x", where=False, path=str(self.folder / "none")), "no AWS CLI")

    def test_what_makes_no_sense_is_refused_before_anything_opens(self):
        for arguments, words in (
            (["--url", "http://example.com", "--client-id", "x"], "begins with https://"),
            (["--url", "https://example.com", "--client-id", "x", "--callback", "https://example.com/"], "--callback"),
        ):
            self.assert_refused(self.run_script(*arguments, where=False), words)
        self.assertEqual(self.run_script(where=False).returncode, 2)
        self.assertEqual(self.issuer.asked, [])

    def test_help_is_for_reading(self):
        done = self.run_script("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--no-browser", done.stdout)


if __name__ == "__main__":
    unittest.main()
