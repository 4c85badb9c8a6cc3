//! Manifests of earlier versions are read.

use ::golden::{Tagged, check};
use archive::manifest::Manifest;
use domain::gap::Missing;

#[test]
fn manifests_are_read() {
    check::<Manifest>("manifest", &[Tagged::of::<Missing>("missing")]);
    for manifest in ::golden::all("manifest") {
        Manifest::parse(manifest.to_string().as_bytes()).expect("its parts add up");
    }
}
