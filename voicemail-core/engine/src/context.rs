//! State shared by every service of a tenant: stores, documents, clock, keys, and the configuration in force.
//!
//! Cheap to clone. The configuration is swapped as a whole when its file changes.

mod clocks;
mod memory;
mod region_status;

use clocks::Clocks;
pub use clocks::{GuardError, Witnesses};
use memory::Memories;
pub(crate) use memory::Memory;
pub use region_status::RegionStatus;
use region_status::RegionStatuses;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Notify;
use voicemail_api::config::{ClassOfService, TenantConfig};
use voicemail_model::clock::World;
use voicemail_model::{ByRules, CallerHash, CallerId, KnownClass, RuleSet, TenantDocument, TenantKey, Time};
use voicemail_store::documents::Documents;
use voicemail_store::read_only::ReadOnlyStore;
use voicemail_store::{Key, Store, StoreError};

/// Shared by all services of one tenant in one process.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    regions: BTreeMap<String, Arc<dyn Store>>,
    documents: Documents,
    world: World,
    key: TenantKey,
    identity: RwLock<Arc<Identity>>,
    config: RwLock<Arc<TenantConfig>>,
    clocks: Clocks,
    region_statuses: RegionStatuses,
    expected: Mutex<Option<Time>>,
    wake: Notify,
    memories: Memories,
}

/// The store's identity according to the tenant document.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The store's id.
    pub store_id: String,
    /// Every rule set ever used, as the tenant document holds them: only these may be written by.
    pub rule_sets: Vec<RuleSet>,
    /// Classes of service that were ever configured.
    pub classes: BTreeMap<String, KnownClass>,
}

impl Identity {
    /// Reads the identity from that document.
    pub fn of(tenant: TenantDocument) -> Self {
        let TenantDocument { store_id, rule_sets, classes, .. } = tenant;
        Self { store_id, rule_sets, classes }
    }
}

/// A caller as messages are filed.
#[derive(Clone, Debug)]
pub struct FiledCaller {
    /// Where: the hash of the normalised form, or `withheld`.
    pub hash: CallerHash,
    /// As given; none when withheld.
    pub(crate) given: Option<CallerId>,
    /// As hashed; none when withheld.
    pub(crate) normalised: Option<CallerId>,
    /// The rule set that normalised it.
    pub(crate) rules: u32,
}

impl Context {
    /// Puts a tenant together. `regions` holds every region's store by name, the master's among them.
    pub fn new(
        config: TenantConfig,
        identity: Identity,
        key: TenantKey,
        store: Arc<dyn Store>,
        regions: BTreeMap<String, Arc<dyn Store>>,
        world: World,
    ) -> Self {
        let documents = Documents::new(Arc::clone(&store), world.clone());
        Self(Arc::new(Inner {
            documents,
            store,
            regions,
            world,
            key,
            identity: RwLock::new(Arc::new(identity)),
            config: RwLock::new(Arc::new(config)),
            clocks: Clocks::default(),
            region_statuses: RegionStatuses::default(),
            expected: Mutex::default(),
            wake: Notify::new(),
            memories: Memories::default(),
        }))
    }

    /// The same tenant, looked at through handles that can't write.
    pub(crate) fn read_only(&self) -> Self {
        let guard =
            |store: &Arc<dyn Store>| Arc::new(ReadOnlyStore::new(Arc::clone(store))) as Arc<dyn Store>;
        let regions = self.0.regions.iter().map(|(name, store)| (name.clone(), guard(store))).collect();
        let (config, identity) = (self.config().as_ref().clone(), self.identity().as_ref().clone());
        let master = guard(&self.0.store);
        Self::new(config, identity, self.0.key.clone(), master, regions, self.0.world.clone())
    }

    /// Name of the region that holds the metadata.
    pub fn master(&self) -> String {
        self.config().master().map(|region| region.name.clone()).unwrap_or_default()
    }

    /// The master region's store, which holds all but audio.
    pub fn store(&self) -> &dyn Store {
        self.0.store.as_ref()
    }

    /// A region's store.
    ///
    /// # Errors
    /// `Refused` for a region that isn't configured.
    pub fn region(&self, name: &str) -> Result<&Arc<dyn Store>, StoreError> {
        let missing = || StoreError::Refused(format!("region {name} isn't configured here"));
        self.0.regions.get(name).ok_or_else(missing)
    }

    /// A region's store, to put audio into.
    ///
    /// # Errors
    /// `Refused` for a region that isn't configured, `Unavailable` for one that wasn't opened yet.
    pub(crate) fn region_to_write(&self, name: &str) -> Result<&Arc<dyn Store>, StoreError> {
        if let Some(RegionStatus::Unopened(cause)) = self.0.region_statuses.of(name) {
            return Err(StoreError::Unavailable(format!("region {name} isn't open: {cause}")));
        }
        self.region(name)
    }

    /// The last status of the regions.
    pub(crate) fn region_statuses(&self) -> &RegionStatuses {
        &self.0.region_statuses
    }

    /// Tells this replica's sweeper that something is due then: it may be about to sleep for longer.
    pub(crate) fn expect_due(&self, at: Time) {
        let mut expected = self.0.expected.lock().unwrap_or_else(PoisonError::into_inner);
        if expected.is_none_or(|known| at < known) {
            *expected = Some(at);
            self.0.wake.notify_one();
        }
    }

    /// The earliest moment told since this was last asked.
    pub(crate) fn take_expected(&self) -> Option<Time> {
        self.0.expected.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns when something was told to be due.
    pub(crate) async fn expected(&self) {
        self.0.wake.notified().await;
    }

    /// All regions' stores, the master first.
    pub fn regions(&self) -> impl Iterator<Item = (&String, &Arc<dyn Store>)> {
        let is_master = |store: &Arc<dyn Store>| Arc::ptr_eq(store, &self.0.store);
        let masters = self.0.regions.iter().filter(move |(_, store)| is_master(store));
        masters.chain(self.0.regions.iter().filter(move |(_, store)| !is_master(store)))
    }

    /// The master region's documents.
    pub fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// Clock and randomness.
    pub fn world(&self) -> &World {
        &self.0.world
    }

    /// The tenant key.
    pub fn key(&self) -> &TenantKey {
        &self.0.key
    }

    /// The identity according to the tenant document when it was last read.
    pub fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.0.identity.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the tenant document again: another replica may have brought a rule set that a search must know.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_identity(&self) -> Result<(), StoreError> {
        if let Some(tenant) = self.0.documents.load::<TenantDocument>(&Key::tenant()).await? {
            self.set_identity(tenant);
        }
        Ok(())
    }

    /// Takes over what the tenant document says, as just read or written.
    pub(crate) fn set_identity(&self, tenant: TenantDocument) {
        let identity = Identity::of(tenant);
        *self.0.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }

    /// Whether the tenant document holds the rule set that the configuration asks for.
    pub(crate) fn has_own_rules(&self) -> bool {
        self.own_rules(&self.identity()).is_some()
    }

    fn own_rules(&self, identity: &Identity) -> Option<RuleSet> {
        let config = self.config();
        let asked = |rules: &&RuleSet| {
            rules.is_for(&config.default_number_region, &config.number_prefixes, &config.withheld_callers)
        };
        identity.rule_sets.iter().find(asked).cloned()
    }

    /// The rule set to write by: what the configuration asks for, or while that isn't registered yet the
    /// newest that is. An erasure knows no others.
    ///
    /// # Errors
    /// `Unavailable` while none is registered.
    pub(crate) fn rules_in_force(&self) -> Result<RuleSet, StoreError> {
        let identity = self.identity();
        let newest = || identity.rule_sets.iter().rev().find(|rules| rules.is_known()).cloned();
        let missing = || StoreError::Unavailable("no rules for numbers are registered yet".into());
        self.own_rules(&identity).or_else(newest).ok_or_else(missing)
    }

    /// Whether the tenant document holds the classes of service as they are configured.
    pub(crate) fn has_own_classes(&self) -> bool {
        let identity = self.identity();
        self.config().classes_of_service.iter().all(|class| {
            identity.classes.get(&class.name).is_some_and(|known| known.named(&class.name) == *class)
        })
    }

    /// The class of that name: as it is configured, else as it last was.
    pub fn known_class(&self, name: &str) -> Option<ClassOfService> {
        let (config, identity) = (self.config(), self.identity());
        let last = || identity.classes.get(name).map(|known| known.named(name));
        config.written_class(name).or_else(last).or_else(|| config.class_of_service(name))
    }

    /// As [`known_class`](Self::known_class); one that this store never heard of is taken for `standard`.
    pub fn class_named(&self, name: &str) -> ClassOfService {
        let standard = || self.known_class(ClassOfService::STANDARD).unwrap_or_else(ClassOfService::standard);
        self.known_class(name).unwrap_or_else(standard)
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<TenantConfig> {
        Arc::clone(&self.0.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another configuration in force.
    pub fn reload(&self, config: TenantConfig) {
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// Normalises a caller by the rule set in force.
    ///
    /// # Errors
    /// `Unavailable` while no rule set is registered that could be written by.
    pub fn file_caller(&self, caller: Option<&CallerId>) -> Result<FiledCaller, StoreError> {
        let rules = self.rules_in_force()?;
        let normalised = caller.and_then(|caller| rules.normalise(caller));
        Ok(FiledCaller {
            hash: normalised.as_deref().map_or_else(CallerHash::withheld, |form| self.0.key.hash(form)),
            given: caller.filter(|_| normalised.is_some()).cloned(),
            normalised: normalised.as_deref().and_then(CallerId::named),
            rules: rules.id,
        })
    }

    /// Whether a caller as given may mean one of these callers, by the rule set with that number.
    ///
    /// # Errors
    /// `Unavailable` where the rule set can't be carried out here, or the store's.
    pub(crate) async fn is_read_as(
        &self,
        by: &ByRules,
        given: Option<&CallerId>,
        callers: &[CallerHash],
    ) -> Result<bool, StoreError> {
        if let Some(read) = self.is_known_as(by, given, callers) {
            return Ok(read);
        }
        // Another replica may have brought the rule set.
        self.refresh_identity().await?;
        let unknown = || {
            StoreError::Unavailable("a request was made by rules for numbers that aren't known here".into())
        };
        self.is_known_as(by, given, callers).ok_or_else(unknown)
    }

    /// As [`is_read_as`](Self::is_read_as), by the rule sets that this replica knows; `None` if that isn't one.
    pub(crate) fn is_known_as(
        &self,
        by: &ByRules,
        given: Option<&CallerId>,
        callers: &[CallerHash],
    ) -> Option<bool> {
        let Some(given) = given else { return Some(false) };
        let identity = self.identity();
        let rules = identity.rule_sets.iter().find(|rules| rules.id == by.rules && rules.is_known())?;
        Some(rules.reads_as(self.key(), given, callers))
    }
}
