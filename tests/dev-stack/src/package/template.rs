//! The template of a package: that of the deployment, with a zip for each function in place of the way to build it.
//!
//! It is changed line by line, because a YAML library would lose the comments and the short forms, which people and
//! `infra/bring-back.py` read. What is not found as expected is a failure.

use crate::architecture::Architecture;
use crate::failure::{Failure, Result};

/// The lines that a function has for `sam build`, in this order.
const METADATA: &str = "    Metadata:";
const METHOD: &str = "      BuildMethod: rust-cargolambda";
const BINARY: &str = "      BuildProperties: { Binary: ";
/// Where the sources are.
const SOURCES: &str = "    CodeUri: ..";
const PROPERTIES: &str = "    Properties:";
/// The processors that a deployment from the sources may choose.
const DEFAULT: &str = "    Default: arm64";
const ALLOWED: &str = "    AllowedValues: [arm64, x86_64]";

/// The template for a package of these functions.
pub(super) fn of_package(template: &str, architecture: Architecture, functions: &[String]) -> Result<String> {
    let lines: Vec<&str> = template.lines().collect();
    let mut changed = Changed::default();
    let mut rest = lines.as_slice();
    while !rest.is_empty() {
        rest = changed.take(rest, architecture.name());
    }
    changed.check(functions)?;
    Ok(changed.text)
}

#[derive(Default)]
struct Changed {
    text: String,
    /// The function whose properties come next.
    function: Option<String>,
    functions: Vec<String>,
    /// How often the place of the sources, and the choice of the processor, were found.
    sources: usize,
    choices: usize,
}

impl Changed {
    /// Writes what the first lines become, and returns the lines behind them.
    fn take<'t, 'l>(&mut self, lines: &'t [&'l str], architecture: &str) -> &'t [&'l str] {
        match lines {
            [METADATA, METHOD, binary, rest @ ..] if binary.starts_with(BINARY) => {
                self.function = binary.strip_prefix(BINARY).and_then(|name| name.strip_suffix(" }")).map(str::to_owned);
                if rest.first().is_some_and(|next| next.starts_with("      ")) {
                    self.line(METADATA);
                }
                rest
            }
            [PROPERTIES, rest @ ..] => {
                self.line(PROPERTIES);
                if let Some(function) = self.function.take() {
                    self.line(&format!("      CodeUri: functions/{function}.zip"));
                    self.functions.push(function);
                }
                rest
            }
            [SOURCES, rest @ ..] => {
                self.sources += 1;
                rest
            }
            [DEFAULT, ALLOWED, rest @ ..] => {
                self.choices += 1;
                self.line(&format!("    Default: {architecture}"));
                self.line(&format!("    AllowedValues: [{architecture}]"));
                rest
            }
            [line, rest @ ..] => {
                self.line(line);
                rest
            }
            [] => lines,
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn check(&mut self, functions: &[String]) -> Result<()> {
        self.functions.sort();
        let unclear = |what: &str| Err(Failure::new(format!("infra/template.yaml does not have {what}")));
        if self.functions != functions {
            return unclear(&format!("the functions of functions/, but {}", self.functions.join(", ")));
        }
        if self.sources != 1 || self.choices != 1 {
            return unclear("one CodeUri for all functions and one choice of the processor, as src/package expects");
        }
        if ["BuildMethod", "BuildProperties", "CodeUri: .."].iter().any(|left| self.text.contains(left)) {
            return unclear("the lines for `sam build` as src/package expects them");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
# A comment stays.
Parameters:
  Architecture:
    Default: arm64
    AllowedValues: [arm64, x86_64]
Globals:
  Function:
    CodeUri: ..
    Architectures: [!Ref Architecture]
Resources:
  Role:
    Metadata:
      checkov: {}
    Properties:
      Name: !Sub role
  ReadApi:
    Metadata:
      BuildMethod: rust-cargolambda
      BuildProperties: { Binary: read-api }
    Properties:
      Timeout: 10
  ExportChunk:
    Metadata:
      BuildMethod: rust-cargolambda
      BuildProperties: { Binary: export-chunk }
      checkov: {}
    Properties:
      Timeout: 20
";

    fn functions() -> Vec<String> {
        ["export-chunk", "read-api"].map(str::to_owned).to_vec()
    }

    #[test]
    fn each_function_has_its_zip_and_everything_else_stays() {
        let text = of_package(TEMPLATE, Architecture::X86_64, &functions()).expect("a template");
        let expected = "\
# A comment stays.
Parameters:
  Architecture:
    Default: x86_64
    AllowedValues: [x86_64]
Globals:
  Function:
    Architectures: [!Ref Architecture]
Resources:
  Role:
    Metadata:
      checkov: {}
    Properties:
      Name: !Sub role
  ReadApi:
    Properties:
      CodeUri: functions/read-api.zip
      Timeout: 10
  ExportChunk:
    Metadata:
      checkov: {}
    Properties:
      CodeUri: functions/export-chunk.zip
      Timeout: 20
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_template_that_is_written_otherwise_is_refused() {
        let otherwise = [
            ("    CodeUri: ..\n", "    CodeUri: ../x\n"),
            ("AllowedValues: [arm64, x86_64]", "AllowedValues: [x86_64, arm64]"),
            ("Binary: read-api", "Binary: write-api"),
            ("BuildMethod: rust-cargolambda\n      BuildProperties: { Binary: read-api }", "BuildMethod: makefile"),
        ];
        for (from, to) in otherwise {
            assert!(TEMPLATE.contains(from), "{from}");
            let refused = of_package(&TEMPLATE.replacen(from, to, 1), Architecture::Arm64, &functions());
            assert!(refused.is_err(), "{to}");
        }
    }

    #[test]
    fn the_template_of_the_deployment_is_as_expected() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let template = std::fs::read_to_string(root.join("infra/template.yaml")).expect("the template");
        let places = crate::places::Places::new(root.clone(), root.join("target"));
        let names = crate::binaries::functions(&places).expect("the functions");
        let text = of_package(&template, Architecture::Arm64, &names).expect("a template");
        // Each function loses three lines and gains one, and the place of the sources goes.
        assert_eq!(text.lines().count(), template.lines().count() - 2 * names.len() - 1);
    }
}
