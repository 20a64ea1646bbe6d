//! Reads the API server's audit log: who asked for what, and what the answer was.
//!
//! The API server writes a line when a request has been answered, so a record comes a moment after the answer:
//! [`AuditLog::wait_for`] looks again until its deadline. Contents of objects are never logged.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::time::Instant;

const POLL: Duration = Duration::from_millis(50);

/// The audit log from one moment on.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    start: u64,
}

impl AuditLog {
    /// Everything that is logged from now on.
    pub fn from_now(path: PathBuf) -> Result<Self> {
        let metadata =
            std::fs::metadata(&path).with_context(|| format!("no audit log at {}", path.display()))?;
        Ok(Self { path, start: metadata.len() })
    }

    /// The records so far, as `audit.k8s.io/v1` events; a half-written last line is left out.
    pub fn records(&self) -> Result<Vec<Value>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let lines = bytes.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// Waits for a record that satisfies `predicate` and returns it.
    pub async fn wait_for(
        &self,
        description: &str,
        deadline: Duration,
        predicate: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let end = Instant::now() + deadline;
        loop {
            let records = self.records()?;
            if let Some(found) = records.iter().find(|record| predicate(record)) {
                return Ok(found.clone());
            }
            if Instant::now() > end {
                bail!(
                    "no audit record of {description} among {} within {} s",
                    records.len(),
                    deadline.as_secs()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
