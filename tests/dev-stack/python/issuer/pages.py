"""The pages, as plain HTML without a script."""

import base64
import hashlib
from html import escape

STYLE = (
    "body{margin:0;font:1rem/1.5 system-ui,sans-serif;color-scheme:light dark}"
    "main{box-sizing:border-box;max-width:24rem;margin:0 auto;padding:1.5rem 1rem}"
    "h1{font-size:1.5rem}label,input,button,a.button{display:block;box-sizing:border-box;width:100%;font:inherit}"
    "label{margin-top:1rem}input,button,a.button{padding:.6rem;border:1px solid;border-radius:.3rem}"
    "button,a.button{margin-top:1.5rem;text-align:center;color:inherit;text-decoration:none;cursor:pointer}"
    "button{font-weight:600}[role=alert]{border-left:.3rem solid #c00;padding-left:.7rem}p,a{overflow-wrap:anywhere}"
)

# No form-action: browsers apply it to where a form redirects to, and that is the application.
POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"
)


def page(title, content, error=None):
    alert = f'<p role="alert">{escape(error)}</p>' if error else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{alert}{content}</main></body></html>"
    )


def form(attempt, fields, button, action="/login"):
    return (
        f'<form method="post" action="{action}"><input type="hidden" name="attempt" value="{escape(attempt)}">'
        f'{"".join(fields)}<button type="submit">{escape(button)}</button></form>'
    )


def field(name, label, kind="text", complete="off", extra=""):
    return (
        f'<label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" type="{kind}" '
        f'autocomplete="{complete}" maxlength="256" required {extra}>'
    )


CODE = ("code", "Code", "text", "one-time-code", 'inputmode="numeric" autofocus')


def sign_in(attempt, providers, error):
    fields = [
        field("username", "E-mail address", "email", "username", "autofocus"),
        field("password", "Password", "password", "current-password"),
    ]
    links = "".join(
        f'<a class="button" href="/provider?attempt={escape(attempt)}&amp;name={escape(name)}">'
        f"Sign in with {escape(name)}</a>"
        for name in providers
    )
    return page("Sign in", form(attempt, fields, "Sign in") + links, error)


def new_password(attempt, error):
    rules = "<p>At least 12 characters, with small and capital letters, digits and other signs.</p>"
    fields = [
        field("new_password", "New password", "password", "new-password", "autofocus"),
        field("repeated", "New password again", "password", "new-password"),
    ]
    return page("Choose a password", rules + form(attempt, fields, "Set password"), error)


def enrolment(attempt, secret, address, error):
    content = (
        "<p>Add this key to an authenticator app. Then enter the six digits that the app shows.</p>"
        '<label for="secret">Secret key</label>'
        f'<input id="secret" type="text" readonly value="{escape(secret)}">'
        f'<p><a href="{escape(address)}">Open in an authenticator app</a></p><p>{escape(address)}</p>'
    )
    return page("Connect an authenticator app", content + form(attempt, [field(*CODE)], "Connect"), error)


def code(attempt, error):
    content = "<p>Enter the six digits that your authenticator app shows.</p>"
    return page("Second factor", content + form(attempt, [field(*CODE)], "Confirm"), error)


def provider(attempt, name, error):
    content = "<p>This page plays the sign-in page of a company. It takes every name.</p>"
    hidden = f'<input type="hidden" name="name" value="{escape(name)}">'
    fields = [hidden, field("user", "Name", "text", "username", "autofocus")]
    return page(f"Sign in at {name}", content + form(attempt, fields, "Continue", "/provider"), error)


def message(title, sentence):
    return page(title, f"<p>{escape(sentence)}</p>")
