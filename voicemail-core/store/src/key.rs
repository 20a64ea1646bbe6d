//! Names of everything stored, below the tenant's prefix `v1/<tenant>/`. One function a kind of key.
//!
//! A key is an object's or a document's by its kind; a back end that files the two differently (a
//! volume) tells them apart by the call that is made, and so never mixes them.

use crate::layout::Family;
use std::fmt;
use voicemail_model::{
    AudioKey, CallerHash, DueItem, GreetingKey, GroupId, MailboxId, MessageId, MessageName, RunId, Time,
    UserId,
};

/// A checked key: segments of `[A-Za-z0-9._-]`, none of them `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key as a listing gave it; `None` if it isn't a name of ours.
    pub fn listed(text: &str) -> Option<Self> {
        let good = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        text.split('/').all(good).then(|| Self(text.to_owned()))
    }

    /// A key of a family.
    fn below(family: Family, rest: fmt::Arguments<'_>) -> Self {
        Self(format!("{}{rest}", family.prefix()))
    }

    /// The tenant document.
    pub fn tenant() -> Self {
        Self(Family::Tenant.segment().into())
    }

    /// Which store and region the folder of a region that isn't the master belongs to.
    pub fn region() -> Self {
        Self(Family::Region.segment().into())
    }

    /// A mailbox's index.
    pub fn index(mailbox: &MailboxId) -> Self {
        Self(format!("{}/index", mailbox_path(mailbox)))
    }

    /// A mailbox's settings.
    pub fn settings(mailbox: &MailboxId) -> Self {
        Self(format!("{}/settings", mailbox_path(mailbox)))
    }

    /// A user.
    pub fn user(user: &UserId) -> Self {
        Self::below(Family::User, format_args!("{}", user.key()))
    }

    /// A group.
    pub fn group(group: &GroupId) -> Self {
        Self::below(Family::Group, format_args!("{group}"))
    }

    /// The envelope of a message.
    pub fn envelope(caller: &CallerHash, mailbox: &MailboxId, id: MessageId) -> Self {
        Self::below(Family::Envelope, format_args!("{}/{}/{id}", caller.path(), mailbox.key()))
    }

    /// Below this are all envelopes of a caller.
    pub fn envelopes(caller: &CallerHash) -> String {
        format!("{}{}/", Family::Envelope.prefix(), caller.path())
    }

    /// The message id of an Idempotency-Key.
    pub fn deposit_key(digest: &str) -> Self {
        Self::below(Family::DepositKey, format_args!("{digest}"))
    }

    /// A caller's mark.
    pub fn mark(caller: &CallerHash) -> Self {
        Self::below(Family::Mark, format_args!("{}", caller.path()))
    }

    /// The mark of one message, for callers who can't be found by number.
    pub fn message_mark(name: &MessageName) -> Self {
        Self::below(Family::Mark, format_args!("message/{}", name.key()))
    }

    /// The head of a chain: its newest link.
    pub fn chain_head(chain: &str) -> Self {
        Self(format!("{chain}/head"))
    }

    /// A link of a chain.
    pub fn chain_link(chain: &str, number: u64) -> Self {
        Self(format!("{chain}/{number:020}"))
    }

    /// A run's entry in the register, by the month of the request's receipt.
    pub fn register(received: Time, run: &RunId) -> Self {
        Self::below(Family::Register, format_args!("{}/{}", received.month(), run.flat()))
    }

    /// A GDPR run.
    pub fn run(run: &RunId) -> Self {
        Self::below(Family::Run, format_args!("{run}"))
    }

    /// Below this are a case's runs, with what is beside them.
    pub fn runs_of(case: &str) -> String {
        format!("{}{case}/", Family::Run.prefix())
    }

    /// The run of these names; `None` if they are none.
    pub fn run_named(case: &str, operation: &str, number: &str) -> Option<Self> {
        Self::listed(&format!("{}{operation}.{number}", Self::runs_of(case)))
    }

    /// Below this are the entries of a month's register.
    pub fn registered_in(month: Time) -> String {
        format!("{}{}/", Family::Register.prefix(), month.month())
    }

    /// An entry's name in the register, in its order: where a page goes on.
    pub fn register_name(key: &str) -> &str {
        key.strip_prefix(Family::Register.prefix()).unwrap_or(key)
    }

    /// Below this is the audio of messages that came in an hour.
    pub fn audio_of(hour: Time) -> String {
        format!("{}{}/", Family::Audio.prefix(), hour.hour())
    }

    /// A purge round's manifest.
    pub fn manifest(run: &RunId, round: u32) -> Self {
        Self::below(Family::Run, format_args!("{run}.manifest.{round}"))
    }

    /// A run's receipt.
    pub fn receipt(run: &RunId) -> Self {
        Self::below(Family::Run, format_args!("{run}.receipt"))
    }

    /// A due item.
    pub fn due(item: &DueItem) -> Self {
        Self(item.key())
    }

    /// Audio.
    pub fn audio(audio: &AudioKey) -> Self {
        Self(audio.as_str().to_owned())
    }

    /// A greeting's audio.
    pub fn greeting(audio: &GreetingKey) -> Self {
        Self(audio.as_str().to_owned())
    }

    /// Which greetings of the tenant are in force.
    pub fn tenant_greetings() -> Self {
        Self(Family::Greetings.segment().into())
    }

    /// What waits at telephones.
    pub fn fronts() -> Self {
        Self(Family::Fronts.segment().into())
    }

    /// The replica whose turn it is to deliver MWI states to a receiver, of that digest.
    pub fn courier(receiver: &str) -> Self {
        Self::below(Family::Delivery, format_args!("{receiver}/courier"))
    }

    /// The MWI states delivered last to a receiver, for the sixteenth of all mailboxes that this one belongs to.
    pub fn delivered(receiver: &str, mailbox: &MailboxId) -> Self {
        Self::below(Family::Delivery, format_args!("{receiver}/delivered/{:x}", hash(mailbox) >> 28))
    }

    /// The e-mails about a mailbox's messages.
    pub fn mailing(mailbox: &MailboxId) -> Self {
        Self::below(Family::Mailing, format_args!("{:02x}/{}", hash(mailbox) >> 24, mailbox.key()))
    }

    /// The folder of a listed key of deliveries: a receiver's, or none for what former releases, which knew one receiver,
    /// wrote.
    pub fn receiver_of(key: &str) -> Option<&str> {
        let (receiver, rest) = key.strip_prefix(Family::Delivery.prefix())?.split_once('/')?;
        (rest == "courier" || rest.starts_with("delivered/")).then_some(receiver)
    }

    /// An act of the audit log.
    pub fn audit(at: Time, random: &str) -> Self {
        Self(format!("{}{:011x}-{random}", Self::audits(at), at.0.max(0)))
    }

    /// The number of the seal of an hour.
    pub fn sealed_hour(hour: &str) -> Self {
        Self::below(Family::Seal, format_args!("hour/{hour}"))
    }

    /// The hour of a listed act.
    pub fn hour_of_act(key: &str) -> Option<&str> {
        Self::audited_at(key)?;
        key.strip_prefix(Family::Audit.prefix())?.split_once('/').map(|(hour, _)| hour)
    }

    /// Below this are all acts of that hour.
    pub fn audits(hour: Time) -> String {
        format!("{}{}/", Family::Audit.prefix(), hour.hour())
    }

    /// An act's name among all acts, in their order: where a page goes on.
    pub fn audit_name(key: &str) -> &str {
        key.strip_prefix(Family::Audit.prefix()).unwrap_or(key)
    }

    /// When the act of a listed key was done.
    pub fn audited_at(key: &str) -> Option<Time> {
        let (hour, name) = key.strip_prefix(Family::Audit.prefix())?.split_once('/')?;
        let at = Time(i64::from_str_radix(name.split_once('-')?.0, 16).ok()?);
        (at.hour() == hour).then_some(at)
    }

    /// A throw-away name for a probe that begins then; a crash may leave it to the sweeper.
    pub fn probe(begun: Time, random: &str) -> Self {
        Self::below(Family::Probe, format_args!("{:x}-{random}", begun.0))
    }

    /// When the probe of a listed key began.
    pub fn probe_begun(key: &str) -> Option<Time> {
        let (begun, _) = key.strip_prefix(Family::Probe.prefix())?.split_once('-')?;
        i64::from_str_radix(begun, 16).ok().map(Time)
    }
}

/// Documents that can't be decoded are moved to `quarantine/<yyyymmddHHMM>/<key>`: a name tells when, and the caller's
/// hash where the key has one.
impl Key {
    /// Where the bytes of a key go that can't be decoded.
    pub fn quarantine(at: Time, key: &Self) -> Self {
        Self::below(Family::Quarantine, format_args!("{}/{key}", at.minute()))
    }

    /// The minute and the key that a quarantined object's name holds.
    pub fn quarantined(key: &str) -> Option<(&str, &str)> {
        let (minute, original) = key.strip_prefix(Family::Quarantine.prefix())?.split_once('/')?;
        (minute.len() == 12 && minute.bytes().all(|b| b.is_ascii_digit())).then_some((minute, original))
    }
}

/// Mailboxes are spread over 256 folders by a hash of their name.
fn mailbox_path(mailbox: &MailboxId) -> String {
    format!("{}{:02x}/{}", Family::Mailbox.prefix(), hash(mailbox) >> 24, mailbox.key())
}

/// FNV-1a: stable, not secret.
fn hash(mailbox: &MailboxId) -> u32 {
    let seed = 0x811c_9dc5_u32;
    mailbox.as_str().bytes().fold(seed, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mailbox of a listed index's key.
pub fn parse_index(key: &str) -> Option<MailboxId> {
    let mut parts = key.strip_prefix(Family::Mailbox.prefix())?.split('/');
    let (_, mailbox, document) = (parts.next()?, MailboxId::of_key(parts.next()?)?, parts.next()?);
    (document == "index" && Key::index(&mailbox).as_str() == key).then_some(mailbox)
}

/// The mailbox of a listed mailing's key.
pub fn parse_mailing(key: &str) -> Option<MailboxId> {
    let (_, mailbox) = key.strip_prefix(Family::Mailing.prefix())?.split_once('/')?;
    let mailbox = MailboxId::of_key(mailbox)?;
    (Key::mailing(&mailbox).as_str() == key).then_some(mailbox)
}

/// Reads mailbox and message from a listed envelope key.
pub fn parse_envelope(key: &str) -> Option<(MailboxId, MessageId)> {
    let mut parts = key.rsplit('/');
    let (id, mailbox) = (parts.next()?, parts.next()?);
    Some((MailboxId::of_key(mailbox)?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_names_with_path_tricks_are_no_keys() {
        for bad in ["", "/a", "a/", "a//b", "a/../b", "a/./b", "a b", "a\\b"] {
            assert_eq!(Key::listed(bad), None, "{bad:?}");
        }
        assert!(Key::listed("au/2026092113/1001/x.y_z-1").is_some());
    }

    #[test]
    fn an_envelope_key_is_read_back() {
        let id: MessageId = "01996a10-1111-7abc-8def-0123456789ab".parse().unwrap();
        for name in ["1001", "j.smith@default", "*98"] {
            let mailbox: MailboxId = name.parse().unwrap();
            for caller in
                [CallerHash::withheld(), voicemail_model::TenantKey::new(&[1; 32]).unwrap().hash("+44")]
            {
                let key = Key::envelope(&caller, &mailbox, id);
                assert!(key.as_str().starts_with(&Key::envelopes(&caller)));
                assert_eq!(parse_envelope(key.as_str()), Some((mailbox.clone(), id)));
            }
            assert_eq!(parse_mailing(Key::mailing(&mailbox).as_str()), Some(mailbox.clone()));
            assert_eq!(parse_index(Key::index(&mailbox).as_str()), Some(mailbox));
        }
    }
}
