//! A journey: an account with its super admin and its CRM portal, in a deployed stack.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use dev_stack::api::{Answer, Api};
use dev_stack::backups::{Backup, Backups};
use dev_stack::failure::{Failure, Result};
use dev_stack::oidc::OidcStack;
use dev_stack::places::make_folder;
use dev_stack::stack::{STACK_FILE, Stack};
use dev_stack::users::User;
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::portal::Portal;
use crate::stack_folder::stack_folder;

/// How long a backup of a few thousand records may take, with all other journeys on their way on a slow machine.
pub const PATIENCE: Duration = Duration::from_mins(6);

/// Journeys on their way at the same time, however many threads the tests have: the emulator is one process.
const PLACES: usize = 5;

/// A journey that is on its way.
#[derive(Debug)]
pub struct Journey {
    /// Where it goes through.
    pub stack: Stack,
    pub account_id: String,
    /// The account's super admin, signed in.
    pub admin: User,
    pub portal: Portal,
    folder: PathBuf,
    _place: Place,
}

/// The stack to go through. If there is none, prints that and returns None.
///
/// # Errors
/// When the stack cannot be read, or there is none and `REQUIRE_ALL=1`.
pub fn stack() -> Result<Option<Stack>> {
    if env::var_os(STACK_FILE).is_some() {
        return Stack::load().map(Some);
    }
    if is_all_required() {
        return Err(Failure::new(format!("{STACK_FILE} is not set, and REQUIRE_ALL=1")));
    }
    println!("skipped: there is no stack ({STACK_FILE} is not set)");
    Ok(None)
}

/// The stack beside `stack` that takes the tokens of an external issuer. If there is none, prints that and returns
/// None.
///
/// # Errors
/// When there is none and `REQUIRE_ALL=1`.
pub fn oidc_stack(stack: &Stack) -> Result<Option<OidcStack>> {
    if stack.oidc.is_none() {
        if is_all_required() {
            return Err(Failure::new("the stack has no external issuer, and REQUIRE_ALL=1"));
        }
        println!("skipped: the stack has no external issuer");
    }
    Ok(stack.oidc.clone())
}

/// Whether nothing may be left out for what the machine lacks.
pub fn is_all_required() -> bool {
    env::var("REQUIRE_ALL").as_deref() == Ok("1")
}

/// An account id that no other journey has or had.
pub fn new_account_id() -> String {
    static LAST: Mutex<u128> = Mutex::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    *last = now.max(*last + 1);
    last.to_string()
}

impl Journey {
    /// Sets out: an operator creates the account, its super admin connects it to a new portal. `portal` is the
    /// sandbox's `PortalConfig`. If there is no stack, prints that and returns None.
    ///
    /// # Errors
    /// When a step is refused.
    pub fn begin(portal: &Value) -> Result<Option<Self>> {
        let Some(journey) = Self::begin_unconnected(portal)? else { return Ok(None) };
        journey.connect("2026-09")?;
        Ok(Some(journey))
    }

    /// The same without the last step.
    ///
    /// # Errors
    /// When a step is refused.
    pub fn begin_unconnected(portal: &Value) -> Result<Option<Self>> {
        let Some(stack) = stack()? else { return Ok(None) };
        let place = Place::take();
        let account_id = new_account_id();
        stack.create_account(&account_id)?;
        let admin = stack.users.new_super_admin(&account_id)?;
        let portal = Portal::make(&stack.sandbox_url, &account_id, portal)?;
        let folder = stack_folder().join("journeys").join(&account_id);
        make_folder(&folder)?;
        Ok(Some(Self { stack, account_id, admin, portal, folder, _place: place }))
    }

    /// Connects the account to its portal by a version of the CRM's API.
    ///
    /// # Errors
    /// When that is refused.
    pub fn connect(&self, api_version: &str) -> Result<()> {
        let (url, token) = (&self.stack.sandbox_url, &self.portal.token);
        let connection = json!({ "baseUrl": url, "token": token, "apiVersion": api_version });
        let answer = self.api().put(&self.path(""), &json!({ "crmConnection": connection }))?;
        expect(200, answer).map(drop)
    }

    /// Sets the account's plan, as an operator does.
    ///
    /// # Errors
    /// When that is refused.
    pub fn set_plan(&self, plan: &str) -> Result<()> {
        let operator = self.stack.api().with_token(&self.stack.operator.id_token);
        expect(200, operator.put(&self.path(""), &json!({ "plan": plan }))?).map(drop)
    }

    /// A client with the super admin's token.
    pub fn api(&self) -> Api {
        self.stack.api().with_token(&self.admin.id_token)
    }

    /// A path of the account, such as `/backups`.
    pub fn path(&self, rest: &str) -> String {
        format!("/accounts/{}{rest}", self.account_id)
    }

    /// The account's backups, as its super admin sees them.
    pub fn backups(&self) -> Backups {
        Backups::of(self.api(), &self.account_id)
    }

    /// A backup with all that the API shows of it.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn shown(&self, backup_id: &str) -> Result<Value> {
        Ok(expect(200, self.api().get(&self.path(&format!("/backups/{backup_id}")))?)?.json())
    }

    /// Makes a backup and waits until it is completed.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub fn complete_backup(&self) -> Result<Backup> {
        let backup_id = self.backups().create()?;
        self.await_completion(&backup_id)
    }

    /// Waits until a backup is completed.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub fn await_completion(&self, backup_id: &str) -> Result<Backup> {
        let backup = self.await_end(backup_id)?;
        if backup.state == "completed" {
            return Ok(backup);
        }
        Err(Failure::new(format!("the backup is {}: {:?}", backup.state, backup.failure)))
    }

    /// Waits until a backup has ended, good or bad.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn await_end(&self, backup_id: &str) -> Result<Backup> {
        self.backups().watch(backup_id, PATIENCE, |_| Ok(()))
    }

    /// The emulated AWS behind the API.
    pub fn aws(&self) -> Aws<'_> {
        Aws::of(&self.stack)
    }

    /// A folder of the journey's own; it is removed in the end unless the journey fails.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The answer, if it has the status.
///
/// # Errors
/// When it has another one.
pub fn expect(status: u16, answer: Answer) -> Result<Answer> {
    if answer.status.as_u16() == status {
        return Ok(answer);
    }
    Err(Failure::new(format!("the answer is {} instead of {status}: {}", answer.status, answer.text())))
}

/// One of the places for journeys; free again when dropped.
#[derive(Debug)]
pub struct Place;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Place {
    /// Takes a place, once there is one.
    pub fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = FREED.wait_while(taken, |taken| *taken >= PLACES).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
