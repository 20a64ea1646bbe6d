//! `cargo sbom`: prints the software bill of materials of what is shipped, as CycloneDX.

use std::io::Write;

use anyhow::Result;
use voicemail_tests::sbom::describe_workspace;
use voicemail_tests::stage::workspace_path;

fn main() -> Result<()> {
    let document = describe_workspace(&workspace_path(""))?;
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&document)?)?)
}
