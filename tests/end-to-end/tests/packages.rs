//! A package is deployed with the SAM CLI, as an operator does it, on an emulator of its own: nothing is changed in its
//! template, so that most of its functions could not work there, and nobody else may be disturbed by them.
//!
//! The functions are those of the tests, built for this machine. How a package builds its own is not tried here, since
//! it takes too long.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dev_stack::api::Api;
use dev_stack::architecture::Architecture;
use dev_stack::binaries::{Executables, functions};
use dev_stack::emulator::{Emulator, bare};
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::leftovers::Claim;
use dev_stack::package::{Package, assemble};
use dev_stack::places::Places;
use dev_stack::processes::run_for_output;
use dev_stack::python::Environment;
use end_to_end::journey::stack;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Names the emulator's claim and its folder.
const NAME: &str = "packages";

/// The answers to the guide: the name of the stack, the region, and nothing for each question after them, which takes
/// what the guide proposes. There are more of these than questions.
fn answers() -> String {
    format!("crm-backup\nus-east-1\n{}", "\n".repeat(60))
}

/// The SAM CLI in the folder of a package.
struct Sam<'a> {
    environment: Environment,
    package: &'a Path,
    /// Where it keeps its settings.
    home: PathBuf,
    endpoint: &'a str,
}

impl Sam<'_> {
    fn run(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = self.environment.command("sam");
        bare(&mut command)
            .env("HOME", &self.home)
            .env("SAM_CLI_TELEMETRY", "0")
            .env("AWS_ENDPOINT_URL", self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .args(arguments)
            .current_dir(self.package);
        let output = run_for_output("sam", &mut command, input)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!("sam {} failed:\n{text}{errors}", arguments.join(" "))))
    }

    fn outputs(&self) -> Result<BTreeMap<String, String>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Output {
            output_key: String,
            output_value: String,
        }
        let text = self.run(&["list", "stack-outputs", "--stack-name", "crm-backup", "--output", "json"], "")?;
        let outputs: Vec<Output> = serde_json::from_str(&text).or_failure(|| format!("sam lists {text}"))?;
        Ok(outputs.into_iter().map(|output| (output.output_key, output.output_value)).collect())
    }
}

fn packed(places: &Places, folder: &Path) -> Result<Package> {
    if folder.exists() {
        fs::remove_dir_all(folder).or_failure(|| format!("cannot empty {}", folder.display()))?;
    }
    let names = functions(places)?;
    let executable = |name: String| (name.clone(), places.target().join("debug").join(name));
    let executables: Executables = names.into_iter().map(executable).collect();
    assemble(places, &folder.join("crm-backup"), Architecture::of_this_machine(), &executables, "cargo, for tests only")
}

/// Checks the sums as `sha256sum -c` does, and that nothing is missing.
fn assert_whole(package: &Path) -> Result<()> {
    let read = |name: &str| fs::read(package.join(name)).or_failure(|| format!("there is no {name}"));
    let sums = String::from_utf8(read("SHA256SUMS")?).or_failure(|| "the sums are no text".to_owned())?;
    let mut names = Vec::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").expect("a sum and a name");
        let digits: Vec<String> = Sha256::digest(read(name)?).iter().map(|byte| format!("{byte:02x}")).collect();
        let found = digits.concat();
        assert_eq!(found, sum, "{name}");
        names.push(name);
    }
    for name in ["template.yaml", "functions/read-api.zip", "LICENSES.txt", "sbom.cdx.json", "VERSION", "README.md"] {
        assert!(names.contains(&name), "{name} is in {names:?}");
    }
    let licences = String::from_utf8_lossy(&read("LICENSES.txt")?).into_owned();
    assert!(licences.contains("\ntokio 1.") && !licences.contains("\nproptest "), "what is linked, and no more");
    Ok(())
}

#[test]
fn the_sam_cli_deploys_a_package_with_its_guide_and_then_without_questions() -> Result<()> {
    if stack()?.is_none() {
        return Ok(());
    }
    let places = Places::find()?;
    let mut claim = Claim::take(&places, NAME)?;
    let folder = places.dev().join(NAME);
    let package = packed(&places, &folder)?;
    assert_whole(&package.folder)?;
    let python = Environment::prepare(&places, places.dev().join("venv"), "requirements.txt")?;
    let environment = Environment::prepare(&places, places.dev().join("sam-venv"), "sam.txt")?;
    let emulator = Emulator::start(&python, &folder, 0, None)?;
    claim.note(emulator.group())?;
    let sam = Sam { environment, package: &package.folder, home: folder.clone(), endpoint: emulator.url() };

    let guided = sam.run(&["deploy", "--guided"], &answers())?;
    assert!(guided.contains("Successfully created/updated stack"), "{guided}");
    let outputs = sam.outputs()?;
    let api = Api::new(format!("{}/_aws/execute-api/{}/$default", emulator.url(), outputs["ApiId"]));
    let description = api.get("/openapi.json")?;
    assert!(description.status.is_success(), "the zip of read-api runs: {}", description.text());

    // An operator changes an answer and deploys again.
    let config = package.folder.join("samconfig.toml");
    let kept = fs::read_to_string(&config).or_failure(|| "the guide keeps its answers".to_owned())?;
    let changed = kept.replace(r#"LogRetentionDays=\"30\""#, r#"LogRetentionDays=\"60\""#);
    assert_ne!(kept, changed, "{kept}");
    fs::write(&config, changed).or_failure(|| "cannot change the answers".to_owned())?;
    let again = sam.run(&["deploy"], "")?;
    assert!(again.contains("Successfully created/updated stack") && again.contains("ReadApiLog"), "{again}");
    assert_eq!(sam.outputs()?, outputs, "an update replaces nothing that people use");
    drop(emulator);
    fs::remove_dir_all(&folder).or_failure(|| format!("cannot remove {}", folder.display()))
}
