"""Starts the issuer. Prints one line, "listening on http://127.0.0.1:PORT", once it answers; that is also its name."""

import argparse
import sys
import threading
import traceback
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import pages
from .issuer import Answer, Call, Issuer, as_json, cookies_of, parameters

# The longest body, in bytes, and the longest query.
LONGEST_BODY = 2 << 20
LONGEST_QUERY = 8 << 10

ROUTES = {
    ("GET", "/.well-known/openid-configuration"): Issuer.configuration,
    ("GET", "/.well-known/jwks.json"): Issuer.keys,
    ("GET", "/oauth2/authorize"): Issuer.authorize,
    ("POST", "/oauth2/token"): Issuer.token,
    ("POST", "/oauth2/revoke"): Issuer.revoke,
    ("GET", "/logout"): Issuer.logout,
    ("GET", "/login"): Issuer.login,
    ("POST", "/login"): Issuer.take_login,
    ("GET", "/provider"): Issuer.provider,
    ("POST", "/provider"): Issuer.take_provider,
    ("POST", "/sign"): Issuer.sign,
    ("POST", "/admin/users"): Issuer.add_user,
    ("POST", "/admin/addresses"): Issuer.add_addresses,
    ("POST", "/admin/age"): Issuer.age,
}

# What pages of any origin may read. No cookie counts there.
FOR_SCRIPTS = {
    "/.well-known/openid-configuration", "/.well-known/jwks.json", "/oauth2/token", "/oauth2/revoke",
}


class Handler(BaseHTTPRequestHandler):
    # Seconds after which a caller that says nothing more is dropped.
    timeout = 20

    def do_GET(self):
        self.respond("GET")

    def do_POST(self):
        self.respond("POST")

    def do_OPTIONS(self):
        is_for_scripts = urllib.parse.urlsplit(self.path).path in FOR_SCRIPTS
        self.send(Answer(204 if is_for_scripts else 404))

    def respond(self, method):
        parts = urllib.parse.urlsplit(self.path)
        action = ROUTES.get((method, parts.path))
        if action is None:
            return self.send(as_json(404, {"error": "there is nothing here"}))
        length = self.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return self.send(as_json(400, {"error": "the length is not a number"}))
        body = self.rfile.read(min(int(length), LONGEST_BODY))
        if int(length) > LONGEST_BODY or len(parts.query) > LONGEST_QUERY:
            self.drain(int(length) - len(body))
            return self.send(as_json(413, {"error": "this is too long"}))
        try:
            call = Call(
                parameters(parts.query), body, cookies_of(self.headers.get("cookie", "")),
                self.headers.get_content_type(),
            )
            # One at a time, so the parts need no locks of their own.
            with self.server.lock:
                answer = action(self.server.issuer, call)
        except (ValueError, KeyError, TypeError) as error:
            answer = as_json(400, {"error": "invalid_request", "error_description": f"the request is malformed: {error}"})
        except Exception:  # noqa: BLE001 - a fault of the issuer; a test must see it and not a lost connection
            traceback.print_exc(file=sys.stderr)
            answer = as_json(500, {"error": "server_error"})
        return self.send(answer)

    def drain(self, length):
        """Reads what is left of a body that is not wanted: many callers read an answer only once they have sent all."""
        for _ in range(min(length, 8 * LONGEST_BODY) // 65_536 + 1):
            if not self.rfile.read(min(length, 65_536)):
                return
            length -= min(length, 65_536)

    def send(self, answer):
        self.send_response(answer.status)
        self.send_header("content-type", answer.kind)
        self.send_header("content-length", str(len(answer.body)))
        self.send_header("cache-control", "no-store")
        self.send_header("referrer-policy", "no-referrer")
        self.send_header("x-content-type-options", "nosniff")
        self.send_header("content-security-policy", pages.POLICY)
        if urllib.parse.urlsplit(self.path).path in FOR_SCRIPTS:
            self.send_header("access-control-allow-origin", "*")
            self.send_header("access-control-allow-methods", "GET, POST")
            self.send_header("access-control-allow-headers", "content-type, accept, authorization")
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_):
        """Requests are not logged: codes are in their addresses."""


class Server(ThreadingHTTPServer):
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(prog="issuer", description=__doc__)
    parser.add_argument("--client", required=True, help="the client id of the application, the audience of its tokens")
    parser.add_argument("--provider", action="append", default=[], help="an identity provider for single sign-on")
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    server.lock = threading.Lock()
    server.issuer = Issuer(f"http://127.0.0.1:{server.server_port}", options.client, options.provider)
    print(f"listening on {server.issuer.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
