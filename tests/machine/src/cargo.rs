//! Builds programs of the workspace, beside the running one, for tests of a crate that isn't the program's own.
//!
//! Cargo is asked each time, and builds nothing if the surrounding cargo command just did; it says where the programs lie.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::workspace_path;

/// Which of cargo's profiles to build with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Unoptimized, as tests are.
    Dev,
    /// Optimized, as users run it.
    Release,
}

impl Profile {
    /// The profile that the running program was built with, so that nothing is built twice.
    pub const fn current() -> Self {
        if cfg!(debug_assertions) { Self::Dev } else { Self::Release }
    }
}

/// The messages of cargo from building the programs: asked for once a process, since tests that run side by side would wait for each other's cargo.
static BUILT: Mutex<Option<String>> = Mutex::new(None);

/// Builds these programs of packages as users run them, whatever the running one is: [`build_program`] gives them, and no others. For
/// benches.
pub fn build_optimised(programs: &[(&str, &str)]) -> Result<()> {
    let mut arguments = vec!["build", "--release"];
    arguments.extend(programs.iter().flat_map(|(package, program)| ["-p", package, "--bin", program]));
    let messages = run_cargo(&arguments)?;
    *BUILT.lock().unwrap_or_else(PoisonError::into_inner) = Some(messages);
    Ok(())
}

/// Builds the workspace's programs beside the running one and returns the one of that name: for tests of a crate that isn't
/// the program's own.
pub fn build_program(name: &str) -> Result<PathBuf> {
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let messages = match built.take() {
        Some(messages) => messages,
        None => build_bins(Profile::current())?,
    };
    let found = find_artifact(&messages, name);
    *built = Some(messages);
    found
}

/// Builds all programs of the workspace; the result is cargo's messages, for [`find_artifact`].
pub fn build_bins(profile: Profile) -> Result<String> {
    let mut arguments = vec!["build", "--workspace", "--bins"];
    if profile == Profile::Release {
        arguments.push("--release");
    }
    run_cargo(&arguments)
}

/// Builds a test of a package, with the programs that it starts, and returns it.
pub fn build_test(package: &str, test: &str) -> Result<PathBuf> {
    let messages = run_cargo(&["test", "--no-run", "-p", package, "--test", test])?;
    find_artifact(&messages, test)
}

/// Messages of cargo about everything that it built.
fn run_cargo(arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).arg("--message-format=json-render-diagnostics");
    command.current_dir(workspace_path("")).stdin(Stdio::null());
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo {} failed ({})", arguments.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The file of a program or a test, by cargo's messages from building it.
pub fn find_artifact(messages: &str, program: &str) -> Result<PathBuf> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut built =
        parsed.filter(|message| message["target"]["name"] == program && message["executable"].is_string());
    let path = built.next_back().and_then(|message| message["executable"].as_str().map(PathBuf::from));
    path.with_context(|| format!("the workspace has no program {program}"))
}
