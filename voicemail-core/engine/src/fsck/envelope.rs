//! An envelope: whether it is filed under its own caller, and whether its message is there.

use super::finding::{Code, Finding};
use super::mailbox::is_older;
use super::read::{self, Read};
use super::{Checker, GRACE};
use voicemail_model::{AudioKey, CallerHash, CallerId, Envelope, Index, MailboxId, MessageId, Time};
use voicemail_store::{Key, StoreError};

/// Caller, mailbox and message of an envelope's key.
pub(super) fn parse(key: &Key) -> Option<(CallerHash, MailboxId, MessageId)> {
    let parts: Vec<&str> = key.as_str().split('/').collect();
    let (caller, mailbox, id) = match parts.as_slice() {
        ["ca", "withheld", mailbox, id] => (CallerHash::withheld(), mailbox, id),
        ["ca", _, hash, mailbox, id] => (serde_json::from_value((*hash).into()).ok()?, mailbox, id),
        _ => return None,
    };
    let (mailbox, id) = (MailboxId::of_key(mailbox)?, id.parse().ok()?);
    (Key::envelope(&caller, &mailbox, id) == *key).then_some((caller, mailbox, id))
}

impl Checker<'_> {
    pub(super) async fn check_envelope(&mut self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let Some((caller, mailbox, id)) = parse(key) else {
            return Ok(vec![Finding::new(Code::ForeignKey, key)]);
        };
        let envelope = match read::object::<Envelope>(self.store(), key).await? {
            Read::Missing => return Ok(Vec::new()),
            Read::Undecodable => return Ok(vec![Finding::new(Code::UndecodableEnvelope, key)]),
            Read::Newer(_) => return Ok(vec![Finding::new(Code::NewerSchema, key)]),
            Read::Good(envelope) => envelope,
        };
        let mut found = Vec::new();
        if self.hash(envelope.normalised.as_ref()) != caller {
            found.push(Finding::new(Code::WrongCaller, key));
        }
        let index = self.index(&mailbox).await?;
        let code = match &*index {
            Read::Missing => Some(Code::MissingIndex),
            other => other.value().and_then(|index| self.judge(index, id, &caller, &envelope)),
        };
        found.extend(code.map(|code| Finding::new(code, key)));
        Ok(found)
    }

    fn hash(&self, normalised: Option<&CallerId>) -> CallerHash {
        let key = self.context.key();
        normalised.map_or_else(CallerHash::withheld, |normalised| key.hash(normalised.reveal()))
    }

    fn judge(&self, index: &Index, id: MessageId, caller: &CallerHash, envelope: &Envelope) -> Option<Code> {
        if !is_older(begun(&envelope.audio, envelope.received), self.now, GRACE) {
            return None;
        }
        match index.entries.get(&id) {
            Some(entry) => (entry.caller_hash != *caller).then_some(Code::EnvelopeOfOther),
            None if index.gone.contains_key(&id) => Some(Code::EnvelopeOfGone),
            None => Some(Code::UnfinishedDeposit),
        }
    }
}

/// When the attempt that wrote it began; ids and times of receipt may be older.
fn begun(audio: &AudioKey, received: Time) -> Time {
    AudioKey::parse(audio.as_str()).map_or(received, |(_, parts)| parts.begun)
}
