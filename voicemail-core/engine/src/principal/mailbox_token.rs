//! Tokens for one mailbox, given for a right PIN: what a media server plays messages with.
//!
//! `mbx.<mailbox>.-<generation, hex>-<PIN, hex>.<expiry in ms, hex>.<HMAC>`: every replica can check it, since the key is
//! derived from the tenant's. The generation is that of the mailbox whose PIN was right: when it is deleted and made again, the
//! token opens nothing. The PIN's part tells that PIN from the next one: when it is changed or removed, the token opens nothing.
//! Tokens that releases before gave have no PIN, or neither. One that was renewed says when the PIN was given: behind the PIN
//! stands `-<time in ms, hex>`. It can be renewed for two hours from then.

use super::{OneMailbox, Principal};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::config::Role;
use voicemail_model::{MailboxId, PinDigest, TenantKey, Time};

const PREFIX: &str = "mbx.";
/// Stands before a generation; no segment of a mailbox's key begins so behind a dot.
const MARK: char = '-';
const LIFE: Duration = Duration::from_secs(600);
/// From the PIN to the end of the last token.
const LONGEST: Duration = Duration::from_secs(2 * 3_600);
const PURPOSE: &str = "mailbox-token";

/// Why a token for one mailbox isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxTokenError {
    /// It isn't one.
    #[error("the token isn't one for a mailbox")]
    Malformed,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// Too late.
    #[error("the token has expired")]
    Expired,
}

/// A token for one mailbox.
pub struct MailboxToken;

impl MailboxToken {
    /// A new token, and until when it counts.
    pub fn issue(
        key: &TenantKey,
        mailbox: &MailboxId,
        generation: u32,
        pin: PinVersion,
        now: Time,
    ) -> (String, Time) {
        let PinVersion(pin) = pin;
        seal(key, &format!("{PREFIX}{}.{MARK}{generation:x}{MARK}{pin:x}", mailbox.key()), now.plus(LIFE))
    }

    /// Another token for the holder of one, and until when it counts. `None` when the PIN was given too long ago, or it isn't
    /// known which one and when.
    pub fn renew(key: &TenantKey, held: &OneMailbox, now: Time) -> Option<(String, Time)> {
        let (generation, PinVersion(pin), since) = (held.generation?, held.pin?, held.since?);
        let until = now.plus(LIFE).min(since.plus(LONGEST));
        let versions = format!("{MARK}{generation:x}{MARK}{pin:x}{MARK}{:x}", since.0);
        (until > now).then(|| seal(key, &format!("{PREFIX}{}.{versions}", held.name.key()), until))
    }

    /// Whether a bearer token claims to be one: a JWT begins otherwise.
    pub fn is_one(bearer: &str) -> bool {
        bearer.starts_with(PREFIX)
    }

    /// The token's holder.
    ///
    /// # Errors
    /// `Malformed`, `Signature` or `Expired`.
    pub fn read(key: &TenantKey, bearer: &str, now: Time) -> Result<Principal, MailboxTokenError> {
        let (body, mac) = bearer.rsplit_once('.').ok_or(MailboxTokenError::Malformed)?;
        let expected = key.tag(PURPOSE, body.as_bytes());
        verify_slices_are_equal(expected.as_bytes(), mac.as_bytes())
            .map_err(|_| MailboxTokenError::Signature)?;
        let (mailbox, until) = body
            .strip_prefix(PREFIX)
            .and_then(|body| body.rsplit_once('.'))
            .ok_or(MailboxTokenError::Malformed)?;
        let until = i64::from_str_radix(until, 16).map_err(|_| MailboxTokenError::Malformed)?;
        if Time(until) <= now {
            return Err(MailboxTokenError::Expired);
        }
        let mut held = read_mailbox(mailbox).ok_or(MailboxTokenError::Malformed)?;
        held.since.get_or_insert(Time(until).minus(LIFE));
        Ok(Principal {
            subject: "telephone".into(),
            authority: "telephone".into(),
            user: None,
            mailbox: Some(held),
            roles: BTreeSet::from([Role::Agent]),
            expires: Time(until),
        })
    }
}

fn seal(key: &TenantKey, body: &str, until: Time) -> (String, Time) {
    let body = format!("{body}.{:x}", until.0);
    let mac = key.tag(PURPOSE, body.as_bytes());
    (format!("{body}.{mac}"), until)
}

/// What was sealed; `since` of renewed tokens alone.
fn read_mailbox(text: &str) -> Option<OneMailbox> {
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let mut since = None;
    let (key, generation, pin) = match text.rsplit_once('.').map(|(key, last)| (key, last.strip_prefix(MARK)))
    {
        Some((key, Some(versions))) => match versions.split_once(MARK) {
            Some((generation, pin)) => {
                let (pin, given) = pin.split_once(MARK).map_or((pin, None), |(pin, at)| (pin, Some(at)));
                since = given.map(|at| i64::from_str_radix(at, 16).map(Time)).transpose().ok()?;
                (key, Some(number(generation)?), Some(PinVersion(number(pin)?)))
            }
            None => (key, Some(number(versions)?), None),
        },
        _ => (text, None, None),
    };
    Some(OneMailbox { name: MailboxId::of_key(key)?, generation, pin, since })
}

/// Tells one PIN of a mailbox from another, and nothing of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinVersion(u32);

impl PinVersion {
    /// Of a PIN, by the salt that it alone has.
    pub fn of(key: &TenantKey, pin: &PinDigest) -> Self {
        let [a, b, c, d, ..] = key.derive("pin-version", pin.salt.as_bytes());
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_mailbox_for_ten_minutes_and_no_other_tenants() {
        let (key, other) = (TenantKey::new(&[7; 32]).unwrap(), TenantKey::new(&[8; 32]).unwrap());
        let mailbox: MailboxId = "1001".parse().unwrap();
        let (token, until) = MailboxToken::issue(&key, &mailbox, 0x2a, PinVersion(0xff), Time(0));
        let (generation, pin) = (Some(0x2a), Some(PinVersion(0xff)));
        let opens = OneMailbox { name: mailbox, generation, pin, since: Some(Time(0)) };
        assert_eq!(MailboxToken::read(&key, &token, Time(599_999)).unwrap().mailbox, Some(opens));
        assert_eq!(until, Time(600_000));
        assert_eq!(MailboxToken::read(&key, &token, until), Err(MailboxTokenError::Expired));
        assert_eq!(MailboxToken::read(&other, &token, Time(0)), Err(MailboxTokenError::Signature));
        let forged = token.replace("1001", "1002");
        assert_eq!(MailboxToken::read(&key, &forged, Time(0)), Err(MailboxTokenError::Signature));
        let other_generation = token.replace(".-2a-", ".-2b-");
        assert_eq!(MailboxToken::read(&key, &other_generation, Time(0)), Err(MailboxTokenError::Signature));
        assert_eq!(MailboxToken::read(&key, "mbx.", Time(0)), Err(MailboxTokenError::Signature));
    }

    #[test]
    fn a_token_is_renewed_for_two_hours_from_the_pin_on() {
        let (key, mailbox) = (TenantKey::new(&[7; 32]).unwrap(), "j.smith@b-1".parse().unwrap());
        let minutes = |minutes: u64| Time(0).plus(Duration::from_secs(60 * minutes));
        let (mut token, mut until) = MailboxToken::issue(&key, &mailbox, 3, PinVersion(9), Time(0));
        let mut last = Time(0);
        while let Some((next, end)) =
            MailboxToken::renew(&key, &MailboxToken::read(&key, &token, last).unwrap().mailbox.unwrap(), last)
        {
            let held = MailboxToken::read(&key, &next, last).unwrap().mailbox.unwrap();
            let (generation, pin) = (Some(3), Some(PinVersion(9)));
            assert_eq!(held, OneMailbox { name: mailbox.clone(), generation, pin, since: Some(Time(0)) });
            assert_eq!(end, last.plus(LIFE).min(minutes(120)));
            (token, until) = (next, end);
            last = last.plus(Duration::from_secs(300));
            if last >= until {
                break;
            }
        }
        assert_eq!(until, minutes(120));
        let (_, since) = token.split_once("-3-9-").unwrap();
        let (since, _) = since.split_once('.').unwrap();
        let longer = token.replace(&format!("-3-9-{since}."), "-3-9-ffffff.");
        assert_eq!(MailboxToken::read(&key, &longer, minutes(1)), Err(MailboxTokenError::Signature));
        assert_eq!(MailboxToken::read(&key, &token, minutes(120)), Err(MailboxTokenError::Expired));
    }

    #[test]
    fn a_token_of_the_release_before_names_no_generation() {
        let key = TenantKey::new(&[7; 32]).unwrap();
        for name in ["1001", "1001@default", "a-b.c", "-x", "a.-1"] {
            let mailbox: MailboxId = name.parse().unwrap();
            let body = format!("{PREFIX}{}.{:x}", mailbox.key(), 600_000);
            let former = format!("{body}.{}", key.tag(PURPOSE, body.as_bytes()));
            let read = |token: &str| MailboxToken::read(&key, token, Time(0)).unwrap().mailbox.unwrap();
            let since = Some(Time(0));
            let opens = OneMailbox { name: mailbox.clone(), generation: None, pin: None, since };
            assert_eq!(read(&former), opens);
            assert_eq!(MailboxToken::renew(&key, &opens, Time(1)), None, "it isn't known which PIN it was");
            let body = format!("{PREFIX}{}.-1.{:x}", mailbox.key(), 600_000);
            let without_pin = format!("{body}.{}", key.tag(PURPOSE, body.as_bytes()));
            let opens = OneMailbox { generation: Some(1), ..opens };
            assert_eq!(read(&without_pin), opens);
            let (token, _) = MailboxToken::issue(&key, &mailbox, 1, PinVersion(7), Time(0));
            assert_eq!(read(&token), OneMailbox { pin: Some(PinVersion(7)), ..opens });
        }
    }
}
