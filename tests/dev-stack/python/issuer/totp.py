"""The six digits of an authenticator app (RFC 6238), which change every 30 seconds."""

import base64
import hashlib
import hmac
import secrets
import struct
import time
import urllib.parse

# Seconds for which a code is shown.
STEP = 30

# How many steps the clock of an authenticator app may be wrong.
DRIFT = 1


def new_secret():
    return base64.b32encode(secrets.token_bytes(20)).decode()


def current_step():
    return int(time.time()) // STEP


def code_at(secret, step):
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def current_code(secret):
    return code_at(secret, current_step())


def step_of(secret, code, after):
    """The step that a code belongs to, or None if it is wrong. A code works once (RFC 6238, 5.2), so steps up to `after`
    do not count."""
    now = current_step()
    for step in range(max(now - DRIFT, after + 1), now + DRIFT + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def address(secret, issuer, user):
    """What an authenticator app takes as a picture or a link."""
    label = urllib.parse.quote(f"{issuer}:{user}")
    return f"otpauth://totp/{label}?{urllib.parse.urlencode({'secret': secret, 'issuer': issuer})}"
