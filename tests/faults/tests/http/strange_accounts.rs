//! Accounts at the edges of what there is: empty ones, tokens that see little or nothing, names of a hundred odd
//! characters.

use std::collections::BTreeMap;

use domain::backup::BackupState;
use domain::gap::Missing;

use sandbox_crm::{Plan, PortalConfig, RecordChanges};

use crate::account::{Account, OBJECT, PROPERTY};

fn unlimited() -> PortalConfig {
    PortalConfig { plan: Plan::Unlimited, ..PortalConfig::empty() }
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_every_object_is_empty_has_an_archive_that_says_so() {
    let account = Account::of(&unlimited()).await;
    let (_, archive) = account.archive().await;
    assert_eq!(archive.files.len(), 0);
    let standard = PortalConfig::default().records.len();
    assert_eq!(archive.manifest.without_file.len(), standard, "the standard objects, each with its verdict");
    assert_eq!(archive.manifest.missing, []);
}

/// B2: a token that sees only contacts gets them, and everything else by name.
#[tokio::test(start_paused = true)]
async fn a_token_that_sees_only_contacts_backs_them_up() {
    let scopes = ["oauth", "crm.objects.contacts.read", "crm.schemas.contacts.read"];
    let sensitive = ["crm.objects.contacts.sensitive.read", "crm.objects.contacts.highly_sensitive.read"];
    let scopes = Some(scopes.iter().chain(&sensitive).map(|&scope| scope.to_owned()).collect());
    let account = Account::of(&PortalConfig { scopes, ..unlimited().with_records(OBJECT, 30) }).await;
    let (_, archive) = account.archive().await;
    assert_eq!(archive.files.keys().collect::<Vec<_>>(), ["contacts.csv"]);
    let missing: Vec<&str> = archive.manifest.missing.iter().map(|gap| gap.label.as_str()).collect();
    // Calls and tasks belong to contacts.
    assert_eq!(missing, ["Custom objects", "Company", "Conversation", "Deal", "Product", "Ticket"]);
    assert!(archive.manifest.missing.iter().all(|gap| gap.missing == Missing::Object && !gap.reason.is_empty()));
}

/// B2: a token that sees nothing fails the backup, and the sentence names what to tick.
#[tokio::test(start_paused = true)]
async fn a_token_that_sees_nothing_is_told_which_scopes_it_lacks() {
    let scopes = Some(vec!["oauth".to_owned()]);
    let account = Account::of(&PortalConfig { scopes, ..unlimited().with_records(OBJECT, 30) }).await;
    let (_, ended) = account.back_up().await;
    assert_eq!(ended.state, BackupState::Failed);
    let failure = ended.failure.expect("a failure");
    assert_eq!(failure.kind, "crm-scopes-missing");
    for scope in ["crm.objects.contacts.read", "crm.objects.deals.read", "conversations.read", "tickets"] {
        assert!(failure.sentence.contains(scope), "{scope}: {}", failure.sentence);
    }
}

/// A3, B9: a thousand properties whose names have a hundred characters, commas, quotes and umlauts among them.
#[tokio::test(start_paused = true)]
async fn a_thousand_odd_property_names_lose_no_value() {
    let property_set = "odd:1000".parse().expect("a property set");
    let account = Account::of(&PortalConfig { property_set, ..unlimited().with_records(OBJECT, 120) }).await;
    let (_, archive) = account.archive().await;
    assert_eq!(archive.manifest.missing, []);
    let (table, truth) = (archive.table("contacts.csv"), account.values());
    assert!(
        table.header.len() >= 1_000 && table.header.iter().any(|name| name.contains(',')),
        "{}",
        table.header.len()
    );
    assert_eq!(table.rows.len(), truth.len());
    for row in &table.rows {
        let held = &truth[&row[0].parse::<u64>().expect("an id")];
        for (name, value) in table.header.iter().zip(row).skip(1) {
            assert_eq!(value, held.get(name).map_or("", String::as_str), "{name}");
        }
    }
}

/// M-7: half a surrogate is no character and cannot stand in a CSV file. It becomes U+FFFD, and the manifest says in
/// how many values of which object.
#[tokio::test(start_paused = true)]
async fn values_that_are_no_valid_unicode_are_counted_in_the_manifest() {
    let account = Account::of(&unlimited().with_records(OBJECT, 230).with_records("companies", 3)).await;
    let odd: Vec<u64> = account.values().into_keys().step_by(40).collect();
    // Sent as half a surrogate.
    let value = |id: &u64| (*id, BTreeMap::from([(PROPERTY.to_owned(), "Chief \u{10d83d}".to_owned())]));
    let changes = RecordChanges { update: odd.iter().map(value).collect(), ..RecordChanges::default() };
    account.portal.change_records(OBJECT, &changes).expect("an object of the portal");

    let (_, archive) = account.archive().await;

    let of = |name: &str| {
        let file = archive.manifest.files.iter().find(|file| file.name == name).expect("a file");
        file.mended_values
    };
    assert_eq!((of("contacts.csv"), of("companies.csv")), (odd.len() as u64, 0));
    let table = archive.table("contacts.csv");
    let column = table.header.iter().position(|name| name == PROPERTY).expect("a column");
    let mended = table.rows.iter().filter(|row| row[column] == "Chief \u{fffd}").count();
    assert_eq!(mended, odd.len());
}
