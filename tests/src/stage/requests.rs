//! Data-subject requests as resources: applied from the examples, followed to a phase.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use kube::{Api, ResourceExt};
use voicemail_resources::conditions::{READY, find_condition};
use voicemail_resources::{GdprRequest, GdprRequestStatus, Phase};

use super::Site;
use voicemail_test_cluster::wait::wait_until;
use voicemail_test_machine::workspace_path;

/// Applies one of `examples/gdpr` and returns the request's name.
pub async fn apply_request(site: &Site, namespace: &str, file: &str) -> Result<String> {
    let path = workspace_path("examples/gdpr").join(file);
    site.apply_file(namespace, &path).await.with_context(|| format!("applying {file}"))?;
    let text = std::fs::read_to_string(&path)?;
    let request: GdprRequest = serde_yaml::from_str(&text).with_context(|| format!("reading {file}"))?;
    Ok(request.name_any())
}

/// Waits until a request reaches a phase; a request that fails instead is an error with its own words.
pub async fn follow_request(
    site: &Site,
    namespace: &str,
    name: &str,
    phase: Phase,
    deadline: Duration,
) -> Result<GdprRequestStatus> {
    let api: Api<GdprRequest> = site.api(namespace)?;
    let phase_of = |request: &GdprRequest| request.status.as_ref().map(|status| status.phase);
    let reached =
        |request: &GdprRequest| phase_of(request).is_some_and(|found| found == phase || found.is_terminal());
    let request = wait_until(&api, name, &format!("its phase is {phase:?}"), deadline, reached).await?;
    let status = request.status.ok_or_else(|| anyhow!("{name} has no status"))?;
    let failed = find_condition(&status.conditions, READY);
    let reason = failed.map(|found| format!("{}: {}", found.reason, found.message)).unwrap_or_default();
    ensure!(status.phase == phase, "{name} is {:?} instead of {phase:?} ({reason})", status.phase);
    Ok(status)
}
