//! The tenant document, `tenant`: what a store belongs to, and which clusters use it.
//!
//! A core refuses a store whose document names another tenant, another key or another region's layout:
//! a wrong key would make an erasure find nothing and call it done.

use super::{KnownClass, RuleSet, TenantKey, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use voicemail_api::config::{ClassOfService, Holder, NumberPrefix};

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
    /// Every rule set ever used, oldest first. A core writes by the one that its configuration asks for.
    pub rule_sets: Vec<RuleSet>,
    /// Raised with every erasure, so that a restored copy can be told from a current one.
    pub erasure_epoch: u64,
    /// Clusters that use the store.
    pub clusters: BTreeMap<String, Registration>,
    /// Every class of service that was ever configured, by name, with its newest limits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, KnownClass>,
    /// Places that passed the races of the start-up probe, newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probed: Vec<Probed>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A place that keeps its promises when many write at once, as a release of ours found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Kind, endpoint, bucket or path, and folder.
    pub place: String,
    /// The release that looked: the next one may look harder.
    pub release: String,
    /// When.
    pub at: Time,
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
    /// Which tenant of the cluster; none by a core of a former release, or without Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
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
    /// Another tenant of the same cluster uses the same place.
    #[error(
        "store {store_id} is used by tenant {holder} of this cluster: two tenants can't share a store, since deleting one \
         would empty the other's. Delete that one first; if it is no more: voicemail admin retire --deregister --cluster \
         {cluster}"
    )]
    HeldByAnother {
        /// The store's id.
        store_id: String,
        /// The other tenant.
        holder: Holder,
        /// This cluster.
        cluster: String,
    },
    /// Another tenant or other regions.
    #[error("store {store_id} belongs to another tenant or has other regions: {what}")]
    StoreBelongsToAnother {
        /// The store's id.
        store_id: String,
        /// The setting that differs.
        what: &'static str,
    },
}

/// A core's own identity and settings when it opens a store.
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
    /// The tenant's own prefixes.
    pub prefixes: &'a [NumberPrefix],
    /// The tenant's own values for callers without a number, beside the built-in table.
    pub withheld: &'a [String],
    /// Classes of service as they are configured.
    pub classes: &'a [ClassOfService],
    /// This cluster.
    pub cluster: &'a str,
    /// The tenant of this cluster that the core serves for.
    pub holder: Option<&'a Holder>,
    /// The region that it serves.
    pub region: &'a str,
}

impl TenantDocument {
    /// Places remembered: several clusters may reach a store in several ways.
    const MOST_PROBED: usize = 16;

    /// Whether that release found the place fit.
    pub fn has_probed(&self, place: &str, release: &str) -> bool {
        self.probed.iter().any(|known| known.place == place && known.release == release)
    }

    /// Remembers that it did.
    pub fn note_probed(&mut self, place: &str, release: &str, at: Time) {
        if self.has_probed(place, release) {
            return;
        }
        let (place, release) = (place.to_owned(), release.to_owned());
        self.probed.push(Probed { place, release, at, unknown: Map::new() });
        let surplus = self.probed.len().saturating_sub(Self::MOST_PROBED);
        self.probed.drain(..surplus);
    }

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
    /// The first difference between the stored identity and the core's own.
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

    /// Another tenant of the same cluster that is registered as the one that uses the store.
    pub fn other_holder(&self, cluster: &str, ours: Option<&Holder>) -> Option<&Holder> {
        let known = self.clusters.get(cluster)?.holder.as_ref()?;
        ours.is_some_and(|ours| !known.is_succeeded_by(ours)).then_some(known)
    }

    /// Checks that no other tenant of this cluster uses the store. Without Kubernetes nobody can tell.
    ///
    /// # Errors
    /// [`IdentityError::HeldByAnother`].
    pub fn check_holder(&self, opening: &Opening<'_>) -> Result<(), IdentityError> {
        match self.other_holder(opening.cluster, opening.holder) {
            None => Ok(()),
            Some(holder) => Err(IdentityError::HeldByAnother {
                store_id: self.store_id.clone(),
                holder: holder.clone(),
                cluster: opening.cluster.into(),
            }),
        }
    }

    /// [`Self::check`] and [`Self::check_holder`]: whether a core may serve from the store.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn check_serving(&self, opening: &Opening<'_>) -> Result<(), IdentityError> {
        self.check(opening)?;
        self.check_holder(opening)
    }

    /// The newest time that a core of any cluster wrote down.
    pub fn newest_heartbeat(&self) -> Option<Time> {
        self.clusters.values().map(|cluster| cluster.heartbeat).max()
    }

    /// Registers the cluster, its new regions and the rule set that it writes by; true if the document changed.
    pub fn register(&mut self, opening: &Opening<'_>, now: Time) -> bool {
        let known = self.regions.clone();
        self.regions.extend(opening.regions.iter().filter(|region| !known.contains(region)).cloned());
        let mut registration = Registration::new(opening.region, now);
        registration.holder = opening.holder.cloned();
        if let Some(before) = self.clusters.remove(opening.cluster) {
            registration.unknown = before.unknown;
            registration.holder = registration.holder.or(before.holder);
        }
        self.clusters.insert(opening.cluster.into(), registration);
        self.register_rules(opening);
        self.register_classes(opening.classes);
        true
    }

    fn register_classes(&mut self, classes: &[ClassOfService]) {
        for class in classes {
            let unknown = self.classes.remove(&class.name).map(|known| known.unknown).unwrap_or_default();
            self.classes.insert(class.name.clone(), KnownClass { unknown, ..KnownClass::of(class) });
        }
    }

    /// Two clusters may write by different rules, and one may go back to rules of old: each stands here once.
    fn register_rules(&mut self, opening: &Opening<'_>) {
        let Opening { number_region, prefixes, withheld, .. } = opening;
        if !self.rule_sets.iter().any(|rules| rules.is_for(number_region, prefixes, withheld)) {
            let last = self.rule_sets.iter().map(|rules| rules.id).max().unwrap_or(0);
            self.rule_sets.push(RuleSet::new(last + 1, number_region, prefixes, withheld));
        }
    }
}

impl Registration {
    fn new(region: &str, heartbeat: Time) -> Self {
        Self { region: region.into(), heartbeat, holder: None, unknown: Map::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(tenant: &mut TenantDocument, cluster: &str, region: &str, prefixes: &[NumberPrefix]) {
        let key = TenantKey::new(&[1; 32]).unwrap();
        let opening = Opening {
            tenant_id: "t",
            key: &key,
            holder: None,
            regions: vec!["main".into()],
            master: "main",
            number_region: region,
            prefixes,
            withheld: &[],
            classes: &[],
            cluster,
            region: "main",
        };
        assert!(tenant.register(&opening, Time(1)));
    }

    fn ids(tenant: &TenantDocument) -> Vec<u32> {
        tenant.rule_sets.iter().map(|rules| rules.id).collect()
    }

    #[test]
    fn a_change_of_region_or_prefixes_adds_a_rule_set_and_touches_no_old_one() {
        let mut tenant = TenantDocument::default();
        let nine = [NumberPrefix { prefix: "9".into(), replace_with: String::new(), digits: None }];
        register(&mut tenant, "a", "GB", &[]);
        let first = tenant.rule_sets.clone();
        register(&mut tenant, "a", "GB", &nine);
        register(&mut tenant, "a", "DE", &nine);
        assert_eq!(ids(&tenant), [1, 2, 3]);
        assert_eq!(tenant.rule_sets[..1], first);
    }

    #[test]
    fn clusters_with_different_rules_and_rules_of_old_add_nothing_for_ever() {
        let mut tenant = TenantDocument::default();
        for _ in 0..3 {
            register(&mut tenant, "a", "GB", &[]);
            register(&mut tenant, "b", "DE", &[]);
        }
        assert_eq!(ids(&tenant), [1, 2]);
    }

    #[test]
    fn a_document_of_before_prefixes_keeps_its_rule_set_beside_the_new_one() {
        let stored = r#"{"rule_sets":[{"id":1,"algorithm":1,"defaultRegion":"GB"}]}"#;
        let mut tenant: TenantDocument = serde_json::from_str(stored).unwrap();
        register(&mut tenant, "a", "GB", &[]);
        assert_eq!(ids(&tenant), [1, 2]);
        assert_eq!((tenant.rule_sets[0].algorithm, tenant.rule_sets[1].algorithm), (1, RuleSet::ALGORITHM));
    }

    #[test]
    fn limits_of_a_class_outlive_its_configuration_and_follow_a_change() {
        let (key, mut tenant) = (TenantKey::new(&[1; 32]).unwrap(), TenantDocument::default());
        let class = |name: &str, days| ClassOfService {
            name: name.into(),
            retention_days: days,
            email_digest_minutes: Some(30),
            ..ClassOfService::standard()
        };
        let mut configure = |classes: &[ClassOfService]| {
            tenant.register(&Opening { classes, ..opening(&key, &["eu"]) }, Time(1));
            let known = |(name, class): (&String, &KnownClass)| class.named(name);
            tenant.classes.iter().map(known).collect::<Vec<_>>()
        };
        assert_eq!(configure(&[class("gold", 365)]), [class("gold", 365)]);
        assert_eq!(configure(&[class("tin", 7)]), [class("gold", 365), class("tin", 7)]);
        assert_eq!(configure(&[class("gold", 400)]), [class("gold", 400), class("tin", 7)]);
    }

    #[test]
    fn what_a_newer_version_registered_survives() {
        let stored = r#"{"clusters":{"a":{"region":"main","heartbeat":1,"version":"9"}}}"#;
        let mut tenant: TenantDocument = serde_json::from_str(stored).unwrap();
        register(&mut tenant, "a", "GB", &[]);
        assert_eq!(tenant.clusters["a"].unknown["version"], "9");
    }

    #[test]
    fn a_place_is_remembered_for_one_release_and_a_change_of_either_is_another() {
        let mut tenant = TenantDocument::default();
        tenant.note_probed("s3 a/b", "1.0.0", Time(1));
        tenant.note_probed("s3 a/b", "1.0.0", Time(2));
        assert!(tenant.probed.len() == 1 && tenant.has_probed("s3 a/b", "1.0.0"));
        assert!(!tenant.has_probed("s3 a/c", "1.0.0") && !tenant.has_probed("s3 a/b", "1.0.1"));
        (0..40).for_each(|n| tenant.note_probed(&format!("s3 {n}"), "1.0.0", Time(3)));
        assert!(tenant.probed.len() == TenantDocument::MOST_PROBED && tenant.has_probed("s3 39", "1.0.0"));
    }

    fn opening<'a>(key: &'a TenantKey, regions: &[&str]) -> Opening<'a> {
        Opening {
            tenant_id: "t",
            key,
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            master: "eu",
            number_region: "GB",
            prefixes: &[],
            withheld: &[],
            classes: &[],
            cluster: "one",
            holder: None,
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

    fn holder(namespace: &str, uid: &str) -> Holder {
        Holder { namespace: namespace.into(), name: "acme".into(), uid: uid.into() }
    }

    #[test]
    fn a_second_tenant_of_a_cluster_is_refused_in_words_and_one_that_took_the_place_is_not() {
        let key = TenantKey::new(&[1; 32]).unwrap();
        let plain = opening(&key, &["eu"]);
        let mut tenant = TenantDocument::new(&plain, "s".into());
        let (first, again, second) = (holder("a", "1"), holder("a", "2"), holder("b", "3"));
        let as_holder = |holder| Opening { holder: Some(holder), ..opening(&key, &["eu"]) };
        tenant.register(&plain, Time(0));
        assert_eq!(tenant.check_holder(&as_holder(&first)), Ok(()), "registered by a former release");
        tenant.register(&as_holder(&first), Time(1));
        tenant.register(&plain, Time(2));
        assert_eq!(tenant.clusters["one"].holder, Some(first.clone()), "a former release forgets nothing");
        assert_eq!(tenant.check_holder(&as_holder(&again)), Ok(()), "made again");
        let refused = tenant.check_holder(&as_holder(&second)).unwrap_err().to_string();
        assert!(refused.contains("tenant a/acme of this cluster"), "{refused}");
        assert!(refused.contains("retire --deregister --cluster one"), "{refused}");
        let elsewhere = Opening { cluster: "two", ..as_holder(&second) };
        assert_eq!(tenant.check_holder(&elsewhere), Ok(()), "clusters share a store");
    }
}
