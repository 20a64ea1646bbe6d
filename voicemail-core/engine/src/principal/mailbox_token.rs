//! Tokens for one mailbox, given for a right PIN: what a media server plays messages with.
//!
//! `mbx.<mailbox>.-<generation, hex>.<expiry in ms, hex>.<HMAC>`: every replica can check it, since the key is derived from
//! the tenant's. The generation is that of the mailbox whose PIN was right: when it is deleted and made again, the token opens
//! nothing. Tokens that the release before gave have none.

use super::{OneMailbox, Principal};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::config::Role;
use voicemail_model::{MailboxId, TenantKey, Time};

const PREFIX: &str = "mbx.";
/// Stands before a generation; no segment of a mailbox's key begins so behind a dot.
const MARK: char = '-';
const LIFE: Duration = Duration::from_secs(600);
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
    pub fn issue(key: &TenantKey, mailbox: &MailboxId, generation: u32, now: Time) -> (String, Time) {
        let until = now.plus(LIFE);
        let body = format!("{PREFIX}{}.{MARK}{generation:x}.{:x}", mailbox.key(), until.0);
        let mac = key.tag(PURPOSE, body.as_bytes());
        (format!("{body}.{mac}"), until)
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
        Ok(Principal {
            subject: "telephone".into(),
            user: None,
            mailbox: Some(read_mailbox(mailbox).ok_or(MailboxTokenError::Malformed)?),
            roles: BTreeSet::from([Role::Agent]),
            expires: Time(until),
        })
    }
}

fn read_mailbox(text: &str) -> Option<OneMailbox> {
    let (key, generation) = match text.rsplit_once('.').map(|(key, last)| (key, last.strip_prefix(MARK))) {
        Some((key, Some(generation))) => (key, Some(u32::from_str_radix(generation, 16).ok()?)),
        _ => (text, None),
    };
    Some(OneMailbox { name: MailboxId::of_key(key)?, generation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_mailbox_for_ten_minutes_and_no_other_tenants() {
        let (key, other) = (TenantKey::new(&[7; 32]).unwrap(), TenantKey::new(&[8; 32]).unwrap());
        let mailbox: MailboxId = "1001".parse().unwrap();
        let (token, until) = MailboxToken::issue(&key, &mailbox, 0x2a, Time(0));
        let opens = OneMailbox { name: mailbox, generation: Some(0x2a) };
        assert_eq!(MailboxToken::read(&key, &token, Time(599_999)).unwrap().mailbox, Some(opens));
        assert_eq!(until, Time(600_000));
        assert_eq!(MailboxToken::read(&key, &token, until), Err(MailboxTokenError::Expired));
        assert_eq!(MailboxToken::read(&other, &token, Time(0)), Err(MailboxTokenError::Signature));
        let forged = token.replace("1001", "1002");
        assert_eq!(MailboxToken::read(&key, &forged, Time(0)), Err(MailboxTokenError::Signature));
        let other_generation = token.replace(".-2a.", ".-2b.");
        assert_eq!(MailboxToken::read(&key, &other_generation, Time(0)), Err(MailboxTokenError::Signature));
        assert_eq!(MailboxToken::read(&key, "mbx.", Time(0)), Err(MailboxTokenError::Signature));
    }

    #[test]
    fn a_token_of_the_release_before_names_no_generation() {
        let key = TenantKey::new(&[7; 32]).unwrap();
        for name in ["1001", "1001@default", "a-b.c", "-x", "a.-1"] {
            let mailbox: MailboxId = name.parse().unwrap();
            let body = format!("{PREFIX}{}.{:x}", mailbox.key(), 600_000);
            let former = format!("{body}.{}", key.tag(PURPOSE, body.as_bytes()));
            let read = |token: &str| MailboxToken::read(&key, token, Time(0)).unwrap().mailbox.unwrap();
            assert_eq!(read(&former), OneMailbox { name: mailbox.clone(), generation: None });
            let (token, _) = MailboxToken::issue(&key, &mailbox, 1, Time(0));
            assert_eq!(read(&token), OneMailbox { name: mailbox, generation: Some(1) });
        }
    }
}
