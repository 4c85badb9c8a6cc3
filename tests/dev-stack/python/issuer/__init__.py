"""An OpenID Connect issuer with sign-in pages, for tests, on 127.0.0.1 only.

It behaves as Cognito's managed login does by its documentation (docs/decisions/027-sign-in-at-cognitos-pages.md names
the pages). What is different, or not documented:
  - A client must use PKCE.
  - A sign-in by session cookie keeps the `auth_time` of the session.
  - Five wrong passwords or codes in a row lock a user for 15 minutes. Cognito begins with a second, and doubles.
  - An old refresh token is refused at once. The template gives it 10 seconds.
  - A code that is used again also ends what it gave.
  - There is no self-service: no sign-up, no forgotten password.

What users and clients need:
  GET  /.well-known/openid-configuration   where everything is
  GET  /.well-known/jwks.json              the keys
  GET  /oauth2/authorize                   begins a sign-in
  POST /oauth2/token                       tokens for a code or a refresh token
  POST /oauth2/revoke                      ends what a refresh token gives
  GET  /logout                             ends the session of the browser
  GET, POST /login, /provider              the pages; /provider plays the sign-in page of a company
What tests need, with JSON in and out:
  POST /sign             an object of claims, all of them → {"token"}
  POST /admin/users      makes a user
  POST /admin/addresses  lets the client return to more addresses
  POST /admin/age        lets the sign-ins of a user be older
"""
