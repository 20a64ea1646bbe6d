//! schemathesis: asks a served API for what its OpenAPI document promises.
//!
//! `tests/servers/schemathesis` pins it, and says which checks are on. A finding is an error that holds its report.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::servers::python;

const REQUIREMENTS: &str = include_str!("../../../servers/schemathesis/requirements.txt");
const CONFIGURATION: &str = include_str!("../../../servers/schemathesis/schemathesis.toml");
const HOOKS: &str = include_str!("../../../servers/schemathesis/hooks.py");

/// The operations to test, and the client's identity.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    /// The document's file.
    pub document: &'a Path,
    /// Scheme, host and port.
    pub url: &'a str,
    /// Bearer token.
    pub token: &'a str,
    /// The one role that it has; what others' operations answer is looked at, too.
    pub role: &'a str,
    /// Values of parameters that are the same in each request, such as `path.mailbox`.
    pub parameters: &'a [(&'a str, &'a str)],
    /// When to stop making up requests.
    pub seconds: u32,
    /// Further arguments, such as which operations to leave out.
    pub arguments: &'a [&'a str],
}

/// Asks, blocking.
///
/// # Errors
/// The report, if a check fails.
pub fn ask(questions: &Questions<'_>) -> Result<()> {
    let python = python::install("schemathesis", REQUIREMENTS)?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("hooks.py"), HOOKS)?;
    let configuration = folder.path().join("schemathesis.toml");
    std::fs::write(&configuration, configure(questions.parameters))?;
    let output = command(&python, &configuration, questions).current_dir(folder.path()).output()?;
    if !output.status.success() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        bail!("schemathesis has found something:\n{}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(())
}

fn configure(parameters: &[(&str, &str)]) -> String {
    let mut text = CONFIGURATION.to_owned();
    if !parameters.is_empty() {
        text.push_str("\n[parameters]\n");
    }
    for (name, value) in parameters {
        text.push_str(&format!("{name:?} = {value:?}\n"));
    }
    text
}

fn command(python: &PathBuf, configuration: &Path, questions: &Questions<'_>) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(configuration).arg("run");
    command.arg(questions.document).args(["--no-color", "--workers=1", "--url", questions.url]);
    command.arg(format!("--max-time={}", questions.seconds));
    command.arg("--header").arg(format!("Authorization: Bearer {}", questions.token));
    command.args(questions.arguments).env("PYTHONPATH", ".").env("SCHEMATHESIS_HOOKS", "hooks");
    command.env("SCHEMATHESIS_ROLE", questions.role);
    command
}
