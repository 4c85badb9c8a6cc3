"""A small OpenID Connect issuer, on 127.0.0.1 only, whose tokens contain what the request asks for.

Prints one line, "listening on http://127.0.0.1:PORT", once it answers; that is also its name as an issuer. Its key lives
as long as the process.
  GET  /.well-known/openid-configuration   where its keys are
  GET  /jwks.json                          its keys
  POST /sign                               a JSON object of claims, all of them → {"token"}, signed with RS256
"""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_ID = "issuer-1"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encoded_number(number):
    return encoded(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class Key:
    """What signs the tokens."""

    def __init__(self):
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def published(self):
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": encoded_number(numbers.n),
            "e": encoded_number(numbers.e),
        }

    def token(self, claims):
        header = {"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}
        signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = self.private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encoded(signature)}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = self.server.issuer
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": issuer, "jwks_uri": f"{issuer}/jwks.json", "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/jwks.json": {"keys": [self.server.key.published()]},
        }
        document = documents.get(self.path)
        self.answer(200 if document else 404, document or {"error": "there is nothing here"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path != "/sign":
            return self.answer(404, {"error": "there is nothing here"})
        try:
            claims = json.loads(body)
        except ValueError:
            claims = None
        if not isinstance(claims, dict):
            return self.answer(400, {"error": "claims are a JSON object"})
        return self.answer(200, {"token": self.server.key.token(claims)})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged."""


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.key = Key()
    server.issuer = f"http://127.0.0.1:{server.server_port}"
    print(f"listening on {server.issuer}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
