//! The shell lines of docs/admin.md, and those of README.md that call the API, pasted one after the other into a shell
//! after what `cargo dev up` prints.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::{Places, make_folder, write_secret_file};
use dev_stack::processes::Group;
use end_to_end::journey::{is_all_required, stack};
use end_to_end::readers;

/// How long all the lines may take, a backup and a restore among them.
const PATIENCE: Duration = Duration::from_mins(6);

/// What must be true at the end, by the lines' own variables; then the account is quiet again, for the journeys beside it.
const OUTCOME: &str = r#"
curl -sS --fail-with-body "$API/accounts/$ACCOUNT/restores/$RESTORE" -H "$AUTH" > restore.json
jq -e '.state == "completed" and .outcome.recordsRestored == 1' restore.json
curl -sS --fail-with-body "$CRM_URL/crm/objects/2026-09/contacts/$RECORD?properties=jobtitle" -H "Authorization: Bearer $CRM_TOKEN" > contact.json
jq -e '.properties.jobtitle != "changed by mistake"' contact.json
test "$UNDO" != null
curl -sS --fail-with-body -X PUT "$API/accounts/$ACCOUNT/backup-schedule" -H "$AUTH" --json '{"enabled": false}'
curl -sS --fail-with-body -X PUT "$API/accounts/$ACCOUNT" -H "$AUTH" --json '{"notificationTargets": {"webhook": null}}'
echo "all lines work"
"#;

/// The blocks of shell lines of a document, in order.
fn shell_blocks(document: &str) -> impl Iterator<Item = &str> {
    document.split("```sh\n").skip(1).filter_map(|block| block.split("```").next())
}

/// All lines that need a running stack: every block of `guide`, then the blocks of `readme` that call the API.
fn shell_lines(guide: &str, readme: &str) -> String {
    let calls_the_api = |block: &&str| block.contains("$API");
    shell_blocks(guide).chain(shell_blocks(readme).filter(calls_the_api)).collect()
}

/// What the lines need and this machine lacks.
fn lacks() -> Option<&'static str> {
    let fails = |program: &str, arguments: &[&str]| {
        !Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let needs: [(&str, &[&str]); 4] = [
        ("bash", &["--version"]),
        ("jq", &["--version"]),
        ("aws", &["--version"]),
        ("curl", &["--json", "{}", "--version"]),
    ];
    needs.into_iter().find(|(program, arguments)| fails(program, arguments)).map(|(program, _)| program)
}

/// D10: a new user pastes what `cargo dev up` prints, and then the documents line by line.
#[test]
fn every_documented_line_works_as_it_stands() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    if let Some(program) = lacks() {
        let lack = format!("there is no {program} that the documented lines need");
        assert!(!is_all_required(), "{lack}");
        println!("left out: {lack}");
        return Ok(());
    }
    let places = Places::find()?;
    let read = |name: &str| fs::read_to_string(places.root().join(name)).or_failure(|| format!("cannot read {name}"));
    let lines = shell_lines(&read("docs/admin.md")?, &read("README.md")?);
    let folder = places.dev().join("shell-lines");
    make_folder(&folder)?;
    let script = ["set -euo pipefail\n", &stack.exports(), &lines, OUTCOME].concat();

    run(&folder, &script)?;

    let printed = readers::documented_checker(&folder.join("backup.zip"))?;
    assert!(printed.contains("contacts.csv"), "{printed}");
    let log = fs::read_to_string(folder.join("audit-log.csv")).or_failure(|| "there is no audit log".to_owned())?;
    assert!(log.contains("create-backup"), "the exported audit log lacks the backup");
    fs::remove_dir_all(&folder).or_failure(|| "cannot remove what the lines have made".to_owned())
}

/// Runs a script, in which tokens are, with bash in a folder.
fn run(folder: &Path, script: &str) -> Result<()> {
    let (file, log) = (folder.join("lines.sh"), folder.join("output.log"));
    write_secret_file(&file, script.as_bytes())?;
    let mut bash = Command::new("bash");
    bash.current_dir(folder).arg(&file);
    let mut group = Group::start("bash", &mut bash, &log)?;
    let is_done = |group: &Group| group.output().ends_with("all lines work\n").then_some(());
    let done = group.wait_until(PATIENCE, is_done);
    // Bash can have come to its end before anybody looked.
    is_done(&group).map_or(done, Ok).map_err(|failure| {
        let output = group.output();
        let last: Vec<_> = output.lines().rev().take(12).collect();
        Failure::new(format!("{failure}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n")))
    })
}
