//! Backups whose objects are all exported, made without reading a CRM: segments of text that packs badly, in storage
//! and in the ledger as a run of export-chunk leaves them.

use std::collections::BTreeMap;

use archive::segment::SegmentWriter;
use bytes::Bytes;
use dev_stack::failure::{OrFailure, Result};
use domain::Refused;
use domain::account::ApiVersion;
use domain::account::Requester;
use domain::backup::{Backup, BackupEvent};
use domain::ids::{AccountId, BackupId, ObjectType, RecordId};
use domain::object::{Committed, CountBefore, Counts, ObjectExport, Shortfall};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{Change, Ledger};
use domain::ports::storage::BlobWriter;
use domain::property::{Columns, ObjectDefinition, Property, Sensitivity};
use domain::rows::RowBuffer;
use domain::segment::Segment;
use domain::storage_keys;
use domain::work::BackupRef;
use jiff::{SignedDuration, Timestamp};

use super::Parts;

/// The smallest size of a segment that is not its chunk's last.
const SEGMENT_BYTES: u64 = 16 << 20;
const COLUMNS: usize = 10;
const VALUE_CHARACTERS: usize = 100;
const ROWS_PER_PAGE: u64 = 100;

/// A backup that is being made up.
struct Exporting {
    backup: Backup,
    object: ObjectExport,
    segments: Vec<Segment>,
}

/// Makes two backups of an object with at least `bytes` of segments each, the same in both, ready to be assembled.
pub(super) async fn two_backups(parts: &Parts, account: &str, bytes: u64) -> Result<[BackupRef; 2]> {
    let account = AccountId::parse(account).or_failure(|| "the account".to_owned())?;
    let mut backups = Vec::new();
    for number in 1..=2 {
        backups.push(begin(parts, &account, number).await?);
    }
    let mut random = fastrand::Rng::with_seed(1);
    let (mut packed, mut rows) = (0, 0);
    while packed < bytes {
        let (content, segment) = segment(rows, &mut random);
        let (content, summary) = (Bytes::from(content), segment);
        rows += summary.rows;
        packed += summary.packed_bytes;
        for exporting in &mut backups {
            let sequence = u32::try_from(exporting.segments.len()).or_failure(|| "segments".to_owned())?;
            let backup = exporting.backup.reference();
            let object = &exporting.object.definition.object_type;
            let storage_key = storage_keys::segment(&backup, object, 1, RecordId(0), sequence, 1);
            let etag = parts.objects.write_new(&storage_key, content.clone(), "application/octet-stream").await;
            exporting.segments.push(Segment {
                backup_id: backup.backup_id,
                object_type: object.clone(),
                generation: 1,
                lower: RecordId(0),
                sequence,
                attempt: 1,
                storage_key,
                etag: etag.or_failure(|| "a segment".to_owned())?,
                summary: summary.clone(),
                hidden_values: BTreeMap::new(),
                mended_values: 0,
            });
        }
    }
    let mut references = Vec::new();
    for exporting in backups {
        references.push(exporting.backup.reference());
        finish(&*parts.ledger, exporting).await?;
    }
    references.try_into().map_err(|_| dev_stack::failure::Failure::new("two backups"))
}

async fn begin(parts: &Parts, account: &AccountId, number: u8) -> Result<Exporting> {
    let now = Timestamp::now();
    let backup = BackupRef { account_id: account.clone(), backup_id: BackupId::new(now, [number; 10]) };
    let object_type = ObjectType::parse("contacts").or_failure(|| "the object".to_owned())?;
    let columns_key = storage_keys::columns(&backup, &object_type, 1);
    let columns = Columns::from_properties((0..COLUMNS).map(property).collect());
    let json = serde_json::to_vec(&columns).or_failure(|| "columns".to_owned())?;
    let written = parts.objects.write_new(&columns_key, Bytes::from(json), "application/json").await;
    written.or_failure(|| "columns".to_owned())?;
    let definition =
        ObjectDefinition { object_type, type_id: Some("0-1".to_owned()), label: "Contact".to_owned(), custom: false };
    let (object, _) = ObjectExport::discovered(
        &backup,
        definition,
        ReadMode::Ranges,
        &columns,
        columns_key,
        CountBefore { records: None, listed_empty: false, counted_at: now },
        now,
    );
    let requester = Requester { subject: "bench".to_owned(), email: None };
    let backup = Backup::accepted(backup, 1, ApiVersion::default(), requester, now);
    Ok(Exporting { backup, object, segments: Vec::new() })
}

fn property(number: usize) -> Property {
    Property {
        name: format!("text_{number}"),
        label: format!("Text {number}"),
        kind: "string".to_owned(),
        sensitivity: Sensitivity::NonSensitive,
        calculated: false,
        read_only: false,
    }
}

/// A segment of records with ids above `above`.
fn segment(above: u64, random: &mut fastrand::Rng) -> (Vec<u8>, domain::segment::SegmentSummary) {
    let mut writer = SegmentWriter::new();
    let mut page = RowBuffer::new(COLUMNS);
    let mut value = String::new();
    let mut last = above;
    while writer.packed_bytes() < SEGMENT_BYTES {
        page.clear();
        for id in last + 1..=last + ROWS_PER_PAGE {
            page.begin_row(RecordId(id));
            for column in 0..COLUMNS {
                value.clear();
                value.extend((0..VALUE_CHARACTERS).map(|_| random.alphanumeric()));
                page.set(column, &value);
            }
        }
        last += ROWS_PER_PAGE;
        writer.write_rows(&page, 0..page.len());
    }
    writer.finish()
}

/// Takes the backup through its states until it waits for its assembly, and puts everything into the ledger.
async fn finish(ledger: &dyn Ledger, exporting: Exporting) -> Result<()> {
    let Exporting { backup, mut object, segments } = exporting;
    let now = Timestamp::now();
    for (at, segment) in segments.iter().enumerate() {
        let added = Committed {
            records: segment.summary.rows,
            pages: segment.summary.rows / ROWS_PER_PAGE,
            plain_bytes: segment.summary.plain_bytes,
            packed_bytes: segment.summary.packed_bytes,
            segment: true,
            chunk_done: at + 1 == segments.len(),
            shortfall: Shortfall::default(),
        };
        object = object.commit(1, &added, now).or_failure(refused)?;
    }
    let counts = Counts { before: Some(object.records), after: Some(object.records), created: Some(0) };
    object = object.close(&object, counts, now, now).or_failure(refused)?;
    let backup = exported(&backup, now).or_failure(refused)?;
    let mut changes = vec![Change::create(&backup), Change::create(&object)];
    changes.extend(segments.iter().map(Change::create));
    for some in changes.chunks(50) {
        ledger.commit(some).await.or_failure(|| "the ledger".to_owned())?;
    }
    Ok(())
}

fn refused() -> String {
    "a backup's step".to_owned()
}

fn exported(backup: &Backup, now: Timestamp) -> std::result::Result<Backup, Refused> {
    let leased = backup.lease("bench", now, SignedDuration::from_mins(1));
    let leased = leased.map_err(|_| Refused::new("leasing a backup", "it is leased already"))?;
    let lease = leased.leasing.last_number;
    let finished = BackupEvent::DiscoveryFinished { lease, contains_sensitive_data: false, gaps: Vec::new() };
    [BackupEvent::ObjectAdded { lease }, finished, BackupEvent::ObjectExported]
        .into_iter()
        .try_fold(leased, |backup, event| backup.apply(event, now))
}
