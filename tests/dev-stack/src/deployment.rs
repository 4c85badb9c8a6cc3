//! Deploying the template, once or several times.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::binaries::Executables;
use crate::emulator::Emulator;
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::python::Environment;

/// Template parameters by name.
pub type Parameters<'a> = BTreeMap<&'a str, &'a str>;

/// Stacks of the template that have been deployed from the same functions.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    outputs: BTreeMap<String, BTreeMap<String, String>>,
    /// The SHA-256 of each function's zip. The emulator runs it from a folder of that name.
    pub code: BTreeMap<String, String>,
    /// The same for the functions of the other checkout, if there is one.
    pub others: BTreeMap<String, String>,
    /// The names of the first stack's functions.
    pub functions: BTreeMap<String, String>,
}

impl Deployment {
    /// Deploys a stack of every name in `stacks` with its parameters.
    ///
    /// # Errors
    /// The first reason that the emulator gives.
    pub fn make(
        places: &Places,
        python: &Environment,
        emulator: &Emulator,
        (executables, others): (&Executables, &Executables),
        stacks: &BTreeMap<&str, Parameters<'_>>,
    ) -> Result<Self> {
        let template = places.root().join("infra/template.yaml");
        let request = json!({
            "endpoint": emulator.url(), "stacks": stacks, "template": template, "binaries": executables,
            "others": others,
        });
        python.ask("deploy.py", &request)
    }

    /// An output of a stack.
    ///
    /// # Errors
    /// When it has none of that name.
    pub fn output(&self, stack: &str, name: &str) -> Result<String> {
        let missing = || Failure::new(format!("the stack {stack} has no output {name}"));
        self.outputs.get(stack).and_then(|outputs| outputs.get(name)).cloned().ok_or_else(missing)
    }

    /// Where a stack's HTTP API answers, without a trailing slash.
    ///
    /// # Errors
    /// When there is no such stack.
    pub fn api_url(&self, stack: &str, emulator: &Emulator) -> Result<String> {
        Ok(format!("{}/_aws/execute-api/{}/$default", emulator.url(), self.output(stack, "ApiId")?))
    }

    /// The URLs of a stack's work queues by function: `discover`, `export`, `assemble`, `restore`, `notify`.
    ///
    /// # Errors
    /// When there is no such stack.
    pub fn queues(&self, stack: &str) -> Result<BTreeMap<String, String>> {
        let outputs = [
            ("discover", "DiscoverQueueUrl"),
            ("export", "ExportQueueUrl"),
            ("assemble", "AssembleQueueUrl"),
            ("restore", "RestoreQueueUrl"),
            ("notify", "NotifyQueueUrl"),
        ];
        outputs.into_iter().map(|(queue, name)| Ok((queue.to_owned(), self.output(stack, name)?))).collect()
    }
}
