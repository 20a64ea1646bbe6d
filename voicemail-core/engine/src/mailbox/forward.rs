//! Forwarding: a copy of a message is deposited into another mailbox.
//!
//! The copy is a message in its own right, with its own id, audio, state and retention. It keeps the caller and the time
//! of the original, under which it is filed: so whatever finds and covers the original, a request to forget above all,
//! finds and covers the copy, also one that is written while a purge runs. Ids of copies are made of the key of
//! the request, so that a request that is repeated makes no second copy.
//!
//! What can go wrong: the target doesn't take it (unknown, full, keeps messages for less long), the original is deleted
//! meanwhile, or a store fails; after the last a repetition is safe. The history is noted before the copy becomes a
//! message, and the copy keeps all that it comes from, so that whoever erases any of these by its name finds the copy,
//! whatever of the chain is gone; a copy that its mailbox refuses in the last moment leaves its note.

use super::deposit::{DepositRequest, Deposited, Left};
use super::{MailboxError, Mailboxes};
use crate::context::FiledCaller;
use futures::{StreamExt, stream};
use serde_json::Map;
use std::sync::{Arc, OnceLock};
use voicemail_audio::{Recording, RecordingInfo};
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{Entry, Forwarding, MailboxId, MessageId, MessageName, UserId};
use voicemail_store::codec::decode_envelope;
use voicemail_store::{BodyError, Key, StoreError};

/// Which message goes where, and by whose wish.
#[derive(Clone, Debug)]
pub struct ForwardRequest {
    /// The original's mailbox.
    pub from: MailboxId,
    /// The original.
    pub id: MessageId,
    /// The copy's mailbox.
    pub to: MailboxId,
    /// One for each time that somebody forwards: the same key makes the same copy.
    pub key: MessageId,
    /// The user who forwards.
    pub by: UserId,
}

impl Mailboxes {
    /// Puts a copy of a visible message into another mailbox and notes it in both.
    ///
    /// # Errors
    /// As those of a deposit; `UnknownMessage`, and `Invalid` for a message older than the target keeps any.
    pub async fn forward(&self, request: &ForwardRequest) -> Result<Deposited, MailboxError> {
        let entry = self.entry(&request.from, request.id).await?;
        let copy = self.copy_id(request)?;
        let admitted = self
            .admit(DepositRequest {
                mailbox: request.to.clone(),
                id: copy,
                caller: entry.caller.clone(),
                caller_name: entry.caller_name.clone(),
                urgent: entry.urgent,
                left: None,
            })
            .await?;
        let now = self.context.world().now();
        if admitted.expiry_of(entry.received) <= now {
            return Err(MailboxError::Invalid("the message is older than that mailbox keeps any".into()));
        }
        let filed = self.filed_as(request, &entry).await?;
        let origin = Forwarding {
            mailbox: request.from.clone(),
            id: request.id,
            by: request.by.clone(),
            at: now,
            through: self.trace(&entry).await?,
            unknown: Map::new(),
        };
        let left = Left { received: entry.received, filed, forwarded_from: Some(origin) };
        self.store(admitted, self.copy_audio(&entry).await?, left).await
    }

    fn copy_id(&self, request: &ForwardRequest) -> Result<MessageId, MailboxError> {
        let ForwardRequest { from, id, to, key, .. } = request;
        let digest = self.context.key().tag("forward", format!("{key} {from} {id} {to}").as_bytes());
        let mut random = [0; 10];
        let short = |_| StoreError::Refused("a digest is too short".into());
        hex::decode_to_slice(&digest[..20], &mut random).map_err(short)?;
        Ok(MessageId::new(key.time(), &random))
    }

    /// The messages that the original was copied from. Copies of before it was kept are followed back as far as they
    /// are there.
    async fn trace(&self, original: &Entry) -> Result<Option<Vec<MessageName>>, StoreError> {
        if fault_injection::is(Broken::CopyForgetsItsOrigin) {
            return Ok(None);
        }
        let (mut found, mut next) = (Vec::new(), original.forwarded_from.clone());
        while let Some(from) = next {
            if let Some(through) = &from.through {
                let known = through.iter().cloned().chain([from.name()]);
                return Ok(Some(known.chain(found.into_iter().rev()).collect()));
            }
            let index = self.context.indexes().load(&from.mailbox).await?;
            let Some(entry) = index.as_ref().and_then(|index| index.entries.get(&from.id)) else {
                return Ok(None);
            };
            if found.contains(&from.name()) {
                return Ok(None);
            }
            found.push(from.name());
            next = entry.forwarded_from.clone();
        }
        Ok(Some(found.into_iter().rev().collect()))
    }

    /// As the original is filed, whatever the rules are by now: a mark that covers the one covers the other.
    async fn filed_as(&self, request: &ForwardRequest, entry: &Entry) -> Result<FiledCaller, MailboxError> {
        let key = Key::envelope(&entry.caller_hash, &request.from, request.id);
        let found = self.context.store().get(&key).await?.ok_or(MailboxError::UnknownMessage)?;
        let envelope = decode_envelope(&found)?;
        Ok(FiledCaller {
            hash: entry.caller_hash.clone(),
            given: envelope.caller,
            normalised: envelope.normalised,
            rules: envelope.rules,
        })
    }

    /// The original's audio as it streams, which must be as long as it was.
    async fn copy_audio(&self, entry: &Entry) -> Result<Recording, MailboxError> {
        let store = self.context.region(&entry.region)?;
        let found = store.read(&Key::audio(&entry.audio), None).await?.ok_or(MailboxError::UnknownMessage)?;
        let info = OnceLock::new();
        let Entry { duration_ms, size, digest, mends, .. } = entry.clone();
        // A new lock is empty.
        let _ = info.set(RecordingInfo { mends, ..RecordingInfo::plain(duration_ms, size, digest) });
        let broken = || BodyError::Interrupted("the original's audio can't be read whole: try again".into());
        let body = stream::try_unfold((found.bytes, size), move |(mut bytes, left)| async move {
            match bytes.next().await {
                Some(Ok(chunk)) => {
                    let left = left.checked_sub(chunk.len() as u64).ok_or_else(broken)?;
                    Ok(Some((chunk, (bytes, left))))
                }
                None if left == 0 => Ok(None),
                _ => Err(broken()),
            }
        });
        Ok(Recording { body: body.boxed(), info: Arc::new(info) })
    }
}
