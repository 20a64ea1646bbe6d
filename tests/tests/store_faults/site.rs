//! A tenant of its own in a folder of a store: a core that reaches it through a proxy, and a straight way beside it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use object_store::{ObjectStore, ObjectStoreExt};
use voicemail_api::config::{RegionConfig, StorageConfig, TenantConfig};
use voicemail_engine::core::{Core, RELEASE, TenantKeys, opening};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_model::clock::{Surroundings, World};
use voicemail_model::{TenantDocument, TenantKey, Time};
use voicemail_store::documents::{Decision, Documents};
use voicemail_store::hedge::{Hedges, Watch, places_for};
use voicemail_store::object::{ObjectBackend, UploadBudget};
use voicemail_store::retry::RetryStore;
use voicemail_store::{Key, Store, make_store};
use voicemail_test_machine::fault_proxy::{Dialect, FaultProxy};
use voicemail_test_machine::servers::loopback;
use voicemail_test_machine::servers::{AzureEndpoint, S3Endpoint};
use voicemail_test_stores::object_stores::{ObjectPlace, TENANT};

const BUCKET: &str = "faulty";
/// Waiting is played this much faster, the time limit of a call included: 5 s become 250 ms.
const HASTE: u32 = 20;

/// How a tenant's store is opened.
type Opening<'a> = &'a (dyn Fn(&TenantConfig, &ObjectPlace, &World) -> Arc<dyn Store> + Sync);

/// The server and where it is.
pub(crate) struct Ground {
    kind: Kind,
    address: SocketAddr,
}

enum Kind {
    S3(S3Endpoint),
    Azure(AzureEndpoint),
}

impl Ground {
    pub(crate) async fn s3(endpoint: S3Endpoint, address: SocketAddr) -> Self {
        voicemail_test_machine::install_crypto();
        endpoint.admin().unwrap().create_bucket(BUCKET).await.unwrap();
        Self { kind: Kind::S3(endpoint), address }
    }

    pub(crate) async fn azure(endpoint: AzureEndpoint, address: SocketAddr) -> Self {
        voicemail_test_machine::install_crypto();
        endpoint.admin().unwrap().create_container(BUCKET).await.unwrap();
        Self { kind: Kind::Azure(endpoint), address }
    }

    fn dialect(&self) -> Dialect {
        match &self.kind {
            Kind::S3(_) => Dialect::S3,
            Kind::Azure(_) => Dialect::Azure,
        }
    }

    /// A folder of the bucket as it is reached at that address.
    fn place(&self, at: SocketAddr, folder: &str) -> ObjectPlace {
        match &self.kind {
            Kind::S3(endpoint) => ObjectPlace::in_bucket(&endpoint.at(at), BUCKET, folder).unwrap(),
            Kind::Azure(endpoint) => {
                let mut place = ObjectPlace::in_container(&endpoint.at(at), BUCKET).unwrap();
                if let StorageConfig::AzureBlob(azure) = &mut place.storage {
                    azure.prefix = Some(folder.into());
                }
                place
            }
        }
    }

    /// The bucket without our store's rules.
    pub(crate) fn bare(&self) -> Arc<dyn ObjectStore> {
        match &self.kind {
            Kind::S3(endpoint) => Arc::new(endpoint.builder(BUCKET).build().unwrap()),
            Kind::Azure(endpoint) => Arc::new(endpoint.builder(BUCKET).build().unwrap()),
        }
    }
}

/// The machine's clock, which a test may move ahead, and waiting in haste once the tenant is open: a slow server's
/// answers to its start take longer than 250 ms.
pub(crate) struct Hasty {
    start: Instant,
    ahead: Arc<AtomicI64>,
    is_open: Arc<AtomicBool>,
    haste: u32,
}

impl Surroundings for Hasty {
    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Time(i64::try_from(since.as_millis()).unwrap() + self.ahead.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let haste = if self.is_open.load(Ordering::SeqCst) { self.haste } else { 1 };
        Box::pin(tokio::time::sleep(duration / haste))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).unwrap();
    }
}

/// One tenant.
pub(crate) struct Site {
    pub(crate) proxy: FaultProxy,
    pub(crate) core: Core,
    pub(crate) config: TenantConfig,
    pub(crate) world: World,
    /// The store on the straight way.
    pub(crate) straight: Arc<dyn Store>,
    bare: Arc<dyn ObjectStore>,
    folder: String,
    ahead: Arc<AtomicI64>,
    _keys: [ObjectPlace; 2],
}

/// The keys of every tenant here.
pub(crate) fn keys() -> TenantKeys {
    static RECEIPT: OnceLock<String> = OnceLock::new();
    let pem =
        RECEIPT.get_or_init(|| rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem());
    TenantKeys { tenant: TenantKey::new(&[7; 32]).unwrap(), receipt: ReceiptKey::from_pem(pem).unwrap() }
}

/// With the limits of a store that hangs, and without second tries: waiting in haste says nothing of what is usual.
fn open_store(_: &TenantConfig, place: &ObjectPlace, world: &World) -> Arc<dyn Store> {
    let budget = UploadBudget::new(16);
    let store = match &place.storage {
        StorageConfig::S3(s3) => ObjectBackend::open_s3(s3, TENANT, budget, world),
        StorageConfig::AzureBlob(azure) => ObjectBackend::open_azure(azure, TENANT, budget, world),
        StorageConfig::Volume { .. } => panic!("a volume is no object store"),
    };
    Arc::new(RetryStore::new(Arc::new(store.unwrap()), world.clone()))
}

fn configure(storage: &StorageConfig) -> TenantConfig {
    let mut config = TenantConfig::parse(include_str!("../../../examples/standalone.yaml")).unwrap();
    config.tenant_id = TENANT.into();
    config.regions =
        vec![RegionConfig { name: config.region.clone(), master: true, storage: storage.clone() }];
    config.classes_of_service.iter_mut().for_each(|class| {
        class.trash_hours = 0;
        class.max_messages = 1_000;
    });
    config
}

/// Puts the tenant document of a core that was here before: the races of a first start have tests of their own, and
/// are some hundred requests.
async fn open_before(store: &Arc<dyn Store>, config: &TenantConfig, world: &World) {
    let key = keys().tenant;
    let mut tenant = TenantDocument::new(&opening(config, &key), "store-of-a-life".into());
    tenant.note_probed(&config.regions[0].storage.identity(), RELEASE, world.now());
    let documents = Documents::new(Arc::clone(store), world.clone());
    let put = |_: Option<TenantDocument>, _| Decision::Write(tenant.clone(), ());
    documents.update(&Key::tenant(), put).await.unwrap();
}

impl Site {
    /// A tenant in a folder without messages.
    pub(crate) async fn open(ground: &Ground, folder: &str) -> Self {
        Self::open_by(ground, folder, HASTE, &open_store).await
    }

    /// The same by the store that the product opens, with waiting as it is.
    pub(crate) async fn open_hedged(ground: &Ground, folder: &str, watch: &Watch) -> Self {
        let open = |config: &TenantConfig, place: &ObjectPlace, world: &World| {
            let places = places_for(config.store_calls);
            let hedges = Hedges::new(world.clone(), places, Arc::clone(watch));
            make_store(config, &place.storage, world, hedges).unwrap()
        };
        Self::open_by(ground, folder, 1, &open).await
    }

    async fn open_by(ground: &Ground, folder: &str, haste: u32, open: Opening<'_>) -> Self {
        let proxy = FaultProxy::start(loopback(), ground.address, ground.dialect()).await.unwrap();
        let ahead = Arc::new(AtomicI64::new(0));
        let is_open = Arc::new(AtomicBool::new(false));
        let start = Instant::now();
        let world =
            World::new(Hasty { start, ahead: Arc::clone(&ahead), is_open: Arc::clone(&is_open), haste });
        let (faulty, straight_place) =
            (ground.place(proxy.address(), folder), ground.place(ground.address, folder));
        let config = configure(&faulty.storage);
        let regions = BTreeMap::from([(config.region.clone(), open(&config, &faulty, &world))]);
        let straight = open_store(&config, &straight_place, &world);
        open_before(&straight, &config, &world).await;
        let core = Core::open_on(&config, keys(), regions, world.clone()).await.unwrap();
        is_open.store(true, Ordering::SeqCst);
        proxy.clear_seen();
        Self {
            proxy,
            core,
            config,
            straight,
            world,
            bare: ground.bare(),
            folder: folder.into(),
            ahead,
            _keys: [faulty, straight_place],
        }
    }

    /// Moves this replica's clock, by less than what is taken for a wrong one.
    pub(crate) fn pass(&self, time: Duration) {
        self.ahead.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Removes everything below the folder, so that the server stays small.
    pub(crate) async fn clear(self) {
        let folder = object_store::path::Path::from(self.folder.as_str());
        let found: Vec<_> = self.bare.list(Some(&folder)).try_collect().await.unwrap();
        for object in found {
            self.bare.delete(&object.location).await.unwrap();
        }
    }
}
