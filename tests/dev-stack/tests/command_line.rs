//! If something stands in the way of `cargo dev`, it fails at once, with one sentence that says what to do. These tests
//! build nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder that looks like a checkout and goes with the test.
struct Checkout(PathBuf);

impl Checkout {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("cargo-dev-{}-{name}", std::process::id()));
        for folder in ["infra", "tests/dev-stack/python", "target/dev"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        fs::write(root.join("infra/template.yaml"), "").expect("a file");
        fs::write(root.join("tests/dev-stack/python/requirements.txt"), "boto3==1.0.0\n").expect("a file");
        Self(root)
    }

    fn dev(&self, name: &str) -> PathBuf {
        self.0.join("target/dev").join(name)
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        cargo_dev(&self.0, arguments, variables)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cargo_dev(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dev-stack"));
    command.args(arguments).current_dir(folder).env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_TARGET_DIR");
    command.envs(variables.iter().copied()).output().expect("cargo dev starts")
}

/// The one sentence of a failing command.
fn failure(output: &Output) -> String {
    assert!(!output.status.success(), "it succeeds");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    message.lines().last().unwrap_or_default().to_owned()
}

/// D5: a wrong name of a figure fails before anything is built, and the message lists the right names.
#[test]
fn a_figure_that_does_not_exist_fails_at_once() {
    let checkout = Checkout::new("bench");
    let output = checkout.run(&["bench", "nope"], &[]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && message.contains("'nope'"), "{message}");
    for name in ["codec", "cold-start", "saturation", "assembly", "million", "restore"] {
        assert!(message.contains(name), "{message}");
    }
    assert!(!message.contains("building"), "{message}");
}

/// D5: a package is never mixed with other files, and only made for processors that Lambda has.
#[test]
fn a_package_that_cannot_be_made_fails_at_once() {
    let checkout = Checkout::new("package");
    let out = checkout.0.join("out");
    fs::create_dir_all(&out).expect("a folder");
    fs::write(out.join("notes.txt"), "").expect("a file");
    let message = failure(&checkout.run(&["package", "--out", "out"], &[]));
    assert!(message.contains("out is not empty") && message.contains("--out"), "{message}");
    fs::write(checkout.0.join("new.zip"), "").expect("a file");
    let message = failure(&checkout.run(&["package", "--out", "new"], &[]));
    assert!(message.contains("new.zip is there already"), "{message}");

    let output = checkout.run(&["package", "--arch", "riscv"], &[]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && message.contains("arm64, x86_64"), "{message}");
}

/// D5: a checkout that was copied together with the program works on its own files.
#[test]
fn the_checkout_is_the_one_that_it_is_run_in() {
    let checkout = Checkout::new("copy");
    fs::write(checkout.dev("stack.lock"), "").expect("a file");
    fs::write(checkout.dev("stack.processes.json"), "{\"the emulator\":").expect("a file");
    let message = failure(&cargo_dev(&checkout.0.join("infra"), &["down"], &[]));
    let notes = fs::canonicalize(&checkout.0).expect("the checkout").join("target/dev/stack.processes.json");
    assert!(message.contains(&notes.display().to_string()) && message.contains("remove it"), "{message}");
}

/// D5: what describes a stack, tokens included, does not stay when its tool is dead.
#[test]
fn the_next_command_removes_the_state_file_of_a_dead_tool() {
    let checkout = Checkout::new("state");
    for name in ["stack.lock", "stack.json"] {
        fs::write(checkout.dev(name), "{}").expect("a file");
    }
    let output = checkout.run(&["down"], &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no stack is running\n");
    assert!(!checkout.dev("stack.json").exists());
}

/// D5: a port that is taken fails before anything is built.
#[test]
fn a_port_that_is_taken_fails_at_once() {
    let checkout = Checkout::new("port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let message = failure(&checkout.run(&["up", "--port", &port], &[]));
    assert!(message.contains(&format!("port {port} is taken")) && message.contains("--port"), "{message}");
}

/// D5: without a Python or without a package index, the message names what is missing.
#[test]
fn a_missing_python_or_package_index_is_named() {
    let checkout = Checkout::new("python");
    let message = failure(&checkout.run(&["up"], &[("PATH", "/nonexistent")]));
    assert!(message.contains("Python 3.10 or newer") && message.contains("python3-venv"), "{message}");

    let offline = [("PIP_INDEX_URL", "http://127.0.0.1:9/simple"), ("PIP_CONFIG_FILE", "/dev/null")];
    let message = failure(&checkout.run(&["up"], &offline));
    assert!(message.contains("does not answer") && message.contains("PIP_INDEX_URL"), "{message}");
}

/// D5: only the user who has brought a stack up may read the notes about it.
#[test]
fn notes_are_for_their_owner_alone() {
    let checkout = Checkout::new("owner");
    failure(&checkout.run(&["up"], &[("PATH", "/nonexistent")]));
    let mode = fs::metadata(checkout.0.join("target/dev")).expect("the folder").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
