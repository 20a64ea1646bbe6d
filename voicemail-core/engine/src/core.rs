//! Opening a tenant: keys, store, probe, tenant document, services.
//!
//! Flow: [`Core::open`] reads the keys, probes the store, checks that it belongs to this tenant and key
//! (or claims an empty one), registers this cluster, and puts the services together. It fails with a
//! reason that an operator can show; the caller tries again. [`Core::run_sweeper`] then keeps time.

mod claim;
mod keys;
mod places;
mod regions;
mod restore;
pub mod tool;

use crate::context::{Context, GuardError, Identity, RegionStatus};
use crate::gdpr::{Gdpr, ReceiptKey};
use crate::mailbox::{Directory, Mailboxes};
use crate::principal::{MailboxToken, MailboxTokenError, Principal};
use crate::sweep::Sweeper;
pub use claim::opening;
use claim::{open_master, register};
pub use keys::TenantKeys;
pub use places::RELEASE;
use regions::{find_hindrance, list_health, open_region, watch, write_pending};
use restore::{await_restore, check_restore};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use voicemail_api::config::{RegionConfig, StorageConfig, TenantConfig};
use voicemail_api::readiness::Readiness;
use voicemail_model::clock::World;
use voicemail_model::{IdentityError, TenantDocument};
use voicemail_store::hedge::{Hedges, places_for};
use voicemail_store::{ErrorClass, Hindrance, Key, Store, StoreError, make_store};
use voicemail_telemetry::{MeasuredStore, Metrics, StoreLabels};

/// How often a cluster says that it still uses the store.
const HEARTBEAT: Duration = Duration::from_secs(900);

/// How often a core looks whether the store is this tenant's still.
const OWNERSHIP: Duration = Duration::from_secs(300);
const STORE_GONE: &str = "the store's tenant document is gone: somebody has removed this tenant from the store. Bring the \
                          store back; if the tenant is given up, delete it";

/// One tenant's services.
pub struct Core {
    /// Mailboxes.
    pub mailboxes: Mailboxes,
    /// Provisioning.
    pub directory: Directory,
    /// Data-subject rights.
    pub gdpr: Gdpr,
    /// State shared by the services.
    pub context: Context,
    /// Why the store isn't this tenant's any more, if it isn't.
    lost: Mutex<Option<(&'static str, String)>>,
}

/// Why a tenant can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A key file is missing or malformed.
    #[error("{0}")]
    KeysUnreadable(String),
    /// The store lacks a property.
    #[error("the storage failed its check ({property}): {detail}")]
    StorageProbeFailed {
        /// Which.
        property: &'static str,
        /// The observation and its remedy.
        detail: String,
    },
    /// The store isn't this tenant's.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store is older than what was erased from it.
    #[error("{0}")]
    RestoreDetected(String),
    /// The clocks differ.
    #[error("this replica's clock and the store's are {seconds} s apart: synchronise them")]
    ClockSkew {
        /// How far.
        seconds: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Stable name, as conditions show it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::KeysUnreadable(_) => "KeysUnreadable",
            Self::StorageProbeFailed { .. } => "StorageProbeFailed",
            Self::Identity(IdentityError::KeyMismatch { .. }) => "KeyMismatch",
            Self::Identity(IdentityError::HeldByAnother { .. }) => "StoreHeldByAnother",
            Self::Identity(IdentityError::StoreBelongsToAnother { .. }) => "StoreBelongsToAnother",
            Self::RestoreDetected(_) => "RestoreDetected",
            Self::ClockSkew { .. } => "ClockSkew",
            Self::Store(StoreError::Credentials(_)) => "CredentialsRefused",
            Self::Store(StoreError::Full(_)) => "StorageFull",
            Self::Store(StoreError::WriteRefused { cause, .. }) => cause.reason(),
            Self::Store(_) => "StorageUnavailable",
        }
    }

    /// The action that the error asks for.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            Self::ClockSkew { .. } => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        }
    }
}

impl Core {
    /// Opens the tenant that a configuration names; calls to its stores are measured.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: &TenantConfig, world: World, metrics: &Metrics) -> Result<Self, OpenError> {
        let keys = TenantKeys::read(&config.keys_dir)?;
        let mut regions = BTreeMap::new();
        for region in &config.regions {
            let places = places_for(config.store_calls);
            let watch = metrics.watch_hedges(&region.name);
            let hedges = Hedges::new(world.clone(), Arc::clone(&places), watch);
            let store = make_store(config, &region.storage, &world, hedges)?;
            let measured: Arc<dyn Store> =
                Arc::new(MeasuredStore::new(store, metrics.clone(), label(region), places));
            regions.insert(region.name.clone(), measured);
        }
        Self::open_on(config, keys, regions, world).await
    }

    /// Opens a tenant on stores that are there already, by region.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_on(
        config: &TenantConfig,
        keys: TenantKeys,
        regions: BTreeMap<String, Arc<dyn Store>>,
        world: World,
    ) -> Result<Self, OpenError> {
        let missing = || StoreError::Refused("no region is the master".into());
        let master = config.master().and_then(|region| regions.get(&region.name)).ok_or_else(missing)?;
        let store = Arc::clone(master);
        // Before the probe, so that a store that is away or refuses us isn't taken for one that lacks a property.
        store.greet().await?;
        let tenant = open_master(&store, config, &keys.tenant, &world).await?;
        // Reads the number plans now rather than with the first deposit.
        tenant.rule_sets.iter().for_each(voicemail_model::RuleSet::prepare);
        let known = tenant.newest_heartbeat();
        let identity = Identity::of(tenant);
        let context = Context::new(config.clone(), identity, keys.tenant, store, regions, world);
        context.begin_trust(known);
        match context.guard_clock().await {
            Err(GuardError::Skew { seconds } | GuardError::Unconfirmed { seconds }) => {
                return Err(OpenError::ClockSkew { seconds });
            }
            // A volume that is read-only can't tell the time; what is stored is served.
            Err(GuardError::Store(error)) if error.is_hindrance() => {}
            Err(GuardError::Store(error)) => return Err(error.into()),
            Ok(()) => {}
        }
        check_restore(&context).await?;
        open_others(&context).await?;
        for (name, store) in context.regions() {
            if let Err(error) = store.tend().await {
                tracing::warn!(region = name, reason = error.reason(), %error, "no room could be reserved yet");
            }
        }
        let core = Self::over(context, Arc::new(keys.receipt));
        core.gdpr.look_for_cases().await?;
        Ok(core)
    }

    /// The services over a tenant that is open.
    pub fn over(context: Context, receipts: Arc<ReceiptKey>) -> Self {
        Self {
            mailboxes: Mailboxes::new(context.clone()),
            directory: Directory::new(context.clone()),
            gdpr: Gdpr::new(context.clone(), receipts),
            context,
            lost: Mutex::default(),
        }
    }

    /// The holder of a token that was given for a PIN.
    ///
    /// # Errors
    /// Why it isn't accepted.
    pub fn read_mailbox_token(&self, bearer: &str) -> Result<Principal, MailboxTokenError> {
        MailboxToken::read(self.context.key(), bearer, self.context.world().now())
    }

    /// Whether this core can serve now.
    pub async fn readiness(&self) -> Readiness {
        let store_id = Some(self.context.identity().store_id.clone());
        let not = |reason: &str, message: String| Readiness {
            store_id: store_id.clone(),
            regions: list_health(&self.context),
            ..Readiness::not(reason, message)
        };
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((reason, message)) = lost {
            return not(reason, message);
        }
        match self.context.guard_clock().await {
            Err(error @ (GuardError::Skew { .. } | GuardError::Unconfirmed { .. })) => {
                not("ClockSkew", error.to_string())
            }
            Err(GuardError::Store(error)) => match Hindrance::of(&error) {
                Some(hindrance) => self.serving(Some(hindrance)),
                None => not(OpenError::from(error.clone()).reason(), error.to_string()),
            },
            Ok(()) => self.serving(find_hindrance(&self.context)),
        }
    }

    /// Listening goes on, whatever keeps new messages out: a replica that left the Service would help nobody.
    fn serving(&self, hindrance: Option<Hindrance>) -> Readiness {
        Readiness {
            ready: true,
            reason: Some(hindrance.as_ref().map_or("Ready", Hindrance::reason).into()),
            message: Some(hindrance.map_or_else(|| "serving".into(), |found| found.message())),
            store_id: Some(self.context.identity().store_id.clone()),
            regions: list_health(&self.context),
            gdpr_mark: Some(self.gdpr.mark()),
            ..Readiness::default()
        }
    }

    /// The obstacle to writing of each region's store.
    pub fn hindrances(&self) -> Vec<(String, Option<Hindrance>)> {
        self.context.regions().map(|(name, store)| (name.clone(), store.hindrance())).collect()
    }

    /// Waits until the store turns out to have been restored from a backup, and says what was seen.
    pub async fn await_restore(&self) -> String {
        await_restore(&self.context).await
    }

    /// Sweeps and keeps this cluster's registration fresh, until cancelled.
    pub async fn run_sweeper(&self, stop: CancellationToken) {
        let sweeper = Sweeper::new(self.context.clone(), self.gdpr.clone());
        tokio::select! {
            () = sweeper.run() => {}
            () = self.keep_registered() => {}
            () = self.watch_ownership() => {}
            () = watch(&self.context) => {}
            () = stop.cancelled() => {}
        }
        write_pending(&self.context).await;
    }

    /// Keeps MWI states right and announces them, until the future is dropped: as long as anything may change.
    pub async fn run_mwi(&self) {
        self.context.mwi().run(&self.context).await;
    }

    /// Leaves MWI states that aren't delivered yet to other replicas, once nothing changes any more.
    ///
    /// # Errors
    /// The store's; then a start or a change of the mailbox sends them.
    pub async fn leave_mwi(&self) -> Result<(), StoreError> {
        self.context.mwi().leave_deliveries(&self.context).await
    }

    async fn keep_registered(&self) {
        loop {
            self.context.world().sleep(HEARTBEAT).await;
            if let Err(error) = self.renew_registration().await {
                tracing::warn!(reason = error.reason(), %error, "this cluster's registration wasn't renewed");
            }
        }
    }

    /// Looks whether the store is this tenant's still: it may be emptied by hand, or given to another.
    async fn watch_ownership(&self) {
        loop {
            self.context.world().sleep(OWNERSHIP).await;
            self.check_ownership().await;
        }
    }

    /// A store that doesn't answer leaves what was known.
    pub async fn check_ownership(&self) {
        let found = self.context.documents().load::<TenantDocument>(&Key::tenant()).await;
        let Ok(found) = found else { return };
        let config = self.context.config();
        let opening = opening(&config, self.context.key());
        let lost = match found {
            None => Some(("StoreGone", STORE_GONE.to_owned())),
            Some(tenant) => tenant.check_serving(&opening).err().map(|error| {
                let words = error.to_string();
                (OpenError::from(error).reason(), words)
            }),
        };
        if let Some((reason, message)) = &lost {
            tracing::error!(reason, message, "this core serves no more");
        }
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = lost;
    }

    async fn renew_registration(&self) -> Result<(), OpenError> {
        let config = self.context.config();
        let tenant =
            register(self.context.documents(), &config, self.context.key(), self.context.trusts_clock())
                .await?;
        self.context.set_identity(tenant);
        Ok(())
    }

    /// Registers the rule set and the classes of service of the configuration in force, if a reload brought what the
    /// tenant document doesn't hold yet. Until it does, deposits are filed by the rules before. True if the rules were new.
    ///
    /// # Errors
    /// The store's, or that the store isn't this tenant's any more; call it again.
    pub async fn ensure_rules(&self) -> Result<bool, OpenError> {
        let missing = !self.context.has_own_rules();
        if missing || !self.context.has_own_classes() {
            self.renew_registration().await?;
        }
        Ok(missing)
    }
}

fn label(region: &RegionConfig) -> StoreLabels {
    let account = match &region.storage {
        StorageConfig::Volume { .. } => region.name.clone(),
        StorageConfig::AzureBlob(azure) => azure.account.clone(),
        StorageConfig::S3(s3) => s3.bucket.clone(),
    };
    StoreLabels { region: region.name.clone(), account, master: region.master }
}

/// Opens all regions but the master. A region that is away doesn't keep the tenant from being served; one that is
/// wrong does if this cluster puts its audio there.
async fn open_others(context: &Context) -> Result<(), OpenError> {
    let store_id = context.identity().store_id.clone();
    for (name, store) in context.regions().skip(1) {
        let Err(error) = open_region(context, store.as_ref(), name, &store_id).await else {
            continue;
        };
        if *name == context.config().region && error.class() == ErrorClass::Permanent {
            return Err(error);
        }
        tracing::warn!(region = name, reason = error.reason(), %error, "the region isn't open yet");
        context.region_statuses().note(name, Some(RegionStatus::Unopened(error.to_string())));
    }
    Ok(())
}
