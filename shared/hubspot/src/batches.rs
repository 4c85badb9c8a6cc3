//! Up to a hundred records at a time, read and written by their ids.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, RecordUpdate, UpdatedRecord, WriteRefusal};
use domain::property::MERGED_IDS;
use domain::rows::RowBuffer;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::answers::{self, Unusable};
use crate::by_id::{Selection, check_takes_ids};
use crate::call::{Answer, Call, CallError};
use crate::client::HubSpot;
use crate::documents;
use crate::retry::Retries;
use crate::scan::Malformed;
use crate::write_refusal;

/// A batch is written this often, when the CRM answers that it has failed for some of the records.
const MOST_WRITES: u32 = 3;

/// The body of a batch/update.
#[derive(Serialize)]
struct Updates<'a> {
    inputs: Vec<UpdateInput<'a>>,
}

#[derive(Serialize)]
struct UpdateInput<'a> {
    id: String,
    #[serde(serialize_with = "as_object")]
    properties: &'a [(String, String)],
}

/// What a batch/update answers. A batch that was written in part has both members.
#[derive(Deserialize)]
struct Written {
    status: Option<String>,
    results: Vec<WrittenRecord>,
    errors: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct WrittenRecord {
    /// A text, or a number.
    id: Value,
    properties: Option<Map<String, Value>>,
}

impl HubSpot {
    /// Ids that do not exist are left out, as far as the CRM says so.
    pub(crate) async fn read_records(
        &self,
        request: &BatchRead<'_>,
        rows: &mut RowBuffer,
    ) -> Result<Vec<RecordId>, CrmError> {
        if rows.columns() != request.properties.len() {
            *rows = RowBuffer::new(request.properties.len());
        }
        rows.clear();
        if request.ids.is_empty() {
            return Ok(Vec::new());
        }
        check_takes_ids(request.object)?;
        let wanted = Selection::properties(request.object, request.properties);
        let mut found = self.read_by_id(wanted, request.ids, rows).await?;
        if !lacks_merged_ids_only(rows, request.properties) {
            self.complete(request.object, request.properties, rows, &mut found).await?;
        }
        Ok(found.unreadable)
    }

    pub(crate) async fn update_records(
        &self,
        object: &ObjectType,
        updates: &[RecordUpdate],
    ) -> Result<BatchUpdate, CrmError> {
        if updates.is_empty() {
            return Ok(BatchUpdate::Written { records: Vec::new(), refused: Vec::new() });
        }
        check_takes_ids(object)?;
        let call = self.endpoints.batch_update(object, body_of(updates));
        let names = updates.iter().flat_map(|update| &update.values).map(|(name, _)| name.as_str()).collect();
        let (mut answers, mut unanswered) = (0, None);
        let read = |answer: &Answer| {
            let written: Written = answer.json()?;
            answers += 1;
            // To write the same values twice does no harm. What fails each time is told like a refusal, and a record of
            // which two answers say nothing is gone.
            if written.failed_in_part() && answers < MOST_WRITES || written.is_silent_about_some(updates) && answers < 2
            {
                return Err(Unusable::InPart);
            }
            Ok(written.into_update(updates, &names)?)
        };
        let answer = match self.try_send(&call, Retries::default(), &mut unanswered, read).await {
            Ok(update) => Ok(update),
            Err(CallError::Refused(refusal)) => match refusal.into_write_refusal(&names) {
                Ok(refusal) => Ok(BatchUpdate::Refused(refusal)),
                Err(other) => Err(CallError::Refused(other).into_error(&call)),
            },
            Err(error) => Err(error.into_error(&call)),
        };
        match (answer, unanswered) {
            (Ok(update), Some(sent_at)) => self.until_landed(&call, sent_at).await.map(|()| update),
            (answer, _) => answer.map_err(|error| error.or_landed(unanswered.is_some())),
        }
    }

    /// Waits until a write cannot land any more that was sent at `sent_at` and not answered. Otherwise it could land after
    /// what is written next, or when somebody else may write.
    ///
    /// # Errors
    /// When there is no time for that.
    async fn until_landed(&self, call: &Call, sent_at: Timestamp) -> Result<(), CrmError> {
        let since = Duration::try_from(self.clock.now().duration_since(sent_at)).unwrap_or_default();
        let wait = self.retry_policy.landing.saturating_sub(since);
        if wait < self.time_left() {
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        let sentence = format!("HubSpot did not answer in time when asked for {}. Try again later.", call.about);
        let kind = CrmErrorKind::Unavailable { retry_after: SignedDuration::ZERO };
        Err(CrmError::new(kind, sentence).or_landed(true))
    }
}

/// Whether nothing but the names of merged records is not shown. Not every object has that property, so batches ask for it
/// without knowing whether there is one.
fn lacks_merged_ids_only(rows: &RowBuffer, properties: &[&str]) -> bool {
    (0..rows.len()).all(|row| rows.not_shown(row).all(|column| properties.get(column) == Some(&MERGED_IDS)))
}

fn body_of(updates: &[RecordUpdate]) -> Bytes {
    let inputs = updates.iter().map(|update| UpdateInput { id: update.id.to_string(), properties: &update.values });
    let body = Updates { inputs: inputs.collect() };
    serde_json::to_vec(&body).expect("a batch update is plain data").into()
}

fn as_object<S: Serializer>(values: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(name, value)| (name, value)))
}

impl Written {
    /// Whether the CRM has failed for records whose values it may well take.
    fn failed_in_part(&self) -> bool {
        let is_under_way = self.status.as_deref().is_some_and(|status| status != "COMPLETE");
        is_under_way || self.errors.iter().flatten().any(answers::is_temporary)
    }

    /// Whether some of the records that were `sent` are neither shown nor refused.
    fn is_silent_about_some(&self, sent: &[RecordUpdate]) -> bool {
        let refused = self.errors.iter().flatten();
        refused.clone().all(|error| !answers::ids_in(error).is_empty())
            && self.results.len() + refused.map(|error| answers::ids_in(error).len()).sum::<usize>() < sent.len()
    }

    /// What became of the records that were `sent`.
    fn into_update(self, sent: &[RecordUpdate], names: &BTreeSet<&str>) -> Result<BatchUpdate, Malformed> {
        let refusal_of = |error: &Value| write_refusal::read(error, "HTTP_207", names);
        let refused_records = |error: &Value| -> Vec<(RecordId, WriteRefusal)> {
            answers::ids_in(error).into_iter().map(|id| (id, refusal_of(error))).collect()
        };
        let records = self.results.into_iter().map(WrittenRecord::into_record).collect::<Result<Vec<_>, _>>()?;
        let errors = self.errors.unwrap_or_default();
        let mut refused: Vec<_> = errors.iter().flat_map(refused_records).collect();
        let nameless = errors.iter().find(|error| answers::ids_in(error).is_empty());
        match nameless {
            // What is wrong concerns all of them.
            Some(error) if records.is_empty() && refused.is_empty() => Ok(BatchUpdate::Refused(refusal_of(error))),
            Some(error) => {
                // It can only be about those of which nothing is told.
                let told = |id: &RecordId| {
                    records.iter().any(|record| record.id == *id) || refused.iter().any(|(named, _)| named == id)
                };
                let untold: Vec<RecordId> = sent.iter().map(|update| update.id).filter(|id| !told(id)).collect();
                refused.extend(untold.into_iter().map(|id| (id, refusal_of(error))));
                Ok(BatchUpdate::Written { records, refused })
            }
            None => Ok(BatchUpdate::Written { records, refused }),
        }
    }
}

impl WrittenRecord {
    fn into_record(self) -> Result<UpdatedRecord, Malformed> {
        let values = self.properties.unwrap_or_default().into_iter().map(|(name, value)| {
            let value = match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            };
            (name, value)
        });
        let id = documents::text_of(&self.id).and_then(|id| RecordId::parse(&id).ok()).ok_or(Malformed { at: 0 })?;
        Ok(UpdatedRecord { id, values: values.collect() })
    }
}

#[cfg(test)]
mod fuzzing {
    use fuzz::{Form, Target};

    use super::*;

    const WORDS: &[&str] = &[
        "status",
        "COMPLETE",
        "PENDING",
        "results",
        "id",
        "properties",
        "errors",
        "category",
        "context",
        "ids",
        "email",
        "VALIDATION_ERROR",
        "OBJECT_NOT_FOUND",
        "RATE_LIMIT",
        "code",
        "INVALID_EMAIL",
    ];

    /// What an answer to a write tells of each record: it was written, it was refused, or nothing at all.
    #[test]
    fn fuzz_crm_written() {
        let sent = [1, 2, 3].map(|id| RecordUpdate { id: RecordId(id), values: vec![("email".into(), "x".into())] });
        let names = BTreeSet::from(["email"]);
        Target::new("crm_written", Form::Json, WORDS).fuzz(|body| {
            let Ok(written) = documents::read::<Written>(body) else { return (None, [0; 2]) };
            let (in_part, is_silent) = (written.failed_in_part(), written.is_silent_about_some(&sent));
            let errors = written.errors.clone().unwrap_or_default();
            let nameless = errors.iter().any(|error| answers::ids_in(error).is_empty());
            let shown = written.results.len();
            match written.into_update(&sent, &names) {
                Err(_) => (Some(in_part), [9, 9]),
                Ok(BatchUpdate::Refused(_)) => {
                    assert!(shown == 0 && nameless, "records that were written are told as refused");
                    (Some(in_part), [8, 8])
                }
                Ok(BatchUpdate::Written { records, refused }) => {
                    assert_eq!(records.len(), shown, "a record that is shown is lost");
                    let told = |id: RecordId| {
                        records.iter().any(|record| record.id == id) || refused.iter().any(|(named, _)| *named == id)
                    };
                    let all = sent.iter().all(|update| told(update.id));
                    assert!(all || !nameless, "a record is forgotten, and an error is about it");
                    assert!(all || is_silent || shown + refused.len() >= sent.len(), "a silence is not noticed");
                    (Some(in_part), [records.len().min(7), refused.len().min(7)])
                }
            }
        });
    }
}
