//! A second stack of the same template, whose users sign in with an issuer outside of it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Api;
use crate::deployment::{Deployment, Parameters};
use crate::emulator::Emulator;
use crate::failure::{Failure, Result};
use crate::issuer::Issuer;
use crate::python::Environment;
use crate::users::OPERATORS;

/// What the stack is called. Nothing of the first stack begins like it, nor the other way round.
pub const NAME: &str = "oidc-crm-backup";

/// The client id with which users sign in at the issuer, which is the audience of its tokens.
const AUDIENCE: &str = "crm-backup-test";

/// The only identity provider whose users need no second factor of the issuer's.
const FEDERATED_PROVIDER: &str = "acme-saml";

/// How long ID tokens are valid that are made to measure, in seconds.
const LIFETIME: u64 = 3_600;

/// A stack that takes the tokens of an external issuer. It shares emulator and sandbox CRM with the first one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OidcStack {
    /// What its functions' names begin with.
    pub name: String,
    /// Where its HTTP API answers, without a trailing slash.
    pub api_url: String,
    pub bucket: String,
    pub table: String,
    /// The issuer of its users' tokens.
    pub issuer: String,
    /// The audience of those tokens, and the client id to sign in with.
    pub audience: String,
    /// The one identity provider whose users need no second factor of the issuer's.
    pub federated_provider: String,
    /// Somebody who can sign in at the issuer's pages.
    pub login: Login,
}

/// A user of the issuer, an operator and the super admin of one account, who has connected an authenticator app.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    pub email: String,
    pub password: String,
    /// The secret of the authenticator app, base 32.
    pub totp_secret: String,
}

impl Login {
    /// Makes such a user at the issuer.
    fn make(issuer: &Issuer, account_id: &str) -> Result<Self> {
        let (email, password) = ("ada@example.com", "Correct-horse-42-staple");
        let groups = [OPERATORS.to_owned(), format!("{account_id}:super-admin")];
        let user = json!({ "email": email, "password": password, "groups": groups });
        let made =
            Api::new(issuer.url()).post("/admin/users", &user)?.expect(201, "making a user of the issuer")?.json();
        let totp_secret = made["totpSecret"].as_str().ok_or_else(|| Failure::new("the issuer gave no secret"))?;
        Ok(Self { email: email.to_owned(), password: password.to_owned(), totp_secret: totp_secret.to_owned() })
    }
}

/// Starts the issuer, which knows the one provider for single sign-on.
///
/// # Errors
/// When it does not come up.
pub(crate) fn start_issuer(python: &Environment, folder: &Path) -> Result<Issuer> {
    Issuer::start(python, folder, AUDIENCE, FEDERATED_PROVIDER)
}

/// The template parameters that make a stack take the tokens of `issuer`.
pub(crate) fn parameters(issuer: &Issuer) -> Parameters<'_> {
    Parameters::from([
        ("TokenIssuer", issuer.url()),
        ("TokenAudience", AUDIENCE),
        ("FederatedProviders", FEDERATED_PROVIDER),
    ])
}

impl OidcStack {
    /// The stack as it was deployed, with a user for the account `account_id`.
    pub(crate) fn of(deployment: &Deployment, emulator: &Emulator, issuer: &Issuer, account_id: &str) -> Result<Self> {
        Ok(Self {
            name: NAME.to_owned(),
            api_url: deployment.api_url(NAME, emulator)?,
            bucket: deployment.output(NAME, "BucketName")?,
            table: deployment.output(NAME, "TableName")?,
            issuer: issuer.url().to_owned(),
            audience: AUDIENCE.to_owned(),
            federated_provider: FEDERATED_PROVIDER.to_owned(),
            login: Login::make(issuer, account_id)?,
        })
    }

    /// A client of its API, without a token.
    pub fn api(&self) -> Api {
        Api::new(&self.api_url)
    }

    /// An ID token, valid for an hour, of the user `subject` who signed in `ago`. It has no groups and no second
    /// factors except what is in `claims`, an object whose members come beside the usual ones or instead of them.
    ///
    /// # Errors
    /// When the issuer does not answer.
    pub fn id_token(&self, subject: &str, ago: Duration, claims: &Value) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut all = json!({
            "iss": self.issuer, "aud": self.audience, "sub": subject, "email": format!("{subject}@example.com"),
            "email_verified": true,
            "auth_time": now.saturating_sub(ago.as_secs()), "iat": now, "exp": now + LIFETIME,
        });
        for (name, value) in claims.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let answer = Api::new(&self.issuer).post("/sign", &all)?.json();
        answer["token"].as_str().map(str::to_owned).ok_or_else(|| Failure::new("the issuer gave no token"))
    }
}
