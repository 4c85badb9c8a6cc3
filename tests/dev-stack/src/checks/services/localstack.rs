//! LocalStack without a container, for its S3.

use dev_stack::api::answers;
use dev_stack::emulator::{bare, usable_port};
use dev_stack::failure::Result;
use dev_stack::places::Places;
use dev_stack::processes::Group;
use dev_stack::python::Environment;

use super::{PATIENCE, folder};

/// Starts it on a free port, and returns its URL.
pub(super) fn start(places: &Places) -> Result<(Group, String)> {
    let python = environment(places)?;
    let scratch = folder(places, "localstack")?;
    let port = usable_port(0)?;
    let mut command = python.command("python");
    command.current_dir(&scratch).args(["-m", "localstack.runtime.main"]);
    bare(&mut command)
        .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
        .env("SERVICES", "s3")
        // All its files go here, also where it takes this machine for its container.
        .env("OVERRIDE_IN_DOCKER", "0")
        .env("FILESYSTEM_ROOT", scratch.join("files"))
        .env("HOME", &scratch)
        .env("TMPDIR", &scratch)
        .env("DNS_ADDRESS", "0")
        .env("DISABLE_EVENTS", "1")
        .env("SKIP_SSL_CERT_DOWNLOAD", "1");
    let mut group = Group::start("LocalStack", &mut command, &scratch.join("output.log"))?;
    let url = format!("http://127.0.0.1:{port}");
    let health = format!("{url}/_localstack/health");
    group.wait_until(PATIENCE, |_| answers(&health).then_some(()))?;
    Ok((group, url))
}

/// The Python environment that it runs in.
pub(in super::super) fn environment(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("localstack-venv"), "localstack.txt")
}
