"""Who can sign in, and who may not for a while."""

import hmac
import re
import secrets
import time
import uuid

from . import totp

# How many wrong passwords and codes in a row lock a user, and for how many seconds.
MOST_FAILURES = 5
LOCKED = 900

# As the template's PasswordPolicy.
SHORTEST_PASSWORD = 12
IN_A_PASSWORD = ("[a-z]", "[A-Z]", "[0-9]", r"[^A-Za-z0-9\s]")


class Locked(Exception):
    """There were too many wrong passwords or codes."""


class User:
    """`email` is None, `password` and `secret` are None for a user of a provider."""

    def __init__(self, email, password=None, *, groups=(), verified=True, provider=None, provider_id=None):
        self.subject = str(uuid.uuid4())
        self.email = email
        self.is_verified = verified
        self.password = password
        self.must_change_password = False
        self.secret = None
        self.last_step = 0
        self.groups = list(groups)
        self.provider = provider
        self.provider_id = provider_id
        self.made_at = int(time.time() * 1000)

    @property
    def name(self):
        """As Cognito names users who sign in with an address, and users of providers."""
        return f"{self.provider}_{self.provider_id}" if self.provider else self.subject

    def takes_code(self, secret, code):
        step = totp.step_of(secret, code, self.last_step)
        if step is None:
            return False
        self.last_step = step
        return True


class Users:
    def __init__(self):
        self.by_login = {}
        self.failures = {}  # by login: how many in a row, and when the last one was

    def add(self, user):
        self.by_login[login_of(user)] = user
        return user

    def of_subject(self, subject):
        return next((user for user in self.by_login.values() if user.subject == subject), None)

    def of_provider(self, provider, provider_id):
        """The user of a provider. Cognito makes one at the first sign-in."""
        login = f"{provider}_{provider_id}".lower()
        if login not in self.by_login:
            email = f"{provider_id}@{provider}.example"
            self.add(User(email, verified=False, provider=provider, provider_id=provider_id))
        return self.by_login[login]

    def with_password(self, login, password):
        """The user, or None. It is the same for unknown users, locks too, so it tells nobody who there is."""
        login = login.strip().lower()
        self.check_lock(login)
        user = self.by_login.get(login)
        known = user.password if user and user.password else secrets.token_urlsafe()
        if hmac.compare_digest(known.encode(), password.encode()):
            return user
        self.count_failure(login)
        return None

    def check_lock(self, login):
        count, since = self.failures.get(login, (0, 0))
        if count >= MOST_FAILURES:
            if time.time() - since < LOCKED:
                raise Locked
            del self.failures[login]

    def count_failure(self, login):
        count, _ = self.failures.get(login, (0, 0))
        self.failures[login] = (count + 1, time.time())

    def take_code(self, user, secret, code):
        """Whether the code is right. Only this ends a row of failures: whoever has the password could else try codes
        without an end."""
        login = login_of(user)
        self.check_lock(login)
        if not user.takes_code(secret, code):
            self.count_failure(login)
            return False
        self.failures.pop(login, None)
        return True


def login_of(user):
    return (user.name if user.provider else user.email).lower()


def is_good_password(text):
    return SHORTEST_PASSWORD <= len(text) <= 256 and all(re.search(kind, text) for kind in IN_A_PASSWORD)
