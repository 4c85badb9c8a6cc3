//! What a backup cannot hold is named, everything else is in it.

use domain::backup::{Backup, BackupState};
use domain::gap::{Gap, Missing};
use domain::ids::{ObjectType, RecordId};
use domain::notification::{Event, Notification};
use domain::object::Verdict;
use domain::ports::crm::{CrmErrorKind, RefusedProperties};
use domain::ports::ledger;
use domain::property::Sensitivity;
use faults::crm::Cursors;
use faults::{Exported, Settings, World, samples};
use jiff::SignedDuration;

use crate::cases::SMALL;
use crate::worlds::{assert_tidy, assert_true, in_memory};

fn scopes(names: &[&str]) -> CrmErrorKind {
    CrmErrorKind::MissingScopes(names.iter().map(|&name| name.to_owned()).collect())
}

/// Backs up, which must succeed, and returns the backup, its archive, and the account's notifications.
async fn completes(world: &World) -> (Backup, Exported, Event) {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
    assert_tidy(world, &backup).await;
    let partition = format!("ACCOUNT#{}", world.account);
    let notifications =
        ledger::list::<Notification>(&*world.ledger, &partition, "NOTIFICATION#").await.expect("a list");
    let of_backup =
        |event: &Event| matches!(event, Event::BackupCompleted { backup_id, .. } if *backup_id == ended.backup_id);
    let event = notifications.into_iter().map(|loaded| loaded.record.event).find(of_backup).expect("a notification");
    let exported = world.exported(&backup).await;
    (ended, exported, event)
}

/// The objects that are missing as a whole, and whether the last backup held them.
fn objects(gaps: &[Gap]) -> Vec<(Option<&str>, bool)> {
    let whole = gaps.iter().filter(|gap| gap.missing == Missing::Object);
    whole.map(|gap| (gap.object_type.as_ref().map(ObjectType::as_str), gap.in_last_backup)).collect()
}

/// B2, B3: an account without custom objects, and with an object type that the token may not read.
#[tokio::test(start_paused = true)]
async fn what_an_account_does_not_offer_is_left_out_and_named() {
    for refusal in [scopes(&["tickets"]), CrmErrorKind::Forbidden, CrmErrorKind::NotFound] {
        let world = SMALL.calm().await;
        world.crm.refuse_custom_objects(Some(refusal.clone()));
        world.crm.change("companies", |companies| companies.refused = Some(refusal.clone()));
        let (backup, archive, event) = completes(&world).await;
        assert_eq!(objects(&backup.gaps), [(None, false), (Some("companies"), false)]);
        assert_eq!(archive.manifest.missing, backup.gaps);
        assert_eq!(archive.files.keys().collect::<Vec<_>>(), ["contacts.csv", "conversations.csv"]);
        let Event::BackupCompleted { shortfalls, .. } = &event else { panic!("{event:?}") };
        assert_eq!(shortfalls.not_offered, ["Custom objects", "COMPANIES"]);
        assert!(event.sentence().contains("COMPANIES"), "{}", event.sentence());
        let expected =
            if matches!(refusal, CrmErrorKind::MissingScopes(_)) { vec!["tickets".to_owned()] } else { vec![] };
        assert!(backup.gaps.iter().all(|gap| gap.scopes == expected && !gap.reason.is_empty()));
    }
}

/// B2: an object of the last backup that this one may not read is a warning.
#[tokio::test(start_paused = true)]
async fn what_the_last_backup_held_is_warned_of() {
    let world = SMALL.calm().await;
    completes(&world).await;
    world.crm.refuse_custom_objects(Some(CrmErrorKind::Forbidden));
    world.crm.change("conversations", |object| object.refused = Some(scopes(&["conversations.read"])));
    let (backup, _, event) = completes(&world).await;
    assert_eq!(objects(&backup.gaps), [(None, true), (Some("conversations"), true)]);
    assert!(event.sentence().starts_with("WARNING: The last backup held"), "{}", event.sentence());
    assert!(event.subject().starts_with("Warning"));
}

/// B10 of the product: a custom object that is not listed any more, without any refusal, is reported as well.
#[tokio::test(start_paused = true)]
async fn an_object_type_that_vanishes_is_warned_of() {
    let world = SMALL.calm().await;
    completes(&world).await;
    world.crm.remove_object("p7654321_pets");
    let (backup, ..) = completes(&world).await;
    assert_eq!(objects(&backup.gaps), [(Some("p7654321_pets"), true)]);
    let (backup, ..) = completes(&world).await;
    assert_eq!(backup.gaps, [], "it is reported once");
}

/// A2: values that the token may not see would stand in the archive as if they were empty.
#[tokio::test(start_paused = true)]
async fn hidden_sensitive_values_fail_the_backup_and_name_the_scope() {
    let world = SMALL.calm().await;
    let scope = "crm.objects.contacts.sensitive.read";
    world.crm.change("contacts", |contacts| contacts.hidden_values = vec![scope.to_owned()]);
    let backup = world.request().await;
    let failure = world.to_the_end(&backup).await.failure.expect("a failure");
    assert_eq!(failure.kind, "crm-scopes-missing");
    assert!(failure.sentence.contains(scope), "{}", failure.sentence);
    assert_eq!(world.objects_of(&backup).await.iter().map(|object| object.pages).sum::<u64>(), 0);
    assert_tidy(&world, &backup).await;
}

/// B4 of the review: properties that the CRM refuses to list are not taken for none.
#[tokio::test(start_paused = true)]
async fn sensitive_properties_that_the_crm_refuses_to_list_are_named() {
    let world = SMALL.calm().await;
    let sentence = "The CRM refuses the sensitive properties of contacts.".to_owned();
    let refused = RefusedProperties { sensitivity: Sensitivity::Sensitive, scopes: Vec::new(), sentence };
    world.crm.change("contacts", |contacts| {
        contacts.properties.retain(|property| property.sensitivity != Sensitivity::Sensitive);
        contacts.refused_properties = vec![refused.clone()];
    });
    let (_, archive, event) = completes(&world).await;
    assert_true(&world, &archive);
    let [gap] = archive.manifest.missing.as_slice() else { panic!("{:?}", archive.manifest.missing) };
    assert_eq!(gap.missing, Missing::Properties { sensitivity: Sensitivity::Sensitive });
    assert_eq!((gap.label.as_str(), &gap.reason), ("CONTACTS", &refused.sentence));
    let sentence = "The CRM did not show some values or properties: CONTACTS.";
    assert!(event.sentence().starts_with(sentence), "{}", event.sentence());
    assert_eq!(event.subject(), "Backup completed, but some data is missing");
}

/// A3: a column that no answer shows is named, and the verdict is short.
#[tokio::test(start_paused = true)]
async fn values_that_are_not_shown_are_named() {
    let world = SMALL.calm().await;
    let hidden = "email";
    world.crm.change("contacts", |contacts| contacts.not_shown = vec![hidden.to_owned()]);
    let (_, archive, event) = completes(&world).await;
    assert_true(&world, &archive);
    let missing: Vec<_> = archive.manifest.missing.iter().map(|gap| &gap.missing).collect();
    assert_eq!(missing, [&Missing::Values { property: hidden.to_owned(), rows: 950 }]);
    let contacts = &archive.manifest.files[0];
    assert_eq!((contacts.rows, contacts.verdict), (950, Verdict::Short));
    assert!(event.sentence().contains("CONTACTS"), "{}", event.sentence());
}

/// B5: records that cannot be read, also alone, are named; all others are in the archive.
#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_read_are_named() {
    for cursors in [Cursors::Ids, Cursors::NextIds, Cursors::Opaque] {
        let world = in_memory(vec![samples::many_contacts(950, cursors)], SMALL.settings_calm()).await;
        let ids = samples::clumpy_ids(950);
        let broken: Vec<RecordId> = [0, 99, 100, 317, 949].map(|place| RecordId(ids[place])).to_vec();
        world.crm.change("contacts", |contacts| contacts.unreadable = broken.iter().copied().collect());
        let (_, archive, event) = completes(&world).await;
        assert_true(&world, &archive);
        let missing: Vec<_> = archive.manifest.missing.iter().map(|gap| &gap.missing).collect();
        assert_eq!(missing, [&Missing::Records { ids: broken }], "{cursors:?}");
        assert_eq!(archive.manifest.files[0].verdict, Verdict::Short);
        assert!(event.sentence().contains("could not be read"), "{}", event.sentence());
    }
}

/// A8, A9: what the CRM lists in no order, or twice, is one row each, over one run and over many.
#[tokio::test(start_paused = true)]
async fn conversations_are_one_row_each_in_whatever_order_they_come() {
    for (cursors, missing) in
        [(Cursors::OpaqueWithRepeats, vec![]), (Cursors::OpaqueBackwards, vec![Missing::MovedRecords])]
    {
        for run in [3, 290] {
            let mut threads = samples::many_contacts(1_250, Cursors::Ids).uncounted();
            threads.cursors = cursors;
            let export_run = SignedDuration::from_secs(run);
            let world = in_memory(vec![threads], Settings { export_run, ..SMALL.settings_calm() }).await;
            let (_, archive, _) = completes(&world).await;
            let (mut found, expected) = (archive.table("contacts.csv"), &world.crm.truth()["contacts.csv"]);
            found.rows.sort_by_key(|row| row[0].parse::<u64>().expect("an id"));
            assert!(found.rows == expected.rows, "{cursors:?}, runs of {run} s");
            let named: Vec<_> = archive.manifest.missing.into_iter().map(|gap| gap.missing).collect();
            assert_eq!(named, missing, "{cursors:?}");
            assert_eq!(archive.manifest.files[0].verdict, Verdict::Uncounted);
        }
    }
}

/// B11: endless empty pages are noticed; where ids can be searched for, the backup completes all the same.
#[tokio::test(start_paused = true)]
async fn endless_empty_pages_end() {
    let world = in_memory(vec![samples::many_contacts(950, Cursors::EndlessEmptyPages)], SMALL.settings_calm()).await;
    let (_, archive, _) = completes(&world).await;
    assert_true(&world, &archive);

    let mut endless = samples::many_contacts(950, Cursors::Ids).uncounted();
    endless.cursors = Cursors::EndlessEmptyPages;
    let world = in_memory(vec![endless], SMALL.settings_calm()).await;
    let backup = world.request().await;
    let failure = world.to_the_end(&backup).await.failure.expect("a failure");
    assert_eq!(failure.kind, "crm-list-unreadable");
    assert!(world.crm.calls("page") < 500, "{} pages", world.crm.calls("page"));
}
