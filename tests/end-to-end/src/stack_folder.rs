//! Where the stack keeps its files.

use std::env;
use std::path::PathBuf;

use dev_stack::stack::STACK_FILE;

/// The folder with the stack's logs and the emulator's files.
pub fn stack_folder() -> PathBuf {
    PathBuf::from(env::var_os(STACK_FILE).unwrap_or_default()).with_extension("")
}
