//! `cargo sbom`: prints the software bill of materials of what is shipped, as CycloneDX.

use std::io::Write;

use anyhow::Result;
use voicemail_test_machine::workspace_path;
use voicemail_tests::sbom::describe_workspace;

fn main() -> Result<()> {
    let document = describe_workspace(&workspace_path(""))?;
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&document)?)?)
}
