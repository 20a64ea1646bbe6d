//! The report of `voicemail probe` about every region's store, as JSON for pipelines and as text for people.

use super::probe::{Finding, probe};
use crate::hedge::Hedges;
use crate::make_store;
use serde::Serialize;
use std::fmt::Write;
use voicemail_api::config::TenantConfig;
use voicemail_model::clock::World;

/// All regions' findings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeReport {
    /// Whether every store can be trusted.
    pub trusted: bool,
    /// In the order of the configuration.
    pub regions: Vec<RegionReport>,
}

/// One region's findings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionReport {
    /// The region.
    pub region: String,
    /// `volume`, `azureBlob` or `s3`.
    pub storage: &'static str,
    /// Where: a path, or account, container or bucket, and folder.
    pub place: String,
    /// In the order of the probe; it ends with what doesn't hold.
    pub findings: Vec<Finding>,
}

/// Probes the stores of all regions and removes what that wrote.
pub async fn probe_regions(config: &TenantConfig, world: &World) -> ProbeReport {
    let mut regions = Vec::new();
    for region in &config.regions {
        let findings =
            match make_store(config, &region.storage, world, Hedges::of_tool(world, config.store_calls)) {
                Ok(store) => probe(store.as_ref(), world).await.findings,
                Err(error) => vec![Finding::fails("configuration", error.to_string())],
            };
        let (storage, place) = (region.storage.kind(), region.storage.place());
        regions.push(RegionReport { region: region.name.clone(), storage, place, findings });
    }
    let trusted = regions.iter().flat_map(|region| &region.findings).all(|finding| finding.holds);
    ProbeReport { trusted, regions }
}

impl ProbeReport {
    /// A line a property, and what to do.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for region in &self.regions {
            // Writing to a string can't fail.
            let _ = writeln!(text, "region {} ({}, {})", region.region, region.storage, region.place);
            for finding in &region.findings {
                let mark = match (finding.holds, finding.detail.as_str()) {
                    (false, _) => "FAIL",
                    (true, "holds") => "ok",
                    (true, _) => "note",
                };
                let _ = writeln!(text, "  {mark:<4}  {:<24}  {}", finding.property, finding.detail);
            }
        }
        text.push_str(match self.trusted {
            true => "the storage can be trusted with messages\n",
            false => "don't trust this storage with messages until what fails is put right\n",
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_said_with_its_remedy_and_what_is_only_noteworthy_is_told_apart() {
        let findings = vec![
            Finding::holds("one-winner"),
            Finding::note("versions", "the bucket keeps versions".into()),
            Finding::fails("no-lifecycle-rule", "limit it".into()),
        ];
        let region = RegionReport { region: "eu".into(), storage: "s3", place: "b/f".into(), findings };
        let text = ProbeReport { trusted: false, regions: vec![region] }.to_text();
        for line in
            ["ok    one-winner", "note  versions", "FAIL  no-lifecycle-rule         limit it", "don't trust"]
        {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
    }
}
