//! MiniStack: AWS as one local process, functions included.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::process::{self, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use crate::api::answers;
use crate::failure::{Failure, OrFailure, Result};
use crate::places::make_folder;
use crate::processes::Group;
use crate::python::Environment;

/// How long the emulator may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// The ports that this tool chooses from.
const LISTENING: Range<u16> = 20_000..32_000;

#[derive(Debug)]
pub struct Emulator {
    group: Group,
    url: String,
}

impl Emulator {
    /// Starts an emulator on `port` (0: any that is free) that keeps what it writes in `folder`, and waits until it
    /// answers. Functions reach it at `functions_endpoint`, if that is another address.
    ///
    /// # Errors
    /// When the port is taken or the emulator does not come up.
    pub fn start(python: &Environment, folder: &Path, port: u16, functions_endpoint: Option<&str>) -> Result<Self> {
        let port = usable_port(port)?;
        let url = format!("http://127.0.0.1:{port}");
        let scratch = folder.join("emulator");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).or_failure(|| format!("cannot empty {}", scratch.display()))?;
        }
        make_folder(&scratch)?;
        let mut command = python.command("python");
        command.arg(python.script("emulator.py")).current_dir(&scratch);
        // Functions inherit this environment, so it is bare: no proxies, no real credentials, no surprises.
        bare(&mut command)
            .env("TMPDIR", &scratch)
            .env("STATE_DIR", scratch.join("state"))
            .env("S3_DATA_DIR", scratch.join("s3"))
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // Permissions count as on AWS, so a role that lacks one is found here.
            .env("AUTH", "true")
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("AWS_ENDPOINT_URL", functions_endpoint.unwrap_or(&url))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1");
        let mut group = Group::start("the emulator", &mut command, &folder.join("emulator.log"))?;
        let health = format!("{url}/_ministack/health");
        group.wait_until(PATIENCE, |_| answers(&health).then_some(()))?;
        Ok(Self { group, url })
    }

    /// Where it answers, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn group(&self) -> &Group {
        &self.group
    }

    pub fn group_mut(&mut self) -> &mut Group {
        &mut self.group
    }
}

/// Removes the environment of a command, except what finds programs and the user's home.
pub fn bare(command: &mut Command) -> &mut Command {
    command.env_clear();
    for name in ["PATH", "HOME", "LANG"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// `port` if it is free, or a free port instead of 0.
///
/// # Errors
/// When the port is taken, or this user may not listen there.
pub fn usable_port(port: u16) -> Result<u16> {
    let port = if port == 0 { free_port()? } else { port };
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|_| port).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            Failure::new(format!("port {port} is taken; end what listens there or choose another with --port"))
        }
        ErrorKind::PermissionDenied => {
            Failure::new(format!("this user may not listen on port {port}; choose one above 1023 with --port"))
        }
        _ => Failure::new(format!("cannot listen on port {port}: {error}; choose another with --port")),
    })
}

/// A free port that no outgoing connection uses. Outgoing connections use ports from 32768 on Linux, and from 49152 on
/// macOS and Windows. The system's own choice for port 0 is one of them, and can be in use before a server starts.
fn free_port() -> Result<u16> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let first = clock.wrapping_add(process::id());
    let ports = u32::from(LISTENING.end - LISTENING.start);
    (0..ports)
        .filter_map(|step| u16::try_from(first.wrapping_add(step) % ports).ok())
        .map(|offset| LISTENING.start + offset)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| Failure::new(format!("no port from {} to {} is free", LISTENING.start, LISTENING.end)))
}
