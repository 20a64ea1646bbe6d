//! The store: one narrow trait with one meaning on every back end, and the back ends.
//!
//! Two kinds of thing are stored. *Objects* are immutable: audio, envelopes, due items, manifests.
//! *Documents* are replaced as a whole, only if unchanged: indexes, settings, marks, runs. Names are
//! relative to the tenant's prefix. All that is more than one call is built on top: see
//! [`documents`] for compare-and-swap with nonces.
//!
//! What can go wrong: every write may fail *unclear*: applied or not, nobody knows. Callers read back.

pub mod codec;
pub mod documents;
mod error;
pub mod hedge;
mod hindrance;
mod key;
mod layout;
mod machine;
mod make;
pub mod memory;
pub mod object;
pub mod probe;
mod races;
pub mod read_only;
pub mod report;
pub mod retry;
pub mod retry_until_known;
pub mod turns;
pub mod volume;

pub use error::{StoreError, WriteRefusal};
pub use hindrance::Hindrance;
pub use key::Key;
pub use key::{parse_envelope, parse_index, parse_mailing};
pub use layout::{Family, Kind, Scope};
pub use machine::real_world;
pub use make::make_store;
pub use voicemail_api::ErrorClass;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::ops::Range;
use voicemail_model::{CallerTag, Time};

/// Identifies one state of a document: an ETag, or a number on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(pub String);

/// A document's bytes and the revision they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The document.
    pub bytes: Bytes,
    /// Its revision.
    pub revision: Revision,
}

/// The current state of a document that was read before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// There is none.
    Missing,
    /// It is still of the revision known.
    Unchanged,
    /// It is another revision.
    Changed(Versioned),
}

/// Bytes on their way into the store; an error item aborts the write and leaves nothing behind.
pub type BodyStream = BoxStream<'static, Result<Bytes, BodyError>>;

/// Why a body on its way in can't be stored: the message is for the caller who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It isn't what it should be.
    #[error("{0}")]
    Invalid(String),
    /// It is longer or larger than allowed.
    #[error("{0}")]
    TooLong(String),
    /// It stopped before its end.
    #[error("{0}")]
    Interrupted(String),
}

/// An object's bytes on their way out.
pub struct ObjectBody {
    /// Size of the whole object.
    pub size: u64,
    /// The range asked for, or all.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

/// Keys below a prefix, in order.
pub type KeyStream<'a> = BoxStream<'a, Result<String, StoreError>>;

/// Which documents' superseded states are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History<'a> {
    /// One document's.
    Of(&'a Key),
    /// The states that may name a caller. A document keeps them wherever its writer died before it pruned them.
    All,
}

/// A setting of a store that keeps copies of what was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// `versions`, `softDelete`, `immutability`, `replication`, or `unknown` for one that can't be read.
    pub kind: &'static str,
    /// For how many days; none if nobody knows.
    pub days: Option<u32>,
}

/// One of two tries to store a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The one that was made anyway.
    First,
    /// The one that was made beside it.
    Second,
}

impl Attempt {
    /// The number of its name among both.
    pub fn number(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// The number of the other one's.
    pub fn other(self) -> usize {
        1 - self.number()
    }
}

/// How a body was stored that could be tried twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// The attempt under whose name it stands.
    pub attempt: Attempt,
    /// Whether both were made, so that something may stand under the other name, or arrive there.
    pub contended: bool,
}

/// One back end, rooted at the tenant's prefix.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// An immutable object, whole; for small ones.
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError>;

    /// An immutable object as a stream, or a range of it. A range past the end is cut.
    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError>;

    /// A document and its revision.
    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError>;

    /// A document, unless it is still of the revision that the caller knows.
    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        Ok(match self.load(key).await? {
            None => Loaded::Missing,
            Some(found) if found.revision == *known => Loaded::Unchanged,
            Some(found) => Loaded::Changed(found),
        })
    }

    /// Keys of objects below a prefix (which ends in `/`), sorted by key. Lazy, so that a reader may stop early. The
    /// empty prefix is the tenant's bare root: all that stands there, also what isn't ours.
    fn list<'a>(&'a self, prefix: &'a str) -> KeyStream<'a> {
        self.list_after(prefix, "")
    }

    /// The keys of [`list`](Self::list) that come after another one in their order, whether that one exists or not. A
    /// store that can begins there; one that can't walks over the names before it.
    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a>;

    /// Writes an object; `StoreError::Exists` if there is one.
    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError>;

    /// As [`create`](Self::create), with the index tag `caller_id` where the store has tags.
    async fn create_tagged(&self, key: &Key, bytes: Bytes, tag: &CallerTag) -> Result<(), StoreError> {
        let _no_tags = tag;
        self.create(key, bytes).await
    }

    /// Writes an object under a name that only this attempt uses; returns its size. A body that fails
    /// is `StoreError::Body` and leaves nothing.
    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError>;

    /// As [`put`](Self::put), with the index tag `caller_id` where the store has tags.
    async fn put_tagged(&self, key: &Key, body: BodyStream, tag: &CallerTag) -> Result<u64, StoreError> {
        let _no_tags = tag;
        self.put(key, body).await
    }

    /// As [`put_tagged`](Self::put_tagged) under the first name; where the store's last answer lasts unusually long and the
    /// bytes are still at hand, they are sent once more beside it, under the second name. See [`hedge::put_attempts`].
    async fn put_attempts(
        &self,
        names: [&Key; 2],
        body: BodyStream,
        tag: &CallerTag,
    ) -> Result<Put, StoreError> {
        self.put_tagged(names[0], body, tag).await?;
        Ok(Put { attempt: Attempt::First, contended: false })
    }

    /// The index tag of an object; `None` without one, or where the store has no tags.
    async fn tag(&self, key: &Key) -> Result<Option<String>, StoreError> {
        let _no_tags = key;
        Ok(None)
    }

    /// Replaces a document if its revision is `basis` (`None`: if there is none), else `StoreError::Conflict`.
    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError>;

    /// Removes an object or a document; a missing one is success.
    async fn delete(&self, key: &Key) -> Result<(), StoreError>;

    /// Removes what the store keeps of states that documents had, of those that were superseded up to then. `Some(time)`:
    /// not all of these can go yet; the rest can then. States superseded later hold nobody up.
    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError>;

    /// Documents of which the store keeps more than one state that could have gone: nobody has pruned them.
    async fn unpruned(&self) -> Result<Vec<String>, StoreError>;

    /// The store's own clock.
    async fn clock(&self) -> Result<Time, StoreError>;

    /// Any call that shows whether the store answers and takes our credentials.
    async fn greet(&self) -> Result<(), StoreError> {
        self.clock().await.map(drop)
    }

    /// Examines properties that no single call shows, such as locks that reach other processes, or settings
    /// that keep what is deleted. It may settle how the store is talked to from then on.
    async fn examine(&self) -> Result<Vec<probe::Finding>, StoreError> {
        Ok(Vec::new())
    }

    /// The mechanisms by which the store keeps deleted objects, as far as its settings can be read and a deletion
    /// doesn't remove them. Every store says it: one around another that forgot to ask it would hide copies from every
    /// receipt.
    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError>;

    /// Whether every request costs money, so that an idle service should send few.
    fn is_metered(&self) -> bool {
        false
    }

    /// Removes what the back end keeps for itself, once a tenant's last object is gone.
    async fn dismantle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The reason why the store takes no messages although it answers, as last seen.
    fn hindrance(&self) -> Option<Hindrance> {
        None
    }

    /// Looks whether there is room and writes pass, as far as that isn't known, and keeps a reserve; called at the
    /// opening and every ten seconds.
    async fn tend(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Removes what crashes and superseded states left behind; called every few seconds.
    async fn tidy(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
