//! A tenant in use, to which something happens: what is measured, and what must hold afterwards.
//!
//! Flow: [`Scene::begin`], the fault, [`Scene::end`], which waits until the tenant is Ready and the operator has mended
//! a child that was deleted, plays every message, and counts the operator's writes: few until then, none in a quiet
//! time after.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::served_tenant::{MAILBOX, serve};
use crate::stage::{Deposits, People, Promise, check_promises};
use crate::tenant_manifest::tenant_on;
use crate::tenant_place::TenantPlace;
use bytes::Bytes;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::ConditionStatus;
use voicemail_test_cluster::AuditLog;
use voicemail_test_cluster::operator_audit::{mutations, settle};
use voicemail_test_cluster::wait::wait_until;
use voicemail_test_machine::speech::{Coding, Studio};

/// The child that is deleted to see the operator work.
const BROKEN: &str = "acme-voicemail-headless";
/// For whatever has to come back.
pub const PATIENT: Duration = Duration::from_secs(240);
/// Writes that a fault may cost: conditions that come and go, the child made again, and some repetitions.
const MOST_WRITES: usize = 25;
/// As long nothing may be written afterwards.
const QUIET: Duration = Duration::from_secs(8);

/// The tenant and what was promised to its callers.
pub struct Scene {
    /// Who uses it.
    pub served: People,
    /// The deposited recording.
    pub audio: Bytes,
    /// All messages that were acknowledged.
    pub promises: Vec<Promise>,
    rows: Vec<String>,
    /// Where it is; last, since it takes all else away.
    pub place: TenantPlace,
}

/// A fault under way.
pub struct Begun {
    name: String,
    at: Instant,
    log: AuditLog,
    broken: Option<String>,
}

impl Scene {
    /// A tenant on a volume with so many pods and one message.
    pub async fn on_volume(prefix: &str, replicas: i32) -> Result<Self> {
        voicemail_test_machine::install_crypto();
        let mut place = TenantPlace::prepare(prefix).await?;
        let (volume, _) = place.create_volume().await?;
        Self::create(place, tenant_on("acme", &volume)?, replicas).await
    }

    /// That tenant, likewise.
    pub async fn create(place: TenantPlace, mut tenant: VoicemailTenant, replicas: i32) -> Result<Self> {
        tenant.spec.replicas = replicas;
        let served = serve(&place, tenant).await?;
        let audio = Studio::open()?.speak("please call me back", Coding::ALaw)?;
        let mut scene = Self { served, audio, promises: Vec::new(), rows: Vec::new(), place };
        scene.keep(scene.leave_messages(1, 1), 1).await?;
        Ok(scene)
    }

    /// Callers who leave messages one after the other, and how many each at most.
    pub fn leave_messages(&self, callers: usize, at_most: usize) -> Deposits {
        Deposits::start(&self.served.media_server, MAILBOX, &self.audio, callers, at_most)
    }

    /// Ends the deposits once so many more are acknowledged; what their callers were promised counts from now on.
    pub async fn keep(&mut self, deposits: Deposits, more: u32) -> Result<()> {
        deposits.wait_for_more(more).await?;
        self.promises.extend(deposits.stop().await?.promises);
        Ok(())
    }

    /// Callers whose messages can't be stored: none is acknowledged until the tenant's condition says so.
    pub async fn deposit_in_vain(&self, condition: &str, reason: &str) -> Result<Deposits> {
        let refused = self.leave_messages(1, 1);
        self.place.wait_condition("acme", condition, ConditionStatus::False, reason).await?;
        ensure!(refused.acknowledged() == 0, "a message was acknowledged that can't be stored");
        Ok(refused)
    }

    /// From now on it is measured.
    pub async fn begin(&self, name: &str) -> Result<Begun> {
        let services = self.place.namespace.api::<Service>();
        Ok(Begun {
            name: name.to_owned(),
            at: Instant::now(),
            log: self.place.cluster.audit_log()?,
            broken: services.get(BROKEN).await?.uid(),
        })
    }

    /// Deletes a child, as work for the operator.
    pub fn break_a_child(&self) -> Result<()> {
        self.place.kubectl(&["delete", "service", BROKEN, "--wait=false"]).map(drop)
    }

    /// The fault is over: waits until everything is as before, and checks that it is.
    pub async fn end(&mut self, begun: Begun) -> Result<()> {
        let services = self.place.namespace.api::<Service>();
        let present = services.get_opt(BROKEN).await?.and_then(|service| service.uid());
        if present == begun.broken {
            self.break_a_child()?;
        }
        let mended = |service: &Service| service.uid() != begun.broken;
        wait_until(&services, BROKEN, "the operator has mended it", PATIENT, mended).await?;
        self.place.wait_ready("acme").await?;
        let elapsed = begun.at.elapsed();
        self.keep(self.leave_messages(1, 1), 1).await?;
        check_promises(&self.served.agent, &self.promises).await?;
        let writes = self.count_writes(&begun.log).await?;
        ensure!(writes.len() <= MOST_WRITES, "{}: a hot loop: {writes:?}", begun.name);
        self.wait_quiet(&begun.name).await?;
        self.rows.push(format!(
            "| {} | as before after {:.1} s | {} writes, then none | {} messages play |",
            begun.name,
            elapsed.as_secs_f64(),
            writes.len(),
            self.promises.len()
        ));
        Ok(())
    }

    async fn count_writes(&self, log: &AuditLog) -> Result<Vec<String>> {
        settle(&self.place.cluster, log, self.place.namespace.name()).await?;
        mutations(log, &self.place.identity.username())
    }

    /// There is a while without a write; what is still on its way may end first.
    async fn wait_quiet(&self, name: &str) -> Result<()> {
        let (end, world) = (Instant::now() + PATIENT, voicemail_store::real_world());
        loop {
            let log = self.place.cluster.audit_log()?;
            world.sleep(QUIET).await;
            let writes = self.count_writes(&log).await?;
            if writes.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{name}: it never gets quiet: {writes:?}");
        }
    }

    /// The table of all faults.
    pub fn print(&self) {
        println!("| fault | recovered | operator's writes | messages |\n|---|---|---|---|");
        self.rows.iter().for_each(|row| println!("{row}"));
    }
}
