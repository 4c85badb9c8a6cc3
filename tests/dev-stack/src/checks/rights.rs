//! Compares the rights of the functions' roles with those that the journeys have used. A right that is missing fails a
//! journey, since the emulator refuses the request. A right that nothing uses fails this check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dev_stack::failure::{Failure, OrFailure, Result};
use serde::Deserialize;

use super::report::Outcome;

/// Rights that no journey uses: the role, or `*` for all, the action, and why a role has it all the same.
const UNUSED: [(&str, &str, &str); 2] = [
    ("*", "logs:CreateLogStream", "Lambda writes the logs of a function with these rights, not the function itself"),
    ("*", "logs:PutLogEvents", "the same"),
];

/// A statement of a role's policies, as `python/used_rights.py` writes it.
#[derive(Debug, Deserialize)]
struct Statement {
    /// The role's name: stack, logical id and a suffix, with dashes in between.
    role: String,
    /// Its place in the role's policies, from 0.
    #[serde(rename = "statement")]
    place: usize,
    granted: Vec<String>,
    used: Vec<String>,
}

/// A right of a role: its logical id, the place of the statement, the action.
type Right = (String, usize, String);

/// Checks the rights in the file at `path`.
///
/// # Errors
/// When a role has a right that no request has used and no reason is given for, or a right with a reason is used.
pub(super) fn check(path: &Path) -> Result<Outcome> {
    let text = fs::read(path).or_failure(|| format!("cannot read {}", path.display()))?;
    let statements: Vec<Statement> = serde_json::from_slice(&text).or_failure(|| "the recorded rights".to_owned())?;
    let (granted, unused) = unused(&statements);
    let is_about = |(role, _, action): &Right, (of, explained, _): &(&str, &str, &str)| {
        (*of == "*" || of == role) && explained == action
    };
    let without_reason = unused.iter().filter(|right| !UNUSED.iter().any(|reason| is_about(right, reason)));
    let without_right = UNUSED.iter().filter(|reason| !unused.iter().any(|right| is_about(right, reason)));
    let wrong: Vec<String> = without_reason
        .map(|(role, place, action)| format!("{role}, statement {}: no journey uses {action}", place + 1))
        .chain(without_right.map(|(role, action, _)| format!("{role}: {action} is used, or no role has it")))
        .collect();
    if wrong.is_empty() {
        return Ok(Outcome::Passed(format!("{granted} rights, {} of them unused for a reason", unused.len())));
    }
    Err(Failure::new(wrong.join("\n")))
}

/// The number of rights, and those that no request has used. Stacks of the same template count as one.
fn unused(statements: &[Statement]) -> (usize, BTreeSet<Right>) {
    let mut rights: BTreeMap<Right, bool> = BTreeMap::new();
    for statement in statements {
        let role = logical_id(&statement.role);
        for action in &statement.granted {
            let is_used = statement.used.contains(action);
            *rights.entry((role.to_owned(), statement.place, action.clone())).or_default() |= is_used;
        }
    }
    let all = rights.len();
    (all, rights.into_iter().filter(|(_, is_used)| !is_used).map(|(right, _)| right).collect())
}

/// The logical id in the name that CloudFormation gives to a resource.
fn logical_id(name: &str) -> &str {
    name.rsplit('-').nth(1).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(role: &str, place: usize, granted: &[&str], used: &[&str]) -> Statement {
        let texts = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect();
        Statement { role: role.to_owned(), place, granted: texts(granted), used: texts(used) }
    }

    #[test]
    fn a_right_counts_as_used_if_one_of_the_stacks_uses_it() {
        let read_and_write = ["s3:GetObject", "s3:PutObject"];
        let statements = [
            statement("one-stack-ReadApiRole-1A2B", 0, &read_and_write, &["s3:GetObject"]),
            statement("other-ReadApiRole-3C4D", 0, &read_and_write, &["s3:PutObject"]),
            statement("other-ReadApiRole-3C4D", 1, &["s3:GetObject"], &[]),
        ];
        let left = ("ReadApiRole".to_owned(), 1, "s3:GetObject".to_owned());
        assert_eq!(unused(&statements), (3, BTreeSet::from([left])));
    }
}
