//! From the request to files that people can open: everything is there, and everything says so.

use std::collections::BTreeMap;
use std::fs;

use dev_stack::api::Api;
use dev_stack::failure::{OrFailure, Result};
use dev_stack::places::make_folder;
use end_to_end::download::{Download, MANIFEST};
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::readers;
use serde_json::{Value, json};
use ureq::http::{HeaderValue, Method};

fn account() -> Value {
    json!({
        "seed": 1, "archivedPerMille": 20, "mergedPerMille": 10,
        "records": {
            "contacts": 1_800, "companies": 700, "deals": 500, "tickets": 400, "products": 120, "calls": 350,
            "tasks": 300, "conversations": 250,
        },
        "customObjects": [
            { "name": "machine", "records": 300 }, { "name": "rental_contract", "records": 101 },
            { "name": "site_inspection", "records": 0 },
        ],
        "latencyMs": 100,
    })
}

#[test]
fn a_super_admin_backs_an_account_up_and_downloads_all_of_it() -> Result<()> {
    let Some(journey) = Journey::begin(&account())? else { return Ok(()) };

    let backup_id = journey.backups().create()?;
    watch_progress(&journey, &backup_id)?;

    let download = Download::of(&journey, &backup_id)?;
    check_that_the_truth_is_hard(&journey)?;
    download.must_hold_all_of(&journey.portal)?;
    check_manifest(&journey, &backup_id, &download);
    check_what_is_left_out(&journey, &download)?;
    check_sensitive_columns(&download);
    check_zip_readers(&journey, &download)?;
    check_csv_readers(&journey, &download)?;
    check_link(&journey, &backup_id)?;
    let printed = readers::documented_checker(download.path())?;
    assert_eq!(printed.lines().count(), download.files().len(), "{printed}");
    eventually("end of the sweep", PATIENCE, || {
        let left = journey.aws().keys(&format!("segments/{}/", journey.account_id))?;
        Ok(left.is_empty().then_some(()))
    })
}

/// Progress never claims more than there is, ends with everything, and shows every object on the way.
fn watch_progress(journey: &Journey, backup_id: &str) -> Result<()> {
    let mut states = Vec::new();
    let mut shares = BTreeMap::<String, Vec<f64>>::new();
    journey.backups().watch(backup_id, PATIENCE, |backup| {
        if states.last() != Some(&backup.state) {
            states.push(backup.state.clone());
        }
        for object in &backup.objects {
            shares.entry(object.object_type.clone()).or_default().extend(object.share_done);
        }
        Ok(())
    })?;
    let order = ["queued", "discovering", "exporting", "assembling", "completed"];
    let places: Vec<_> = states.iter().map(|state| order.iter().position(|known| known == state)).collect();
    assert!(places.is_sorted() && places.last() == Some(&Some(4)), "{states:?}");
    assert!(states.iter().any(|state| state == "exporting"), "{states:?}");
    assert_eq!(shares.len(), 11, "{:?}", shares.keys());
    for (object, shares) in &shares {
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{object}: {shares:?}");
        assert_eq!(shares.last(), Some(&1.0), "{object}");
    }
    let partly = shares.values().flatten().any(|share| *share > 0.0 && *share < 1.0);
    assert!(partly, "progress was only ever none or all: {shares:?}");
    Ok(())
}

/// The account has what breaks careless exports, or its values would prove little.
fn check_that_the_truth_is_hard(journey: &Journey) -> Result<()> {
    let mut values = Vec::new();
    for object in ["contacts", "tickets", "machine"] {
        values.extend(journey.portal.truth(object)?.into_values());
    }
    for awkward in ["\r\n", "\"", ",", "=SUM", "@", "ü", "🚀", "株", "مرحبا", "\u{FEFF}", "\u{1}", " leading"]
    {
        assert!(values.iter().any(|value| value.contains(awkward)), "no value has {awkward:?}");
    }
    assert!(values.iter().any(|value| value.chars().count() == 65_000), "no value is as long as can be");
    Ok(())
}

fn check_manifest(journey: &Journey, backup_id: &str, download: &Download) {
    let manifest = download.manifest();
    let expected = [
        ("backupId", json!(backup_id)),
        ("accountId", json!(journey.account_id)),
        ("portalId", json!(journey.portal.portal_id)),
        ("apiVersion", json!("2026-09")),
        ("containsSensitiveData", json!(true)),
    ];
    for (member, value) in expected {
        assert_eq!(manifest[member], value, "{member}");
    }
    for file in download.files() {
        let (from, to) = (file["window"]["from"].as_str(), file["window"]["to"].as_str());
        assert!(manifest["createdAt"].as_str() <= from && from <= to, "{}", file["name"]);
        assert!(to <= manifest["completedAt"].as_str(), "{}", file["name"]);
    }
    let machines = download.file_of("machine").map(|file| (&file["name"], &file["label"]));
    let name = json!(format!("p{}_machine.csv", journey.portal.portal_id));
    assert_eq!(machines, Some((&name, &json!("Machine"))));
}

/// Deleted and merged records are not in it, and it says so; an empty object has no file.
fn check_what_is_left_out(journey: &Journey, download: &Download) -> Result<()> {
    let truth = journey.portal.truth("contacts")?;
    assert!(!truth.of_state("archived").is_empty() && !truth.of_state("merged").is_empty());
    assert!(download.file_of("site_inspection").is_none());
    assert!(download.manifest()["notIncluded"].as_str().is_some_and(|text| text.contains("Archived")));
    Ok(())
}

fn check_sensitive_columns(download: &Download) {
    let mut levels: Vec<_> = download
        .files()
        .iter()
        .flat_map(|file| file["columns"].as_array().into_iter().flatten())
        .filter_map(|column| column["sensitivity"].as_str())
        .collect();
    levels.sort_unstable();
    levels.dedup();
    assert_eq!(levels, ["highly_sensitive", "non_sensitive", "sensitive"]);
}

/// Every program unpacks the same files.
fn check_zip_readers(journey: &Journey, download: &Download) -> Result<()> {
    let names = download.names()?;
    let mut listed: Vec<_> = download.files().iter().filter_map(|file| file["name"].as_str()).collect();
    listed.push(MANIFEST);
    assert_eq!(names, listed);
    let folder = |name: &str| {
        let folder = journey.folder().join(name);
        make_folder(&folder).map(|()| folder)
    };
    let (python, info_zip, seven_zip) = (folder("python")?, folder("info-zip")?, folder("7-zip")?);
    readers::python_zipfile(download.path(), &python)?;
    let mut unpacked = vec![python];
    unpacked.extend(readers::info_zip(download.path(), &info_zip)?.then_some(info_zip));
    unpacked.extend(readers::seven_zip(download.path(), &seven_zip)?.then_some(seven_zip));
    for folder in unpacked {
        for name in &names {
            let bytes = fs::read(folder.join(name)).or_failure(|| format!("{} lacks {name}", folder.display()))?;
            assert!(bytes == download.entry(name)?, "{name} differs in {}", folder.display());
        }
    }
    Ok(())
}

/// Python's csv, pandas and `DuckDB` see the same texts in the same places.
fn check_csv_readers(journey: &Journey, download: &Download) -> Result<()> {
    for file in download.files() {
        let name = file["name"].as_str().unwrap_or_default();
        let path = journey.folder().join("python").join(name);
        let Some(digests) = readers::digests_by_python(&path)? else { return Ok(()) };
        let expected = readers::digest(&download.entry(name)?)?;
        for (reader, saw) in digests.as_object().into_iter().flatten() {
            assert_eq!(saw["digest"], json!(expected), "{name} by {reader} {}", saw["version"]);
        }
    }
    Ok(())
}

/// Every request makes a link of its own; it works without a sign-in, and not when it was changed.
fn check_link(journey: &Journey, backup_id: &str) -> Result<()> {
    let path = journey.path(&format!("/backups/{backup_id}/download"));
    let redirect = expect(302, journey.api().get(&path)?)?;
    let location = redirect.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(redirect.headers.get("cache-control").map(HeaderValue::as_bytes), Some(&b"no-store"[..]));
    let json = journey.api().send(&Method::GET, &path, &[("accept", "application/json")], Vec::new())?;
    let answer = expect(200, json)?.json();
    assert!(answer["expiresAt"].as_str().is_some());
    let url = answer["url"].as_str().unwrap_or_default();
    let anyone = Api::new("");
    for link in [location, url] {
        assert!(expect(200, anyone.get(link)?)?.body.starts_with(b"PK"));
    }
    let unsigned = url.split('?').next().unwrap_or_default();
    let elsewhere = url.replace(&journey.account_id, &journey.stack.account_id);
    let longer = url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000");
    for link in [&elsewhere, &longer, &format!("{url}0")] {
        assert_ne!(link, url);
        let status = anyone.get(link)?.status.as_u16();
        assert!(matches!(status, 400 | 403), "a changed link is answered with {status}");
    }
    assert_eq!(anyone.get(unsigned)?.status.as_u16(), 403);
    Ok(())
}
