//! The bodies of requests about restores.

use domain::restore::{MOST_NAME_BYTES, MOST_PROPERTIES};
use http_api::fields::Fields;
use http_api::problem::{FieldFault, Problem};

/// Longer than any backup's id.
const LONGEST_ID: usize = 64;
/// Longer than any name of an object or property in the CRM.
const LONGEST_NAME: usize = 200;

/// The acknowledgements that a plan needs, and the sentence if one is missing.
const ACKNOWLEDGEMENTS: [(&str, &str); 2] = [
    ("dataChanges", "It must be true, to acknowledge that the restore changes live data in the CRM."),
    ("cannotBeUndoneInCrm", "It must be true, to acknowledge that the restore cannot be undone inside the CRM."),
];

/// The request for a new restore.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RestoreWish {
    pub(crate) backup_id: String,
    pub(crate) object_type: String,
    pub(crate) properties: Vec<String>,
}

/// Reads `{backupId, objectType, properties}`. All fields are required.
///
/// # Errors
/// A 422 problem that names every invalid field.
pub(crate) fn wish(mut body: Fields) -> Result<RestoreWish, Problem> {
    let mut faults = Vec::new();
    body.require(&["backupId", "objectType", "properties"], &mut faults);
    let backup_id = body.text("backupId", LONGEST_ID, &mut faults);
    let object_type = body.text("objectType", LONGEST_NAME, &mut faults);
    let properties = body.texts("properties", 1..=MOST_PROPERTIES, LONGEST_NAME, &mut faults);
    body.finish(&mut faults);
    if properties.iter().flatten().map(String::len).sum::<usize>() > MOST_NAME_BYTES {
        let detail = format!(
            "All names together may have at most {MOST_NAME_BYTES} bytes. Split the properties over several restores."
        );
        faults.push(FieldFault::new("properties", detail));
    }
    match (backup_id, object_type, properties) {
        (Some(backup_id), Some(object_type), Some(properties)) if faults.is_empty() => {
            Ok(RestoreWish { backup_id, object_type, properties })
        }
        _ => Err(Problem::input_invalid(faults)),
    }
}

/// Checks that the body is `{acknowledgements: {dataChanges: true, cannotBeUndoneInCrm: true}}`.
///
/// # Errors
/// A 422 problem that names every invalid field, with the meaning of each missing acknowledgement.
pub(crate) fn confirmation(mut body: Fields) -> Result<(), Problem> {
    let mut faults = Vec::new();
    let mut acknowledgements = body.object("acknowledgements", &mut faults);
    for (name, detail) in ACKNOWLEDGEMENTS {
        if !acknowledgements.as_mut().is_some_and(|given| given.is_true(name)) {
            faults.push(FieldFault::new(format!("acknowledgements.{name}"), detail));
        }
    }
    if let Some(given) = acknowledgements {
        given.finish(&mut faults);
    }
    body.finish(&mut faults);
    if faults.is_empty() { Ok(()) } else { Err(Problem::input_invalid(faults)) }
}

/// Reads `{includeEdited}`: whether to undo values that were edited since, too. False if absent.
///
/// # Errors
/// A 422 problem that names every invalid field.
pub(crate) fn include_edited(mut body: Fields) -> Result<bool, Problem> {
    let mut faults = Vec::new();
    let include_edited = body.flag("includeEdited", &mut faults).unwrap_or(false);
    body.finish(&mut faults);
    if faults.is_empty() { Ok(include_edited) } else { Err(Problem::input_invalid(faults)) }
}
