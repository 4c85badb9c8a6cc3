//! Reads and writes up to a hundred records by their ids in one call.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, RecordUpdate, UpdatedRecord, WriteRefusal};
use domain::rows::RowBuffer;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::answers::{self, Unusable};
use crate::by_id::{Selection, check_takes_ids};
use crate::call::{Answer, Call, CallError};
use crate::client::HubSpot;
use crate::documents;
use crate::model::MERGED_IDS;
use crate::retry::Retries;
use crate::scan::Malformed;
use crate::write_refusal;

/// The most requests for one batch, if the CRM answers that it failed for some of the records.
const MOST_WRITES: u32 = 3;

/// The body of a batch update.
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

/// The answer to a batch update. It has both lists if only some of the records were written.
#[derive(Deserialize)]
struct Written {
    status: Option<String>,
    results: Vec<WrittenRecord>,
    errors: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct WrittenRecord {
    /// A text or a number.
    id: Value,
    properties: Option<Map<String, Value>>,
}

impl HubSpot {
    /// See [`Crm::read_batch`](domain::ports::crm::Crm::read_batch).
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
            // Writing the same values twice does no harm. A record that fails each time is returned as refused. A
            // record that two answers do not mention does not exist.
            if written.failed_in_part() && answers < MOST_WRITES || written.omits_some(updates) && answers < 2 {
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

    /// Waits until the unanswered write that was sent at `sent_at` can no longer land. Otherwise it could land after
    /// the next write, or after another restore has begun to write.
    ///
    /// # Errors
    /// If there is no time to wait.
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

/// Whether the ids of merged records are the only values that are not shown. Batches always ask for this property, and
/// not every object has it.
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
    /// Whether the CRM failed for records whose values it may accept later.
    fn failed_in_part(&self) -> bool {
        let is_under_way = self.status.as_deref().is_some_and(|status| status != "COMPLETE");
        is_under_way || self.errors.iter().flatten().any(answers::is_temporary)
    }

    /// Whether the answer neither shows nor refuses some of the `sent` records.
    fn omits_some(&self, sent: &[RecordUpdate]) -> bool {
        let refused = self.errors.iter().flatten();
        refused.clone().all(|error| !answers::ids_in(error).is_empty())
            && self.results.len() + refused.map(|error| answers::ids_in(error).len()).sum::<usize>() < sent.len()
    }

    /// The outcome for each of the `sent` records.
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
            // The error is about all records.
            Some(error) if records.is_empty() && refused.is_empty() => Ok(BatchUpdate::Refused(refusal_of(error))),
            Some(error) => {
                // The error can only be about the records that the answer does not mention.
                let is_mentioned = |id: &RecordId| {
                    records.iter().any(|record| record.id == *id) || refused.iter().any(|(named, _)| named == id)
                };
                let others: Vec<RecordId> =
                    sent.iter().map(|update| update.id).filter(|id| !is_mentioned(id)).collect();
                refused.extend(others.into_iter().map(|id| (id, refusal_of(error))));
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

    /// For each record, an answer to a write shows it, refuses it, or does not mention it.
    #[test]
    fn fuzz_crm_written() {
        let sent = [1, 2, 3].map(|id| RecordUpdate { id: RecordId(id), values: vec![("email".into(), "x".into())] });
        let names = BTreeSet::from(["email"]);
        Target::new("crm_written", Form::Json, WORDS).fuzz(|body| {
            let Ok(written) = documents::read::<Written>(body) else { return (None, [0; 2]) };
            let (in_part, omits) = (written.failed_in_part(), written.omits_some(&sent));
            let errors = written.errors.clone().unwrap_or_default();
            let nameless = errors.iter().any(|error| answers::ids_in(error).is_empty());
            let shown = written.results.len();
            match written.into_update(&sent, &names) {
                Err(_) => (Some(in_part), [9, 9]),
                Ok(BatchUpdate::Refused(_)) => {
                    assert!(shown == 0 && nameless, "written records count as refused");
                    (Some(in_part), [8, 8])
                }
                Ok(BatchUpdate::Written { records, refused }) => {
                    assert_eq!(records.len(), shown, "a shown record is lost");
                    let is_mentioned = |id: RecordId| {
                        records.iter().any(|record| record.id == id) || refused.iter().any(|(named, _)| *named == id)
                    };
                    let all = sent.iter().all(|update| is_mentioned(update.id));
                    assert!(all || !nameless, "a record is forgotten, although an error is about it");
                    assert!(all || omits || shown + refused.len() >= sent.len(), "an omission is not noticed");
                    (Some(in_part), [records.len().min(7), refused.len().min(7)])
                }
            }
        });
    }
}
