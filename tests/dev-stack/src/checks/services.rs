//! What the contract and fault tests run on beside memory: the emulator, Amazon's DynamoDB for one machine, and the S3
//! that is as strict as Amazon's. They run as long as the [`Services`] live.

use std::path::PathBuf;
use std::time::Duration;

use dev_stack::api::answers;
use dev_stack::emulator::{Emulator, bare, usable_port};
use dev_stack::failure::Result;
use dev_stack::places::{Places, make_folder};
use dev_stack::processes::Group;
use dev_stack::python::Environment;

use super::{Outcome, Report, dynamodb_local};

/// How long a service may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

/// Running services, and the variables that tell tests of them.
#[derive(Default)]
pub(crate) struct Services {
    running: Vec<Group>,
    emulator: Option<Emulator>,
    environment: Vec<(&'static str, String)>,
}

impl Services {
    /// Starts what can be started, each a check of its own, so that a missing one is named.
    pub(super) fn start(places: &Places, report: &mut Report) -> Self {
        let mut services = Self::default();
        if report.require_all {
            services.environment.push(("REQUIRE_ALL", "1".to_owned()));
        }
        report.check("MiniStack for the contract tests", || services.start_ministack(places));
        report.check("DynamoDB Local for the contract tests", || {
            let started = dynamodb_local::start(places)?;
            Ok(match started {
                Ok((group, url)) => services.add("TEST_DYNAMODB_LOCAL_URL", group, url),
                Err(lack) => Outcome::Skipped(lack),
            })
        });
        report.check("LocalStack for the contract tests", || {
            let (group, url) = start_localstack(places)?;
            Ok(services.add("TEST_LOCALSTACK_S3_URL", group, url))
        });
        services
    }

    /// The variables that tell tests where the services are.
    pub(crate) fn environment(&self) -> &[(&'static str, String)] {
        &self.environment
    }

    fn add(&mut self, variable: &'static str, group: Group, url: String) -> Outcome {
        self.running.push(group);
        self.environment.push((variable, url.clone()));
        Outcome::Passed(url)
    }

    fn start_ministack(&mut self, places: &Places) -> Result<Outcome> {
        let python = Environment::prepare(places, places.dev().join("venv"), "requirements.txt")?;
        let emulator = Emulator::start(&python, &folder(places, "contracts")?, 0)?;
        let url = emulator.url().to_owned();
        self.emulator = Some(emulator);
        self.environment.push(("TEST_MINISTACK_URL", url.clone()));
        Ok(Outcome::Passed(url))
    }
}

/// A folder for what a service writes.
pub(super) fn folder(places: &Places, name: &str) -> Result<PathBuf> {
    let folder = places.dev().join(name);
    make_folder(&folder)?;
    Ok(folder)
}

/// LocalStack without a container.
fn start_localstack(places: &Places) -> Result<(Group, String)> {
    let python = Environment::prepare(places, places.dev().join("localstack-venv"), "localstack.txt")?;
    let scratch = folder(places, "localstack")?;
    let port = usable_port(0)?;
    let mut command = python.command("python");
    command.current_dir(&scratch).args(["-m", "localstack.runtime.main"]);
    bare(&mut command)
        .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
        .env("SERVICES", "s3")
        // Everything it writes goes here, even where it takes this machine for its container.
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
