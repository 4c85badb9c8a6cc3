"""A sign-in on its way through the pages: password, perhaps a new one, then the code of an authenticator app, which is
connected at the first sign-in."""

import secrets
import time

from . import pages, totp
from .grants import SignIn
from .users import Locked, is_good_password

# Seconds that the pages wait.
PATIENCE = 300

LOCKED = "There were too many tries. Wait for 15 minutes."
WRONG_PASSWORD = "The e-mail address or the password is wrong."
WRONG_CODE = "The code is wrong. Wait for the next one, and try again."

# As Cognito names the methods of a sign-in with password and authenticator app.
METHODS = ["pwd", "otp", "mfa"]


class Attempt:
    """One sign-in in one browser. Each step takes a form, and returns the user's sign-in once it is complete."""

    def __init__(self, browser, request, providers):
        self.id = secrets.token_urlsafe(32)
        self.browser = browser
        self.request = request
        self.providers = providers
        self.made_at = time.time()
        self.user = None
        self.secret = None
        self.step = self.take_password
        self.error = None

    def is_over(self):
        return time.time() - self.made_at > PATIENCE

    def page(self):
        error, self.error = self.error, None
        if self.step == self.take_password:
            return pages.sign_in(self.id, self.providers, error)
        if self.step == self.take_new_password:
            return pages.new_password(self.id, error)
        if self.step == self.take_first_code:
            address = totp.address(self.secret, "crm-backup", self.user.email)
            return pages.enrolment(self.id, self.secret, address, error)
        return pages.code(self.id, error)

    def take(self, form, users):
        try:
            return self.step(form, users)
        except Locked:
            self.error = LOCKED
            return None

    def take_password(self, form, users):
        self.user = users.with_password(form.get("username", ""), form.get("password", ""))
        if self.user is None:
            self.error = WRONG_PASSWORD
        elif self.user.must_change_password:
            self.step = self.take_new_password
        else:
            self.ask_for_code()

    def take_new_password(self, form, users):
        password = form.get("new_password", "")
        if password != form.get("repeated"):
            self.error = "The two passwords differ."
        elif password == self.user.password or not is_good_password(password):
            self.error = "Choose another password: it must be new and follow the rules."
        else:
            self.user.password, self.user.must_change_password = password, False
            self.ask_for_code()

    def ask_for_code(self):
        if self.user.secret is None:
            self.secret = totp.new_secret()
            self.step = self.take_first_code
        else:
            self.step = self.take_code

    def take_first_code(self, form, users):
        sign_in = self.checked(form, users, self.secret)
        if sign_in:
            self.user.secret = self.secret
        return sign_in

    def take_code(self, form, users):
        return self.checked(form, users, self.user.secret)

    def checked(self, form, users, secret):
        code = "".join(form.get("code", "").split())
        if users.take_code(self.user, secret, code):
            return SignIn(self.user, METHODS)
        self.error = WRONG_CODE
        return None
