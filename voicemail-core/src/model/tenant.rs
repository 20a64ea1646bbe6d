//! The tenant document, `tenant`: what a store belongs to, and which clusters use it.
//!
//! A core refuses a store whose document names another tenant, another key or another region's layout:
//! a wrong key would make an erasure find nothing and call it done.

use super::{RuleSet, TenantKey, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Identity of a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantDocument {
    /// Random id of this store, made once.
    pub store_id: String,
    /// The tenant it belongs to.
    pub tenant_id: String,
    /// Check value of the tenant key.
    pub key_check: String,
    /// Names of the regions.
    pub regions: Vec<String>,
    /// Name of the master region.
    pub master: String,
    /// Every rule set ever used, oldest first; the last is in force.
    pub rule_sets: Vec<RuleSet>,
    /// Raised with every erasure, so that a restored copy can be told from a current one.
    pub erasure_epoch: u64,
    /// Clusters that use the store.
    pub clusters: BTreeMap<String, Registration>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A cluster that uses the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Region that it serves.
    pub region: String,
    /// When one of its cores last said so.
    pub heartbeat: Time,
}

/// Why a store isn't this tenant's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Another key.
    #[error(
        "the store was written with another tenant key: restore the keys Secret that belongs to store {store_id}"
    )]
    KeyMismatch {
        /// The store's id.
        store_id: String,
    },
    /// Another tenant or other regions.
    #[error("store {store_id} belongs to another tenant or has other regions: {what}")]
    StoreBelongsToAnother {
        /// The store's id.
        store_id: String,
        /// What differs.
        what: &'static str,
    },
}

/// What a core says about itself when it opens a store.
pub struct Opening<'a> {
    /// Tenant.
    pub tenant_id: &'a str,
    /// Its key.
    pub key: &'a TenantKey,
    /// Region names.
    pub regions: Vec<String>,
    /// Master's name.
    pub master: &'a str,
    /// Region by which national numbers are read.
    pub number_region: &'a str,
    /// This cluster.
    pub cluster: &'a str,
    /// The region that it serves.
    pub region: &'a str,
}

impl TenantDocument {
    /// A document for a store that has none.
    pub fn new(opening: &Opening<'_>, store_id: String) -> Self {
        Self {
            store_id,
            tenant_id: opening.tenant_id.into(),
            key_check: opening.key.check_value(),
            regions: opening.regions.clone(),
            master: opening.master.into(),
            ..Self::default()
        }
    }

    /// Checks that the store is the one expected.
    ///
    /// # Errors
    /// What doesn't match.
    pub fn check(&self, opening: &Opening<'_>) -> Result<(), IdentityError> {
        let store_id = self.store_id.clone();
        let other = |what| IdentityError::StoreBelongsToAnother { store_id: store_id.clone(), what };
        if self.tenant_id != opening.tenant_id {
            return Err(other("the tenant id differs"));
        }
        if self.master != opening.master {
            return Err(other("the master region differs"));
        }
        if self.key_check != opening.key.check_value() {
            return Err(IdentityError::KeyMismatch { store_id });
        }
        if !self.regions.iter().all(|region| opening.regions.contains(region)) {
            return Err(other(
                "a region was taken out of the configuration, which its audio would be lost with",
            ));
        }
        Ok(())
    }

    /// Registers the cluster, its new regions and the rule set in force; true if the document changed.
    pub fn register(&mut self, opening: &Opening<'_>, now: Time) -> bool {
        let known = self.regions.clone();
        self.regions.extend(opening.regions.iter().filter(|region| !known.contains(region)).cloned());
        let registration = Registration { region: opening.region.into(), heartbeat: now };
        self.clusters.insert(opening.cluster.into(), registration);
        let current = self.rule_sets.last();
        let same = current.is_some_and(|rules| {
            rules.algorithm == RuleSet::ALGORITHM && rules.default_region == opening.number_region
        });
        if !same {
            let id = current.map_or(1, |rules| rules.id + 1);
            let default_region = opening.number_region.into();
            self.rule_sets.push(RuleSet { id, algorithm: RuleSet::ALGORITHM, default_region });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening<'a>(key: &'a TenantKey, regions: &[&str]) -> Opening<'a> {
        Opening {
            tenant_id: "t",
            key,
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            master: "eu",
            number_region: "GB",
            cluster: "one",
            region: "eu",
        }
    }

    #[test]
    fn a_region_can_be_added_and_never_taken_away() {
        let key = TenantKey::new(&[1; 32]).unwrap();
        let mut tenant = TenantDocument::new(&opening(&key, &["eu"]), "s".into());
        let both = opening(&key, &["us", "eu"]);
        assert_eq!(tenant.check(&both), Ok(()));
        tenant.register(&both, Time(0));
        assert_eq!(tenant.regions, ["eu", "us"]);
        assert_eq!(tenant.check(&both), Ok(()));
        let error = tenant.check(&opening(&key, &["eu"])).unwrap_err();
        assert!(error.to_string().contains("taken out"), "{error}");
    }
}
