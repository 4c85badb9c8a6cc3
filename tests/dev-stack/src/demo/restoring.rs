//! The demo's second half: an accident, its restore from the backup, and the undo of that. Every value is checked on
//! the way.

use std::path::Path;
use std::time::Duration;

use dev_stack::failure::{Failure, Result};
use dev_stack::python::Environment;
use dev_stack::restores::{Counts, Restore, Restores};
use dev_stack::stack::{Running, Stack};

use super::accident::{Changes, PROPERTIES, slipped_import};
use super::contacts::{Contacts, Values, archived, compare, only};
use super::review;
use crate::progress::Progress;

/// How long a plan or its execution may take; each should take less than half a minute.
const PATIENCE: Duration = Duration::from_mins(5);

/// Damages the contacts, restores them from the backup and undoes that.
///
/// # Errors
/// When a step fails, or a value is not what it should be.
pub(super) fn run(running: &mut Running, python: &Environment, backup_id: &str, archive: &Path) -> Result<()> {
    let contacts = Contacts::of(&running.stack().sandbox_url);
    let before = contacts.read()?;
    let backed_up = archived(python, archive, &PROPERTIES)?;
    check("the archive holds what the CRM holds", &only(&before, &PROPERTIES), &backed_up)?;

    contacts.overwrite(&slipped_import(&before))?;
    let damaged = contacts.read()?;
    println!();
    println!("an import with shifted columns: {}", Changes::between(&before, &damaged).in_words());

    let restore_id = restores(running.stack()).plan(backup_id, "contacts", &PROPERTIES)?;
    carry_out(running, &restore_id, Changes::between(&damaged, &before))?;
    let restored = contacts.read()?;
    check("the CRM holds what the archive holds", &backed_up, &only(&restored, &PROPERTIES))?;
    check("all is as it was before the import", &before, &restored)?;

    let undo_id = restores(running.stack()).undo(&restore_id, false)?;
    carry_out(running, &undo_id, Changes::between(&restored, &damaged))?;
    check("all is as it was before the restore", &damaged, &contacts.read()?)
}

/// The first account's restores, as its super admin sees them.
fn restores(stack: &Stack) -> Restores {
    Restores::of(stack.api().with_token(&stack.super_admin.id_token), &stack.account_id)
}

/// Reviews the plan of a restore, which must change just what is `expected`, confirms it, and waits until it is
/// completed.
fn carry_out(running: &mut Running, restore_id: &str, expected: Changes) -> Result<()> {
    let planned = watch(running, restore_id, "planned")?;
    let plan = planned.plan.ok_or_else(|| Failure::new("the restore is planned, but shows no plan"))?;
    review::print(&plan);
    let planned = Changes::of_plan(&plan);
    if planned != expected {
        let (planned, expected) = (planned.in_words(), expected.in_words());
        return Err(Failure::new(format!("the plan has {planned}; it should have {expected}")));
    }
    let stack = running.stack();
    println!();
    println!("{} signs in again, with the second factor, and confirms", stack.super_admin.email);
    let user = stack.users.sign_in_again(&stack.super_admin)?;
    Restores::of(stack.api().with_token(&user.id_token), &stack.account_id).confirm(restore_id)?;
    let completed = watch(running, restore_id, "completed")?;
    let outcome = completed.outcome.ok_or_else(|| Failure::new("the restore is completed, but shows no outcome"))?;
    let import = restores(running.stack()).import(restore_id)?;
    print_outcome(&import.name, &outcome);
    Ok(())
}

/// Shows a restore's progress until it waits or ends. Its state must be `expected` then.
fn watch(running: &mut Running, restore_id: &str, expected: &str) -> Result<Restore> {
    let mut progress = Progress::new();
    let restore = restores(running.stack()).watch(restore_id, PATIENCE, |restore| {
        progress.show_restore(restore);
        running.check_running()
    })?;
    if restore.state == expected {
        return Ok(restore);
    }
    let why = restore.failure.as_ref().and_then(|failure| failure["sentence"].as_str());
    Err(Failure::new(format!("the restore is {}: {}", restore.state, why.unwrap_or("it gives no reason"))))
}

fn print_outcome(name: &str, outcome: &Counts) {
    let Counts { records_restored, values_restored, records_failed, values_failed, drifted_values, .. } = outcome;
    println!();
    println!(
        "import \"{name}\": {values_restored} values written in {records_restored} contacts, {values_failed} failed in \
         {records_failed}, {drifted_values} edited meanwhile"
    );
}

/// Checks that contacts have the expected values. `what` describes this state.
fn check(what: &str, expected: &Values, found: &Values) -> Result<()> {
    let compared =
        compare(expected, found).map_err(|failure| Failure::new(format!("not true that {what}: {failure}")))?;
    println!("{what}: {compared} values of {} contacts compared, no difference", found.len());
    Ok(())
}
