use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::loading::Folder;

/// The program, ended with the test.
struct Program(Child);

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox-crm"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("the program starts"))
    }

    fn first_line(&mut self) -> String {
        let mut line = String::new();
        let output = self.0.stdout.as_mut().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        line
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_program_says_where_it_listens_and_ends_on_sigterm() {
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let mut program = Program::start(&["--records", "contacts=7,deals=2", "--custom-objects", "", "--token", "t"]);
    let line = program.first_line();
    let base = line.trim_end().strip_prefix("listening on ").expect("the address").to_owned();

    let call = async |token: &str| {
        let request = reqwest::Client::new().get(format!("{base}/crm/v3/limits/records")).bearer_auth(token);
        request.send().await.expect("an answer")
    };
    let limits: serde_json::Value = call("t").await.json().await.expect("JSON");
    assert_eq!(limits["hubspotDefinedObjectTypes"][0]["usage"], 7);
    assert_eq!(limits["customObjectTypes"]["byObjectType"], serde_json::json!([]));
    assert_eq!(call("other").await.status(), 401);

    let pid = i32::try_from(program.0.id()).expect("a process id");
    let killed = Command::new("kill").args(["-TERM", &pid.to_string()]).status().expect("kill runs");
    assert!(killed.success());
    assert!(program.0.wait().expect("it ends").success());
}

#[tokio::test]
async fn the_account_is_described_on_the_command_line() {
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let folder = Folder::new("arguments");
    folder.write("variants.json", r#"{"refused": {"deals": "forbidden"}, "customObjects": "empty"}"#);
    let variants = folder.0.join("variants.json");
    let mut program = Program::start(&[
        "--profile",
        "professional",
        "--limit-increases",
        "2",
        "--faults",
        r#"{"cursors": "nextId", "script": [{"fault": "badGateway", "endpoint": "accountDetails"}]}"#,
        "--variants",
        variants.to_str().expect("text"),
    ]);
    let line = program.first_line();
    let base = line.trim_end().strip_prefix("listening on ").expect("the address").to_owned();
    let portal = reqwest::get(format!("{base}/_sandbox/portals/default")).await.expect("an answer");
    let portal: serde_json::Value = portal.json().await.expect("JSON");
    assert_eq!((&portal["limits"]["perTenSeconds"], &portal["limits"]["perDay"]), (&250.into(), &2_625_000.into()));
    assert_eq!((&portal["faults"]["cursors"], &portal["variants"]["tickets"]), (&"nextId".into(), &"refused".into()));
    for (path, status) in [
        ("account-info/v3/details", 502),
        ("crm/v3/schemas", 200),
        ("crm/v3/objects/tickets", 403),
        ("crm/v3/objects/deals", 403),
        ("crm/v3/objects/contacts", 200),
    ] {
        let request = reqwest::Client::new().get(format!("{base}/{path}")).bearer_auth("any");
        assert_eq!(request.send().await.expect("an answer").status(), status, "{path}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_one_clear_sentence() {
    for (arguments, sentence) in [
        (vec!["--records", "contacts"], "'contacts' is not NAME=COUNT"),
        (vec!["--records", "unicorns=1"], "'unicorns' is not a standard object"),
        (vec!["--plan", "gold"], "'gold' is not a plan"),
        (vec!["--properties", "wide"], "'wide' is not a property set"),
        (vec!["--load", "/nonexistent"], "cannot load /nonexistent"),
        (vec!["--profile", "gold"], "'gold' is not a profile"),
        (vec!["--faults", "{\"script\": 1}"], "invalid type: integer `1`"),
        (vec!["--faults", "{\"cursor\": \"ids\"}"], "unknown field `cursor`"),
        (vec!["--variants", "/nonexistent"], "cannot read /nonexistent"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sandbox-crm")).args(&arguments).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(text.contains(sentence), "{text}");
    }
}
