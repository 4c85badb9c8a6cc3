//! A deployed stack: what it is made of, and how it is brought up and ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Api;
use crate::architecture::Architecture;
use crate::binaries::{self, Executables, Profile};
use crate::deployment::{Deployment, Parameters};
use crate::emulator::{Emulator, usable_port};
use crate::exchange::Exchange;
use crate::failure::{Failure, OrFailure, Result};
use crate::issuer::Issuer;
use crate::leftovers::Claim;
use crate::oidc::{self, OidcStack};
use crate::places::{Places, make_folder, write_secret_file};
use crate::processes::TransientFile;
use crate::python::Environment;
use crate::sandbox::{SANDBOX_TOKEN, Sandbox};
use crate::users::{OPERATORS, User, UserPool};

/// The environment variable that names the file for [`Stack::load`].
pub const STACK_FILE: &str = "STACK_FILE";

/// What the stack is called.
const NAME: &str = "crm-backup";

/// The account that every stack starts with.
const FIRST_ACCOUNT: &str = "4711";

/// A running stack, as its state file describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stack {
    /// Where the emulated AWS answers.
    pub emulator_url: String,
    /// Where the deployed HTTP API answers, without a trailing slash.
    pub api_url: String,
    pub users: UserPool,
    pub bucket: String,
    pub table: String,
    /// The table of its audit log.
    pub audit_table: String,
    /// The bus of its domain events.
    pub event_bus: String,
    /// Where a receiver of webhooks may listen on this machine: the one private address that the stack may send to.
    pub webhook_target: String,
    /// The work queues' URLs by function: `discover`, `export`, `assemble`, `restore`, `notify`.
    pub queues: BTreeMap<String, String>,
    /// The queue of messages to assemble-archive that were set aside.
    pub dead_letters: String,
    /// What the functions' names begin with.
    pub name: String,
    /// The SHA-256 of each function's zip. The emulator runs it from a folder of that name.
    pub code: BTreeMap<String, String>,
    /// Where the sandbox CRM answers.
    pub sandbox_url: String,
    /// An operator, signed in.
    pub operator: User,
    /// The first account; connected to the sandbox CRM.
    pub account_id: String,
    /// Its super admin, signed in.
    pub super_admin: User,
    /// The second stack, which accepts an external issuer's tokens. None if it was not asked for.
    #[serde(default)]
    pub oidc: Option<OidcStack>,
}

impl Stack {
    /// The stack that the environment variable `STACK_FILE` names.
    ///
    /// # Errors
    /// When the variable is not set or the file is not that of a stack.
    pub fn load() -> Result<Self> {
        let file = env::var_os(STACK_FILE);
        let file = file.ok_or_else(|| Failure::new(format!("{STACK_FILE} does not name a running stack")))?;
        Self::read(Path::new(&file))
    }

    /// The stack that `file` describes.
    ///
    /// # Errors
    /// When the file is not that of a stack.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).or_failure(|| format!("cannot read {}", file.display()))?;
        let unclear = || format!("{} does not describe a running stack; `cargo dev up` makes one", file.display());
        serde_json::from_slice(&text).or_failure(unclear)
    }

    /// A client of the deployed API, without a token.
    pub fn api(&self) -> Api {
        Api::new(&self.api_url)
    }

    /// Creates an account that may back up at any time, as the operator does.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn create_account(&self, account_id: &str) -> Result<()> {
        self.put_account(account_id, &self.operator, &json!({ "plan": "unlimited" }))
    }

    /// Connects an account to the CRM at `base_url`, as its super admin does.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn connect_account(&self, account_id: &str, admin: &User, base_url: &str, crm_token: &str) -> Result<()> {
        let connection = json!({ "baseUrl": base_url, "token": crm_token, "apiVersion": "2026-09" });
        self.put_account(account_id, admin, &json!({ "crmConnection": connection }))
    }

    fn put_account(&self, account_id: &str, user: &User, body: &Value) -> Result<()> {
        let api = self.api().with_token(&user.id_token);
        let answer = api.put(&format!("/accounts/{account_id}"), body)?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(Failure::new(format!("PUT /accounts/{account_id} was answered with {}: {}", answer.status, answer.text())))
    }
}

/// Template parameters with short times: within a minute or two, instead of a quarter of an hour, a dead run's work is
/// taken over and a service that is down is given up.
pub const IMPATIENT: [(&str, &str); 4] = [
    ("ExportTimeoutSeconds", "30"),
    ("RestoreTimeoutSeconds", "30"),
    ("CrmRetryBaseSeconds", "1"),
    ("DeliveryRetryBaseSeconds", "1"),
];

/// The sender of a stack's e-mails. The emulator keeps them.
const EMAIL_SENDER: &str = "crm-backup@example.com";

/// How a stack is brought up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'a> {
    /// Names its state file, `target/dev/{name}.json`, and its folder of logs.
    pub name: &'a str,
    /// The emulator's port; 0 for any.
    pub port: u16,
    /// More arguments for the sandbox CRM.
    pub sandbox: &'a [&'a str],
    /// How the functions and the sandbox CRM are built.
    pub profile: Profile,
    pub parameters: &'a [(&'a str, &'a str)],
    /// Whether to start an external issuer, and a second stack that accepts its tokens.
    pub issuer: bool,
    /// Another checkout, whose functions and those of this one take turns while [`Running::check_running`] is asked.
    pub other: Option<&'a Path>,
    /// Where functions reach the emulator, if something stands between them.
    pub functions_endpoint: Option<&'a str>,
}

/// A running stack, which ends when this value is dropped.
#[derive(Debug)]
pub struct Running {
    stack: Stack,
    emulator: Emulator,
    sandbox: Sandbox,
    issuer: Option<Issuer>,
    exchange: Exchange,
    state_file: TransientFile,
    _claim: Claim,
}

impl Running {
    /// Builds, starts, deploys, signs in and connects, and prints each step on standard error.
    ///
    /// # Errors
    /// When a step fails; what was started has ended then.
    pub fn bring_up(places: &Places, wishes: Wishes<'_>) -> Result<Self> {
        let mut claim = Claim::take(places, wishes.name)?;
        // Before anything is built: a free port is chosen only when it is needed.
        usable_port(wishes.port)?;
        let python = Environment::prepare(places, places.dev().join("venv"), "requirements.txt")?;
        eprintln!("building the functions …");
        let executables = binaries::build(places, wishes.profile)?;
        let others = wishes.other.map_or_else(|| Ok(Executables::new()), binaries::build_other)?;
        let folder = places.dev().join(wishes.name);
        make_folder(&folder)?;
        eprintln!("starting the emulator and the sandbox CRM …");
        let sandbox = Sandbox::start(&executables, &folder, wishes.sandbox)?;
        claim.note(sandbox.group())?;
        let emulator = Emulator::start(&python, &folder, wishes.port, wishes.functions_endpoint)?;
        claim.note(emulator.group())?;
        let issuer = wishes.issuer.then(|| oidc::start_issuer(&python, &folder)).transpose()?;
        issuer.as_ref().map_or(Ok(()), |issuer| claim.note(issuer.group()))?;
        let webhook_target = format!("127.0.0.1:{}", usable_port(0)?);
        eprintln!("deploying infra/template.yaml …");
        let mut parameters = Parameters::from([
            ("Architecture", Architecture::of_this_machine().name()),
            ("CrmBaseUrls", sandbox.url()),
            // Many journeys share the stack.
            ("DiscoverConcurrency", "12"),
            ("ExportConcurrency", "12"),
            ("AssembleConcurrency", "10"),
            ("RestoreConcurrency", "12"),
            ("NotifyConcurrency", "10"),
            ("EmailSender", EMAIL_SENDER),
            ("WebhookPrivateTargets", &webhook_target),
        ]);
        parameters.extend(wishes.parameters.iter().copied());
        let mut stacks = BTreeMap::from([(NAME, parameters.clone())]);
        if let Some(issuer) = &issuer {
            parameters.extend(oidc::parameters(issuer));
            stacks.insert(oidc::NAME, parameters);
        }
        let deployment = Deployment::make(places, &python, &emulator, (&executables, &others), &stacks)?;
        eprintln!("signing in and connecting account {FIRST_ACCOUNT} to the sandbox CRM …");
        let oidc = issuer.as_ref().map(|issuer| OidcStack::of(&deployment, &emulator, issuer, FIRST_ACCOUNT));
        let oidc = oidc.transpose()?;
        let stack = Stack { webhook_target, oidc, ..sign_in(&deployment, &emulator, &sandbox, &python)? };
        stack.create_account(FIRST_ACCOUNT)?;
        stack.connect_account(FIRST_ACCOUNT, &stack.super_admin, sandbox.url(), SANDBOX_TOKEN)?;
        let state_file = places.dev().join(format!("{}.json", wishes.name));
        let text = serde_json::to_vec_pretty(&stack).or_failure(|| "cannot describe the stack".to_owned())?;
        claim.guard(&state_file)?;
        let state_file = TransientFile::new(state_file);
        write_secret_file(state_file.path(), &text)?;
        let exchange = Exchange::of(&deployment, &emulator, python);
        Ok(Self { stack, emulator, sandbox, issuer, exchange, state_file, _claim: claim })
    }

    /// Its description.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Where [`Stack::load`] finds it.
    pub fn state_file(&self) -> &Path {
        self.state_file.path()
    }

    /// How often functions were exchanged for those of another checkout.
    pub fn turns(&self) -> usize {
        self.exchange.turns()
    }

    /// Fails when the emulator, the sandbox CRM or the issuer has ended. Functions of another checkout take their
    /// turns.
    ///
    /// # Errors
    /// The process that has ended, and the last line of its output.
    pub fn check_running(&mut self) -> Result<()> {
        self.emulator.group_mut().check_running()?;
        self.sandbox.group_mut().check_running()?;
        self.exchange.take_turns()?;
        self.issuer.as_mut().map_or(Ok(()), |issuer| issuer.group_mut().check_running())
    }
}

/// Signs an operator and a super admin in, and describes the stack.
fn sign_in(deployment: &Deployment, emulator: &Emulator, sandbox: &Sandbox, python: &Environment) -> Result<Stack> {
    let users = UserPool {
        endpoint: emulator.url().to_owned(),
        user_pool_id: deployment.output(NAME, "UserPoolId")?,
        client_id: deployment.output(NAME, "ClientId")?,
        python: python.program("python"),
        script: python.script("users.py"),
    };
    Ok(Stack {
        emulator_url: emulator.url().to_owned(),
        api_url: deployment.api_url(NAME, emulator)?,
        bucket: deployment.output(NAME, "BucketName")?,
        table: deployment.output(NAME, "TableName")?,
        audit_table: deployment.output(NAME, "AuditTableName")?,
        event_bus: deployment.output(NAME, "EventBusName")?,
        webhook_target: String::new(),
        queues: deployment.queues(NAME)?,
        dead_letters: deployment.output(NAME, "AssembleDeadLettersUrl")?,
        name: NAME.to_owned(),
        code: deployment.code.clone(),
        sandbox_url: sandbox.url().to_owned(),
        operator: users.new_user("operator", &[OPERATORS])?,
        account_id: FIRST_ACCOUNT.to_owned(),
        super_admin: users.new_super_admin(FIRST_ACCOUNT)?,
        users,
        oidc: None,
    })
}
