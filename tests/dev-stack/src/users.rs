//! Users of the stack's Cognito user pool.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::Result;
use crate::python;

/// The group whose members create accounts.
pub const OPERATORS: &str = "operators";

/// The password of every user. It is no secret, because the user pool ends with this process.
const PASSWORD: &str = "Correct-horse-42-staple";

/// A user who has signed in with password and second factor. Tokens are valid for an hour.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Also the name to sign in with.
    pub email: String,
    pub password: String,
    /// The secret of the authenticator app, base 32.
    pub totp_secret: String,
    /// The API accepts this token.
    pub id_token: String,
    /// The API must refuse this token.
    pub access_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedIn {
    totp_secret: String,
    id_token: String,
    access_token: String,
}

/// The stack's user pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserPool {
    pub endpoint: String,
    pub user_pool_id: String,
    /// What users sign in with; the audience of their ID tokens.
    pub client_id: String,
    /// The Python that has the AWS client.
    pub python: PathBuf,
    /// The script that makes users.
    pub script: PathBuf,
}

impl UserPool {
    /// Creates a user in `groups`, enrols a second factor, and signs in. `name` must be new to the stack.
    ///
    /// # Errors
    /// When the user pool refuses.
    pub fn new_user(&self, name: &str, groups: &[&str]) -> Result<User> {
        let email = format!("{name}@example.com");
        self.ask(&email, PASSWORD, &json!({ "groups": groups }))
    }

    /// Signs a user in again, with password and second factor.
    ///
    /// # Errors
    /// When the user pool refuses.
    pub fn sign_in_again(&self, user: &User) -> Result<User> {
        self.ask(&user.email, &user.password, &json!({ "totpSecret": user.totp_secret }))
    }

    fn ask(&self, email: &str, password: &str, rest: &Value) -> Result<User> {
        let mut request = json!({
            "endpoint": self.endpoint, "userPoolId": self.user_pool_id, "clientId": self.client_id,
            "email": email, "password": password,
        });
        for (name, value) in rest.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        let SignedIn { totp_secret, id_token, access_token } = python::ask(&self.python, &self.script, &request)?;
        Ok(User { email: email.to_owned(), password: password.to_owned(), totp_secret, id_token, access_token })
    }

    /// Creates the first super admin of an account and signs in as that user.
    ///
    /// # Errors
    /// When the user pool refuses.
    pub fn new_super_admin(&self, account_id: &str) -> Result<User> {
        self.new_user(&format!("super-admin-{account_id}"), &[&format!("{account_id}:super-admin")])
    }
}
