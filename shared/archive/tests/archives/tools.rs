//! Programs that other people open archives with.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The first of `names` that this machine has. Says so when there is none; with `REQUIRE_ALL=1` that is a failure.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found =
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var("REQUIRE_ALL").as_deref() != Ok("1"), "{} is required and not installed", names[0]);
        println!("skipped: {} is not installed", names[0]);
    }
    found
}

/// This crate's folder: where it is now, and not where it was built, since a checkout can be copied with what is built.
fn here() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("Cargo says where the crate is").into()
}

/// A Python script beside these tests.
pub(crate) fn script(name: &str) -> PathBuf {
    here().join("tests/archives").join(name)
}

/// The guide for super admins, which gives people the lines to read files with.
pub(crate) fn admin_guide() -> PathBuf {
    here().join("../../docs/admin.md")
}

/// A file that is removed when this goes out of scope.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A name that no other test has.
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("archive-test-{}-{number}-{name}", std::process::id())))
    }

    /// A file with `bytes` in it.
    pub(crate) fn with(name: &str, bytes: &[u8]) -> Self {
        let scratch = Self::new(name);
        std::fs::write(scratch.path(), bytes).expect("the temporary folder can be written to");
        scratch
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed before it wrote the file leaves nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs `command` with `input` and returns what it printed.
///
/// # Panics
/// When it does not succeed.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that has seen enough closes its input; its exit status tells the rest.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("writing does not panic");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} refuses: {errors}");
    output.stdout
}
