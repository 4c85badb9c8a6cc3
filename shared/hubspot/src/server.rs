//! The server of an account, and the token for it.

use domain::ports::crm::{CrmError, CrmErrorKind};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::call::Call;

/// Where calls are sent, and the token that they carry.
pub(crate) struct Server {
    base: Url,
    pub(crate) token: SecretString,
}

impl Server {
    /// `base_url` must be a scheme, a host and a port, and the token must be valid in a header.
    pub(crate) fn new(base_url: &str, token: SecretString) -> Result<Self, CrmError> {
        let base = Url::parse(base_url).ok().filter(is_base).ok_or_else(|| {
            let sentence = "The CRM's base URL must consist of a scheme, a host and a port. Connect the account again.";
            CrmError::new(CrmErrorKind::Refused, sentence.to_owned())
        })?;
        let text = token.expose_secret();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let sentence =
                "The stored HubSpot token is empty or contains invalid characters. Connect the account again.";
            return Err(CrmError::new(CrmErrorKind::TokenRefused, sentence.to_owned()));
        }
        Ok(Self { base, token })
    }

    pub(crate) fn url(&self, call: &Call) -> Url {
        let mut url = self.base.clone();
        url.set_path(&call.path);
        url.set_query(call.query.text());
        url
    }
}

fn is_base(url: &Url) -> bool {
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && bare && anonymous
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_have_no_path_and_no_credentials() {
        let server = |base: &str| Server::new(base, SecretString::from("token")).map(drop);
        for good in ["https://api.hubapi.com", "http://127.0.0.1:4000/"] {
            assert!(server(good).is_ok(), "{good}");
        }
        for bad in ["", "api.hubapi.com", "https://x/y", "https://u:p@x", "https://x?y", "ftp://x", "file:///x"] {
            assert_eq!(server(bad).expect_err(bad).kind, CrmErrorKind::Refused);
        }
    }

    #[test]
    fn tokens_that_are_invalid_in_a_header_are_refused_without_being_quoted() {
        for bad in ["", "pat-eu1 x", "pat\r\nX-Evil: 1", "tök"] {
            let error = Server::new("https://x", SecretString::from(bad)).map(drop).expect_err(bad);
            assert_eq!(error.kind, CrmErrorKind::TokenRefused);
            assert!(bad.is_empty() || !error.sentence.contains(bad));
        }
    }
}
