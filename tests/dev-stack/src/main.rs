//! `cargo dev`: the whole system on one machine.

mod bench;
mod checks;
mod demo;
mod planted;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use dev_stack::architecture::Architecture;
use dev_stack::benchmarks::Benchmark;
use dev_stack::binaries::Profile;
use dev_stack::failure::Result;
use dev_stack::leftovers::{end_all, forget_dead};
use dev_stack::oidc::Login;
use dev_stack::package;
use dev_stack::places::Places;
use dev_stack::processes::end_all_on_interrupt;
use dev_stack::stack::{IMPATIENT, Running, Stack, Wishes};

use self::checks::Scope;

/// The whole system on one machine: emulated AWS, a sandbox CRM, and the deployed template.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring everything up, back an account up, download and check the archive, tear everything down
    Demo {
        /// Then damage the data, restore it from the backup, check every value, undo the restore, and check again
        #[arg(long)]
        restore: bool,
        /// Exchange the functions of this checkout for those of another one and back, as in a deployment that never
        /// ends
        #[arg(long, value_name = "CHECKOUT")]
        mixed_with: Option<PathBuf>,
    },
    /// Run all checks of the project, or only the tests that are named, and print a summary
    Test {
        /// Fail if this machine lacks what a check needs
        #[arg(long)]
        require_all: bool,
        /// A package, a test program, or words of a test's name: 'contracts', 'faults restore', 'journeys',
        /// 'daily limit'; 'browser', or 'browser' and words, for the journeys in a browser
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Run the quick checks, which need no services: format, spelling, clippy, structure, unit tests
    Check {
        /// Test all crates, and not only changed crates and those that depend on them
        #[arg(long, conflicts_with = "since")]
        all: bool,
        /// Test the crates that differ from this revision, and those that depend on them
        #[arg(long, value_name = "REV", default_value = "HEAD")]
        since: String,
    },
    /// Bring everything up and keep it running until Ctrl-C
    Up {
        /// Port of the emulator and the API; without it, a free port
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        port: u16,
        #[command(flatten)]
        crm: CrmWishes,
    },
    /// End a stack that was left running
    Down,
    /// Measure with release builds, and print each figure beside its target
    Bench {
        /// Names of figures; without names, all
        #[arg(value_name = "FIGURES")]
        figures: Vec<Benchmark>,
    },
    /// Build the functions for AWS, and make a folder that `sam deploy --guided` deploys on a machine without Rust
    Package {
        /// The processor that the functions run on
        #[arg(long, value_enum, default_value_t = Architecture::Arm64)]
        arch: Architecture,
        /// The folder, which must be empty or missing [default: target/package/crm-backup-VERSION-ARCH]
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Build quickly, for tests of packages only
        #[arg(long, hide = true)]
        quick: bool,
    },
    /// Put faults into a copy of the sources, one at a time, and report which test notices each
    Planted {
        /// Names of faults, as their files in tests/dev-stack/planted are named; without names, all
        #[arg(value_name = "FAULTS")]
        faults: Vec<String>,
    },
}

/// Options of the sandbox CRM.
#[derive(Args)]
struct CrmWishes {
    /// Serve the records of a folder of CSV files, not generated records: one file per object, the id in the first
    /// column
    #[arg(long, value_name = "DIR")]
    load: Option<String>,
    /// The CRM account as HubSpot sells it: free, starter, professional or enterprise
    #[arg(long)]
    profile: Option<String>,
    /// Faults of the CRM, as JSON or the name of a JSON file
    #[arg(long, value_name = "JSON|FILE")]
    faults: Option<String>,
    /// More arguments for the sandbox CRM, which `cargo run -p sandbox-crm -- --help` explains
    #[arg(last = true, value_name = "SANDBOX ARGUMENTS")]
    more: Vec<String>,
}

impl CrmWishes {
    /// As the sandbox CRM takes them.
    fn arguments(&self) -> Vec<String> {
        let named = [("--load", &self.load), ("--profile", &self.profile), ("--faults", &self.faults)];
        let named = named.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value.clone()?]));
        named.flatten().chain(self.more.iter().cloned()).collect()
    }
}

fn main() -> ExitCode {
    match run(&CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cargo dev: {}", failure.with_advice());
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    end_all_on_interrupt()?;
    let places = Places::find()?;
    forget_dead(&places)?;
    match command {
        Command::Demo { restore, mixed_with } => demo::run(&places, *restore, mixed_with.as_deref()),
        Command::Test { require_all, names } if names.is_empty() => checks::all(&places, *require_all),
        Command::Test { require_all, names } => checks::named(&places, *require_all, names),
        Command::Check { all, since } => checks::quick(&places, &if *all { Scope::All } else { Scope::Since(since) }),
        Command::Up { port, crm } => up(&places, *port, crm),
        Command::Down => {
            match end_all(&places)? {
                0 => println!("no stack is running"),
                ended => println!("stacks ended: {ended}"),
            }
            Ok(())
        }
        Command::Bench { figures } => bench::run(&places, figures),
        Command::Package { arch, out, quick } => pack(&places, *arch, out.as_deref(), *quick),
        Command::Planted { faults } => planted::run(&places, faults),
    }
}

fn pack(places: &Places, architecture: Architecture, out: Option<&Path>, is_quick: bool) -> Result<()> {
    let profile = if is_quick { Profile::Dev } else { Profile::Release };
    let package = package::make(places, &package::Wishes { architecture, out, profile })?;
    println!("package           {}", package.folder.display());
    println!("as one file       {}", package.zip.display());
    println!("source            {}", package.origin);
    println!("README.md in it says how to deploy it");
    Ok(())
}

fn up(places: &Places, port: u16, crm: &CrmWishes) -> Result<()> {
    let sandbox = crm.arguments();
    let sandbox: Vec<&str> = sandbox.iter().map(String::as_str).collect();
    let wishes =
        Wishes { name: "stack", port, sandbox: &sandbox, parameters: &IMPATIENT, issuer: true, ..Wishes::default() };
    let mut running = Running::bring_up(places, wishes)?;
    describe(running.stack());
    println!("state file        {} (secret; removed when the stack ends)", running.state_file().display());
    println!();
    println!("To use the lines of docs/admin.md, paste this into a shell. The tokens are valid for an hour:");
    println!();
    println!("{}", running.stack().exports());
    println!("Ctrl-C ends it.");
    loop {
        running.check_running()?;
        sleep(Duration::from_millis(500));
    }
}

fn describe(stack: &Stack) {
    println!("API               {}", stack.api_url);
    println!("sandbox CRM       {}", stack.sandbox_url);
    println!("emulated AWS      {}", stack.emulator_url);
    if let Some(oidc) = &stack.oidc {
        let Login { email, password, totp_secret } = &oidc.login;
        println!("issuer            {}, for the API {}", oidc.issuer, oidc.api_url);
        println!("  sign in with    python3 infra/sign-in.py --url {} --client-id {}", oidc.issuer, oidc.audience);
        println!("  as              {email} (password {password}, authenticator secret {totp_secret})");
    }
    println!("webhook receiver  http://{} (the only private address that webhooks may reach)", stack.webhook_target);
    println!("user pool         {}, client id {}", stack.users.user_pool_id, stack.users.client_id);
    println!("account           {}", stack.account_id);
    for (role, user) in [("operator", &stack.operator), ("super admin", &stack.super_admin)] {
        println!("{role:<17} {} (password {}, authenticator secret {})", user.email, user.password, user.totp_secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_takes_what_the_sandbox_crm_takes() {
        let line = ["cargo dev", "up", "--profile", "starter", "--port", "5", "--load", "d", "--", "--seed", "7"];
        let Command::Up { port, crm } = CommandLine::parse_from(line).command else { panic!("it is another command") };
        assert_eq!(port, 5);
        assert_eq!(crm.arguments(), ["--load", "d", "--profile", "starter", "--seed", "7"]);
        let Command::Up { crm, .. } = CommandLine::parse_from(["cargo dev", "up"]).command else { panic!("another") };
        assert!(crm.arguments().is_empty());
    }
}
