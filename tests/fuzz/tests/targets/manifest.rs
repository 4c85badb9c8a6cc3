//! Manifests: an accepted one adds up, has places inside an archive, and is written back unchanged.

use archive::manifest::{Manifest, ManifestError};
use fuzz::{Form, Target};

const WORDS: &[&str] = &[
    "backupId",
    "accountId",
    "portalId",
    "files",
    "parts",
    "offset",
    "length",
    "rows",
    "bytes",
    "crc32",
    "sha256",
    "sha256Tree",
    "firstId",
    "lastId",
    "archiveOffset",
    "packedLength",
    "columns",
    "missing",
    "withoutFile",
    "verdict",
    "exact",
    "short",
    "mendedValues",
    "window",
];

#[test]
fn fuzz_manifest() {
    Target::new("manifest", Form::Json, WORDS).fuzz(|input| {
        let manifest = match Manifest::parse(input) {
            Ok(manifest) => manifest,
            Err(ManifestError::NotRead(_)) => return (0, 0),
            Err(ManifestError::Inconsistent(_)) => return (1, 0),
        };
        for file in &manifest.files {
            let end = file.parts.iter().try_fold(0_u64, |end, part| {
                assert_eq!(part.offset, end, "a part that does not begin where the one before ends");
                part.offset.checked_add(part.length)
            });
            assert_eq!(end, Some(file.bytes), "parts that are not the file");
            for place in file.parts.iter().filter_map(|part| part.place) {
                assert!(
                    place.archive_offset.checked_add(place.packed_length).is_some(),
                    "a place outside of any archive"
                );
            }
        }
        let written = manifest.to_json();
        assert!(Manifest::parse(&written).as_ref() == Ok(&manifest), "what is written is read otherwise");
        assert!(written == manifest.to_json(), "the same manifest makes other bytes");
        let inside = manifest.without_places();
        assert!(Manifest::parse(&inside.to_json()) == Ok(inside), "the archive's own copy is read otherwise");
        (2, manifest.files.len().min(8) * 16 + manifest.missing.len().min(8))
    });
}
