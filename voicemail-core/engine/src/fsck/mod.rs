//! An independent check of every invariant over a whole store, through the store's trait alone.
//!
//! Flow: [`check`] walks every prefix; each key is looked at by the file for its kind, against what it
//! refers to. Running cores change things meanwhile, so whatever looks wrong is looked at again at the end,
//! and only what is wrong both times is a [`Finding`]. Memory: one mailbox, a few bytes for each due item's
//! mailbox, and the keys that look wrong. Nothing here calls the services that it checks but [`repair`], which
//! ends what they left undone by their own steps.
//!
//! What can go wrong: the store fails; then nothing is concluded from what wasn't seen. What the trait doesn't
//! show can't be checked: times of a volume's temporary files (the cores remove them), and names that stand beside the known prefixes.

mod audio;
mod dues;
mod envelope;
mod finding;
mod gdpr;
mod greeting;
mod mailbox;
mod other;
mod read;
mod refile;
mod repair;

pub use finding::{Code, Finding, Severity};
pub use repair::repair;

use crate::context::Context;
use crate::gdpr::GdprError;
use dues::DueSummary;
use futures::TryStreamExt;
use read::Read;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::LedgerHead;
use voicemail_api::proofs::{Chain, find_broken};
use voicemail_model::{Index, MailboxId, Time};
use voicemail_store::{Family, Key, Store, StoreError};

/// Running cores complete or remove the remains of crashes within this time.
const GRACE: Duration = Duration::from_secs(3_600);
/// Audio that no envelope names is kept for a day by the cores, which look for it daily.
const AUDIO_GRACE: Duration = Duration::from_secs(2 * 86_400);
/// The number of objects checked and their state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Keys looked at, by the first part of their name.
    pub checked: BTreeMap<String, u64>,
    /// Findings that a person should look at, by code.
    pub findings: BTreeMap<&'static str, u64>,
    /// Other facts worth knowing, by code.
    pub notes: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, finding: &Finding) {
        let counts = match finding.severity {
            Severity::Note => &mut self.notes,
            _ => &mut self.findings,
        };
        *counts.entry(finding.code.slug()).or_default() += 1;
    }
}

/// A key in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    region: String,
    key: String,
}

struct Checker<'a> {
    context: &'a Context,
    dues: DueSummary,
    now: Time,
    /// The index looked at last: envelopes and audio of a mailbox often follow one another.
    latest: Option<(MailboxId, Arc<Read<Index>>)>,
}

/// Checks a tenant's stores.
///
/// # Errors
/// The store's: what was found so far was handed to `show`, but the check isn't complete.
pub async fn check(context: &Context, mut show: impl FnMut(&Finding)) -> Result<Summary, StoreError> {
    let mut summary = Summary::default();
    let mut checker = Checker::new(context).await?;
    let unpruned = context.store().unpruned().await?;
    let suspects = checker.walk(&mut summary).await?;
    // A fresh look: what was under way has ended, or has gone on.
    let mut again = Checker::new(context).await?;
    for (place, first) in suspects {
        let second = again.look(&place).await?;
        for finding in second.into_iter().filter(|finding| first.contains(finding)) {
            summary.add(&finding);
            show(&finding);
        }
    }
    for finding in check_chains(context).await? {
        summary.add(&finding);
        show(&finding);
    }
    let still = context.store().unpruned().await?;
    for key in unpruned.iter().filter(|key| still.contains(key)) {
        let finding = Finding::new(Code::Unpruned, key);
        summary.add(&finding);
        show(&finding);
    }
    Ok(summary)
}

/// Each chain that has a gap, or doesn't end where the head outside the store says. A head that can't be decoded is a
/// finding of its own; nothing follows from it.
async fn check_chains(context: &Context) -> Result<Vec<Finding>, StoreError> {
    let proofs = match crate::gdpr::proofs(context).await {
        Ok(proofs) => proofs,
        Err(GdprError::Store(StoreError::Undecodable { .. })) => return Ok(Vec::new()),
        Err(GdprError::Store(error)) => return Err(error),
        Err(error) => return Err(StoreError::Refused(error.to_string())),
    };
    let config = context.config();
    let kept = config.gdpr.expected_head.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let kept: Option<LedgerHead> = kept.and_then(|text| serde_json::from_str(&text).ok());
    let finding = |chain: Chain| {
        let family = match chain {
            Chain::Receipts => Family::Receipts,
            Chain::Seals => Family::Seal,
        };
        Finding::new(Code::BrokenChain, Key::chain_head(family.segment()))
    };
    Ok(find_broken(&proofs, kept.as_ref()).into_iter().map(finding).collect())
}

impl<'a> Checker<'a> {
    async fn new(context: &'a Context) -> Result<Self, StoreError> {
        let now = context.world().now();
        Ok(Self { context, dues: DueSummary::read(context.store()).await?, now, latest: None })
    }

    fn store(&self) -> &dyn Store {
        self.context.store()
    }

    /// All keys; gives those at which something looks wrong.
    async fn walk(&mut self, summary: &mut Summary) -> Result<Vec<(Place, Vec<Finding>)>, StoreError> {
        let mut suspects = Vec::new();
        let context = self.context;
        let master = context.config().master().map(|region| region.name.clone()).unwrap_or_default();
        for family in Family::in_region(true).filter(|family| family.is_single()) {
            let key = family.prefix().into();
            self.visit(Place { region: master.clone(), key }, summary, &mut suspects).await?;
        }
        for (region, store) in context.regions() {
            for family in Family::in_region(*region == master).filter(|family| !family.is_single()) {
                let mut keys = store.list(family.prefix());
                while let Some(key) = keys.try_next().await? {
                    self.visit(Place { region: region.clone(), key }, summary, &mut suspects).await?;
                }
            }
        }
        Ok(suspects)
    }

    async fn visit(
        &mut self,
        place: Place,
        summary: &mut Summary,
        suspects: &mut Vec<(Place, Vec<Finding>)>,
    ) -> Result<(), StoreError> {
        let kind = place.key.split('/').next().unwrap_or_default().to_owned();
        *summary.checked.entry(kind).or_default() += 1;
        let findings = self.look(&place).await?;
        if !findings.is_empty() {
            suspects.push((place, findings));
        }
        Ok(())
    }

    async fn look(&mut self, place: &Place) -> Result<Vec<Finding>, StoreError> {
        let Some(key) = Key::listed(&place.key) else {
            return Ok(vec![Finding::new(Code::ForeignKey, &place.key)]);
        };
        match Family::of(&place.key) {
            Some(Family::Mailbox) => self.check_mailbox(&key).await,
            Some(Family::Envelope) => self.check_envelope(&key).await,
            Some(Family::Audio) => self.check_audio(&place.region, &key).await,
            Some(Family::Mark) => self.check_mark(&key).await,
            Some(Family::Run) => self.check_gdpr(&key).await,
            Some(Family::Due) => self.check_due(&key).await,
            Some(Family::Greeting) => self.check_greeting(&key).await,
            Some(Family::Greetings) => self.check_tenant_greetings(&key).await,
            Some(
                Family::Tenant
                | Family::User
                | Family::Group
                | Family::DepositKey
                | Family::Receipts
                | Family::Ledger
                | Family::Register
                | Family::Fronts
                | Family::Delivery
                | Family::Mailing
                | Family::Audit
                | Family::Seal
                | Family::Probe
                | Family::Quarantine
                | Family::Region,
            )
            | None => self.check_other(&key).await,
        }
    }

    async fn index(&mut self, mailbox: &MailboxId) -> Result<Arc<Read<Index>>, StoreError> {
        if let Some((_, index)) = self.latest.as_ref().filter(|(latest, _)| latest == mailbox) {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(read::document(self.store(), &Key::index(mailbox)).await?);
        self.latest = Some((mailbox.clone(), Arc::clone(&index)));
        Ok(index)
    }
}
