//! A chain of numbered, immutable links, each made with the hash of the one before: receipts, seals, and the ledger.
//!
//! ```text
//! <chain>/head  document: {number, hash, pending}      <chain>/00…07  object: link 7, never changed
//! ```
//!
//! A link is decided by one conditional write of the head, which holds it as `pending` until its objects are
//! written and, in the ledger, the run knows its number. A worker that finds a pending link completes it first: so a
//! crash or a lost reply leaves neither a gap nor a second link of a number, two workers of one erasure don't enter it
//! twice, and the head's size doesn't grow with the chain.
//!
//! An addition changes the head without another read of what it has just read or written itself: whether that is still
//! the one in the store, the conditional write says.

use super::runs::load_run;
use super::{GdprError, ledger};
use crate::context::Context;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use voicemail_api::gdpr::{ReceiptsHead, RunState};
use voicemail_model::RunId;
use voicemail_store::Family;
use voicemail_store::documents::{Cache, Decision};
use voicemail_store::retry_until_known::ensure;
use voicemail_store::{Key, StoreError};

/// The receipts' hashes.
pub(super) const RECEIPTS: &str = Family::Receipts.segment();
/// The ledger of erasures.
pub(super) const LEDGER: &str = Family::Ledger.segment();

/// Seals of the audit log.
pub(crate) const SEALS: &str = Family::Seal.segment();

/// Newest link of a chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainHead {
    /// Its number; 0 when there is none.
    pub(crate) number: u64,
    /// Its hash, in hex; empty when there is none.
    pub(crate) hash: String,
    /// The link's objects, until they are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<Pending>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub(crate) unknown: Map<String, Value>,
}

impl ChainHead {
    /// The newest link as others know it; none where there is no link yet.
    pub(super) fn newest(self) -> Option<ReceiptsHead> {
        (self.number > 0).then_some(ReceiptsHead { number: self.number, hash: self.hash })
    }
}

/// A link that may not be written yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The link's text.
    link: String,
    /// Another object that goes with it: its key and its text.
    beside: Option<(String, String)>,
    /// Fields of newer versions.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// A link as its maker describes it.
#[derive(Clone)]
pub(super) struct Link {
    /// The hash that the next link will refer to.
    pub(super) hash: String,
    /// The object in the chain.
    pub(super) text: String,
    /// Another object.
    pub(super) beside: Option<(Key, String)>,
}

/// SHA-256 in hex.
pub(super) fn hash(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}

/// A chain in the hands of one operation, which remembers the head that it read or wrote last.
struct Chain<'a> {
    context: &'a Context,
    name: &'a str,
    known: Cache<ChainHead>,
}

/// The newest link, completed.
pub(super) async fn read_head(context: &Context, chain: &str) -> Result<ChainHead, StoreError> {
    Chain::new(context, chain).read_head().await
}

impl<'a> Chain<'a> {
    fn new(context: &'a Context, name: &'a str) -> Self {
        Self { context, name, known: Cache::new(1, |_| 1) }
    }

    async fn read_head(&self) -> Result<ChainHead, StoreError> {
        let key = Key::chain_head(self.name);
        let Some((head, _)) = self.context.documents().load_known(&self.known, &key).await? else {
            return Ok(ChainHead::default());
        };
        let mut head = head.as_ref().clone();
        if let Some(pending) = head.pending.take() {
            self.complete(head.number, &pending).await?;
        }
        Ok(head)
    }

    /// Writes a pending link's objects, lets its run know, and takes it from the head.
    async fn complete(&self, number: u64, pending: &Pending) -> Result<(), StoreError> {
        write(self.context, self.name, number, pending).await?;
        if self.name == LEDGER {
            ledger::note_entered(self.context, number, &pending.link).await?;
        }
        let strip = |found: Option<ChainHead>, _| match found {
            Some(mut found) if found.number == number && found.pending.is_some() => {
                found.pending = None;
                Decision::Write(found, ())
            }
            _ => Decision::Keep(()),
        };
        let key = Key::chain_head(self.name);
        self.context.documents().update_known(&self.known, &key, strip).await
    }
}

async fn write(context: &Context, chain: &str, number: u64, pending: &Pending) -> Result<(), StoreError> {
    let (store, world) = (context.store(), context.world());
    let beside = async {
        let Some((key, text)) = &pending.beside else { return Ok(()) };
        let key = Key::listed(key).ok_or_else(|| StoreError::Refused("a chain names no key".into()))?;
        ensure(store, world, &key, &text.clone().into()).await
    };
    let (link, text) = (Key::chain_link(chain, number), pending.link.clone().into());
    tokio::try_join!(beside, ensure(store, world, &link, &text)).map(drop)
}

/// The evidence that a link was made before.
pub(super) enum Once<'a> {
    /// An object that goes with it.
    Object(&'a Key),
    /// The run knows its number, or is no more.
    Entered(&'a RunId),
    /// The run knows that it was entered in this state, or is no more.
    Promised(&'a RunId, RunState),
    /// Nothing: twice does no harm.
    Never,
}

impl Once<'_> {
    async fn is_done(&self, context: &Context) -> Result<bool, StoreError> {
        Ok(match self {
            Self::Object(key) => context.store().get(key).await?.is_some(),
            Self::Never => false,
            Self::Promised(run, state) => {
                load_run(context, run).await?.is_none_or(|run| run.promised == Some(*state))
            }
            Self::Entered(run) => load_run(context, run).await?.is_none_or(|run| run.epoch.is_some()),
        })
    }
}

/// Adds a link unless it is there already, which is asked whenever the head has moved. Gives its number; `None` if
/// it was there. `first` is the number before the first.
pub(super) async fn append<F>(
    context: &Context,
    chain: &str,
    first: impl Future<Output = Result<u64, StoreError>> + Send,
    once: Once<'_>,
    make: F,
) -> Result<Option<u64>, GdprError>
where
    F: Fn(u64, &str) -> Result<Link, StoreError> + Send + Sync,
{
    let chain = Chain::new(context, chain);
    // It says no more than where a chain begins, so that it may be of a moment ago.
    let (first, mut head) = tokio::try_join!(first, chain.read_head())?;
    loop {
        if once.is_done(context).await? {
            return Ok(None);
        }
        let number = head.number.max(first) + 1;
        let link = make(number, &head.hash)?;
        let advance = |found: Option<ChainHead>, _| {
            let mut found = found.unwrap_or_default();
            if found.number != head.number || found.pending.is_some() {
                return Decision::Keep(None);
            }
            let beside = link.beside.as_ref().map(|(key, text)| (key.as_str().to_owned(), text.clone()));
            let pending = Pending { link: link.text.clone(), beside, unknown: Map::new() };
            found.pending = Some(pending.clone());
            (found.number, found.hash) = (number, link.hash.clone());
            Decision::Write(found, Some(pending))
        };
        let key = Key::chain_head(chain.name);
        let moved = context.documents().update_known(&chain.known, &key, advance).await?;
        if let Some(pending) = moved {
            chain.complete(number, &pending).await?;
            return Ok(Some(number));
        }
        head = chain.read_head().await?;
    }
}
