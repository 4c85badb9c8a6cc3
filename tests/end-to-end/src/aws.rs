//! The emulated AWS behind a stack, through a Python script that has an AWS client: looking at what no user sees.

use std::path::Path;
use std::time::Duration;

use dev_stack::api::Api;
use dev_stack::failure::Result;
use dev_stack::places::Places;
use dev_stack::python;
use dev_stack::stack::Stack;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::stack_folder::stack_folder;

/// The domain events of an account; no longer collected when dropped.
#[derive(Debug)]
pub struct Events<'a> {
    aws: Aws<'a>,
    account_id: String,
    queue: String,
}

impl Events<'_> {
    /// Those that have come since the last look, each as EventBridge passes it on.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn received(&self) -> Result<Vec<Value>> {
        self.aws.ask(&json!({ "do": "received", "queue": self.queue }))
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        let request = json!({ "do": "unwatch_bus", "bus": self.aws.stack.event_bus, "account": self.account_id });
        let _ = self.aws.ask::<Value>(&request);
    }
}

/// Messages to `address`, wherever in the emulator's account of them they are.
fn collect_mails(part: &Value, address: &str, found: &mut Vec<Value>) {
    let is_to = |message: &Value| message["To"].as_array().is_some_and(|to| to.iter().any(|one| one == address));
    match part {
        message if is_to(message) => found.push(message.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_mails(item, address, found)),
        Value::Object(members) => members.values().for_each(|member| collect_mails(member, address, found)),
        _ => {}
    }
}

/// Access to the resources of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Aws<'a> {
    stack: &'a Stack,
}

impl<'a> Aws<'a> {
    /// The resources of `stack`.
    pub fn of(stack: &'a Stack) -> Self {
        Self { stack }
    }

    /// The keys of the objects in the bucket under a prefix, unfinished uploads included.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn keys(self, prefix: &str) -> Result<Vec<String>> {
        self.ask(&json!({ "do": "keys", "bucket": self.stack.bucket, "prefix": prefix }))
    }

    /// How S3 says an object is encrypted: its `ServerSideEncryption`, `BucketKeyEnabled`.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn encryption(self, key: &str) -> Result<Value> {
        self.ask(&json!({ "do": "encryption", "bucket": self.stack.bucket, "key": key }))
    }

    /// Lets a completed backup's archive have expired a minute ago.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn expire_archive(self, account_id: &str, backup_id: &str) -> Result<()> {
        let sort = format!("BACKUP#{backup_id}");
        self.rewrite(account_id, &sort, &json!({ "path": ["archive", "expiresAt"], "secondsAgo": 60 }))
    }

    /// Lets a backup be of another portal.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn move_backup(self, account_id: &str, backup_id: &str, portal_id: u64) -> Result<()> {
        self.rewrite(account_id, &format!("BACKUP#{backup_id}"), &json!({ "path": ["portalId"], "value": portal_id }))
    }

    /// Lets a plan be of another portal.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn move_restore(self, account_id: &str, restore_id: &str, portal_id: u64) -> Result<()> {
        self.rewrite(account_id, &format!("RESTORE#{restore_id}"), &json!({ "path": ["portalId"], "value": portal_id }))
    }

    /// Lets a plan have been made so long ago.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn age_plan(self, account_id: &str, restore_id: &str, age: Duration) -> Result<()> {
        let field = json!({ "path": ["plan", "madeAt"], "secondsAgo": age.as_secs() });
        self.rewrite(account_id, &format!("RESTORE#{restore_id}"), &field)
    }

    /// Lets a restore have ended so long ago.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn age_restore(self, account_id: &str, restore_id: &str, age: Duration) -> Result<()> {
        let field = json!({ "path": ["endedAt"], "secondsAgo": age.as_secs() });
        self.rewrite(account_id, &format!("RESTORE#{restore_id}"), &field)
    }

    /// Lets a schedule have been due a minute ago.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn let_schedule_be_due(self, account_id: &str) -> Result<()> {
        let field = json!({ "path": ["on", "nextRunAt"], "secondsAgo": 60, "due": true });
        self.rewrite(account_id, "SCHEDULE", &field)
    }

    /// Lets the archive of a completed backup be about to expire, in a day.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn let_archive_expire_soon(self, account_id: &str, backup_id: &str) -> Result<()> {
        let field = json!({ "path": ["archive", "expiresAt"], "secondsAgo": -24 * 3_600, "due": true });
        self.rewrite(account_id, &format!("BACKUP#{backup_id}"), &field)
    }

    /// Lets the latest backup that completed have been asked for so long ago.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn age_allowance(self, account_id: &str, age: Duration) -> Result<()> {
        self.rewrite(account_id, "ALLOWANCE", &json!({ "path": ["usedAt"], "secondsAgo": age.as_secs() }))
    }

    /// Lets an account's webhook be at a URL that the API would refuse, as when a name's addresses change afterwards.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn move_webhook(self, account_id: &str, url: &str) -> Result<()> {
        self.rewrite(account_id, "ACCOUNT", &json!({ "path": ["notificationTargets", "webhook"], "value": url }))
    }

    /// Collects the domain events of an account from now on.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn watch_events(self, account_id: &str) -> Result<Events<'a>> {
        let bus = &self.stack.event_bus;
        let queue = self.ask(&json!({ "do": "watch_bus", "bus": bus, "account": account_id }))?;
        Ok(Events { aws: self, account_id: account_id.to_owned(), queue })
    }

    /// Puts a message into a queue.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn put_message(self, queue: &str, body: &Value) -> Result<()> {
        self.ask(&json!({ "do": "put_message", "queue": queue, "body": body }))
    }

    /// Whether a webhook is signed with `secret`, as an independent receiver finds out.
    ///
    /// # Errors
    /// When the script fails.
    pub fn is_signed(self, secret: &str, headers: &Value, body: &str) -> Result<bool> {
        self.ask(&json!({ "do": "is_signed", "secret": secret, "headers": headers, "body": body }))
    }

    /// The e-mails that were sent to `address`.
    ///
    /// # Errors
    /// When the emulator does not answer.
    pub fn mails_to(self, address: &str) -> Result<Vec<Value>> {
        let all = Api::new(&self.stack.emulator_url).get("/_ministack/ses/messages")?.json();
        let mut found = Vec::new();
        collect_mails(&all, address, &mut found);
        Ok(found)
    }

    fn rewrite(self, account_id: &str, sort: &str, field: &Value) -> Result<()> {
        let mut request = field.clone();
        request["do"] = json!("rewrite");
        request["table"] = json!(self.stack.table);
        request["partition"] = json!(format!("ACCOUNT#{account_id}"));
        request["sort"] = json!(sort);
        self.ask(&request)
    }

    /// What the emulator keeps of bucket, table, user pool, queues and API.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn deployed(self) -> Result<Value> {
        self.ask(&json!({
            "do": "deployed", "bucket": self.stack.bucket, "table": self.stack.table,
            "auditTable": self.stack.audit_table, "queues": self.stack.queues,
            "userPoolId": self.stack.users.user_pool_id, "clientId": self.stack.users.client_id, "name": self.stack.name,
        }))
    }

    /// The template as JSON, its intrinsic functions in their long form.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn template(self, path: &Path) -> Result<Value> {
        self.ask(&json!({ "do": "template", "path": path }))
    }

    /// Which of `needles` occur in the logs, each as `{log group}: {needle}`, and how many lines were looked at.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn search_logs(self, needles: &[String]) -> Result<Value> {
        self.ask(&json!({ "do": "search_logs", "needles": needles, "name": self.stack.name }))
    }

    /// The same ID token, signed by the user pool, but having expired an hour ago.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn expired(self, id_token: &str) -> Result<String> {
        let pool = &self.stack.users.user_pool_id;
        let key = stack_folder().join("emulator/state/cognito-pool-keys").join(format!("{pool}-id.pem"));
        self.ask(&json!({ "do": "expired", "token": id_token, "key": key }))
    }

    /// The ID token of a stranger who is in the group `group`: in a user pool of their own, or in the stack's user pool
    /// with a client of their own.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn foreign_token(self, group: &str, in_own_pool: bool) -> Result<String> {
        let pool = (!in_own_pool).then_some(&self.stack.users.user_pool_id);
        self.ask(&json!({ "do": "foreign_token", "group": group, "userPoolId": pool }))
    }

    fn ask<T: DeserializeOwned>(self, request: &Value) -> Result<T> {
        let script = Places::find()?.root().join("tests/end-to-end/python/aws.py");
        let mut request = request.clone();
        request["endpoint"] = json!(self.stack.emulator_url);
        python::ask(&self.stack.users.python, &script, &request)
    }
}
