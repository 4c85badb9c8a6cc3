//! The services that the contract and fault tests use beside memory: the emulator, Amazon's DynamoDB for one machine, and
//! an S3 that is as strict as Amazon's. They run as long as the [`Services`] live.

mod dynamodb_local;
mod localstack;

use std::path::PathBuf;
use std::time::Duration;

use dev_stack::emulator::Emulator;
use dev_stack::failure::Result;
use dev_stack::places::{Places, make_folder};
use dev_stack::processes::Group;
use dev_stack::python::Environment;

use super::report::{Outcome, Report};

pub(super) use self::dynamodb_local::fetch as fetch_dynamodb_local;
pub(super) use self::localstack::environment as localstack_environment;

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// Running services, and the environment variables with their addresses.
#[derive(Default)]
pub(crate) struct Services {
    running: Vec<Group>,
    emulator: Option<Emulator>,
    environment: Vec<(&'static str, String)>,
}

impl Services {
    /// Starts what this machine can start. Each start is a check of its own, so the report names a missing service.
    pub(super) fn start(places: &Places, report: &Report) -> Self {
        let mut services = Self::default();
        report.check("MiniStack for the contract tests", || services.start_ministack(places));
        report.check("DynamoDB Local for the contract tests", || {
            let started = dynamodb_local::start(places)?;
            Ok(match started {
                Ok((group, url)) => services.add("TEST_DYNAMODB_LOCAL_URL", group, url),
                Err(lack) => Outcome::Skipped(lack),
            })
        });
        report.check("LocalStack for the contract tests", || {
            let (group, url) = localstack::start(places)?;
            Ok(services.add("TEST_LOCALSTACK_S3_URL", group, url))
        });
        services
    }

    /// The variables that hold the addresses of the services.
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
        let emulator = Emulator::start(&python, &folder(places, "contracts")?, 0, None)?;
        let url = emulator.url().to_owned();
        self.emulator = Some(emulator);
        self.environment.push(("TEST_MINISTACK_URL", url.clone()));
        Ok(Outcome::Passed(url))
    }
}

/// A folder for what a service writes.
fn folder(places: &Places, name: &str) -> Result<PathBuf> {
    let folder = places.dev().join(name);
    make_folder(&folder)?;
    Ok(folder)
}
