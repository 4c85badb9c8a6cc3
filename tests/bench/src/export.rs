//! Backups through a deployed stack of release builds.

use std::time::{Duration, Instant};

use dev_stack::api::Api;
use dev_stack::backups::{Backup, Backups};
use dev_stack::binaries::Profile;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::stack::{Running, Wishes};
use serde_json::Value;

/// How often progress is printed.
const PRINT_EVERY: Duration = Duration::from_secs(10);

/// Brings up a stack whose sandbox CRM is started with `sandbox`.
pub(crate) fn bring_up(places: &Places, sandbox: &[&str]) -> Result<Running> {
    Running::bring_up(places, Wishes { name: "bench", sandbox, profile: Profile::Release, ..Wishes::default() })
}

/// A backup that has completed.
pub(crate) struct Completed {
    /// From the request to the archive.
    pub(crate) took: Duration,
    pub(crate) backup: Backup,
    /// Where to download it.
    pub(crate) backups: Backups,
}

/// Backs the stack's account up, prints progress, and calls `look` twice a second meanwhile.
///
/// # Errors
/// When the backup fails or takes longer than `patience`.
pub(crate) fn back_up(
    name: &str,
    running: &mut Running,
    patience: Duration,
    mut look: impl FnMut() -> Result<()>,
) -> Result<Completed> {
    let stack = running.stack();
    let backups = Backups::of(stack.api().with_token(&stack.super_admin.id_token), &stack.account_id);
    let began = Instant::now();
    let id = backups.create()?;
    let mut printed = Instant::now();
    let backup = backups.watch(&id, patience, |backup| {
        if printed.elapsed() >= PRINT_EVERY {
            printed = Instant::now();
            let records: u64 = backup.objects.iter().map(|object| object.records).sum();
            eprintln!("{name}: {} after {:.0} s, {records} records", backup.state, began.elapsed().as_secs_f64());
        }
        look()?;
        running.check_running()
    })?;
    if backup.state != "completed" {
        let why = backup.failure.as_ref().and_then(|failure| failure["sentence"].as_str()).unwrap_or("no reason given");
        return Err(Failure::new(format!("{name}: the backup is {}: {why}", backup.state)));
    }
    Ok(Completed { took: began.elapsed(), backup, backups })
}

/// The token of the sandbox's account.
pub(crate) const SANDBOX_TOKEN: &str = "sandbox-token";

/// The names of an object's properties.
///
/// # Errors
/// When the sandbox CRM does not answer.
pub(crate) fn properties(running: &Running, object: &str) -> Result<Vec<String>> {
    let api = Api::new(&running.stack().sandbox_url).with_token(SANDBOX_TOKEN);
    let listed = api.get(&format!("/crm/v3/properties/{object}"))?.expect(200, "reading the properties")?.json();
    let names = listed["results"].as_array().into_iter().flatten().filter_map(|property| property["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// What the sandbox CRM was called for; see `CallReport` of `sandbox-crm`.
pub(crate) fn call_report(running: &Running) -> Result<Value> {
    let answer = Api::new(&running.stack().sandbox_url).get("/_sandbox/portals/default/calls?recent=2000")?;
    Ok(answer.json())
}
