//! The variables that the shell lines of docs/admin.md need, as a shell takes them.

use std::fmt::Write as _;

use crate::sandbox::SANDBOX_TOKEN;
use crate::stack::Stack;

/// Prints the six digits that an authenticator app shows now (RFC 6238), from the secret in `TOTP_SECRET`.
const SECOND_FACTOR: &str = r#"second_factor() {
  python3 -c '
import base64, hashlib, hmac, os, struct, time
secret = os.environ["TOTP_SECRET"]
key = base64.b32decode(secret + "=" * (-len(secret) % 8))
digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
at = digest[-1] & 15
print("%06d" % ((struct.unpack(">I", digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000))'
}
"#;

impl Stack {
    /// Lines for a shell that set all variables of the lines in docs/admin.md, tokens included.
    pub fn exports(&self) -> String {
        let webhook = format!("http://{}/crm", self.webhook_target);
        let variables = [
            ("API", self.api_url.as_str()),
            ("ACCOUNT", &self.account_id),
            ("OPERATOR_TOKEN", &self.operator.id_token),
            ("ID_TOKEN", &self.super_admin.id_token),
            ("CRM_URL", &self.sandbox_url),
            ("CRM_TOKEN", SANDBOX_TOKEN),
            ("WEBHOOK", &webhook),
            ("CLIENT", &self.users.client_id),
            ("EMAIL", &self.super_admin.email),
            ("PASSWORD", &self.super_admin.password),
            ("TOTP_SECRET", &self.super_admin.totp_secret),
            // What the AWS CLI needs to sign in at the emulator.
            ("AWS_ENDPOINT_URL", &self.emulator_url),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        let mut lines = String::new();
        for (name, value) in variables {
            let _ = writeln!(lines, "export {name}={}", quoted(value));
        }
        lines + SECOND_FACTOR
    }
}

/// A text as one word of a shell, also with spaces and quotes in it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_takes_a_value_as_it_is() {
        let value = "https://h/_aws/$default?a='b' \"c\"";
        let script = format!("printf %s {}", quoted(value));
        let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), value);
    }
}
