//! Tickets: what a browser puts into a URL where it can't send a header, for a minute and one purpose.
//!
//! A ticket is [sealed](voicemail_model::Seal): every replica can read it, nobody else can read or make one, and a URL that is kept
//! somewhere names nobody.

use super::AuthError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::config::Role;
use voicemail_engine::principal::{OneMailbox, PinVersion, Principal};
use voicemail_model::clock::World;
use voicemail_model::{MailboxId, MessageId, Seal, SealError, TenantKey, Time, UserId};

/// How long a ticket can be used.
const LIFE: Duration = Duration::from_secs(60);
const PURPOSE: &str = "ticket";
const LONGEST: usize = 1_024;

/// The purpose of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TicketPurpose {
    /// The event stream of the user's MWI states.
    Events,
    /// One message's audio.
    Audio {
        /// Its mailbox.
        mailbox: MailboxId,
        /// Its id.
        message: MessageId,
    },
}

/// A ticket's content.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    purpose: TicketPurpose,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<MailboxId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<PinVersion>,
    until: Time,
    expires: Time,
}

/// Makes a ticket for the caller, and tells until when it can be used: never for longer than what they called with.
///
/// # Errors
/// `Malformed`, which never happens: it stands for a cipher that refuses.
pub(crate) fn issue(
    key: &TenantKey,
    world: &World,
    identity: &Principal,
    purpose: TicketPurpose,
) -> Result<(String, Time), AuthError> {
    let until = world.now().plus(LIFE).min(identity.expires);
    let ticket = Ticket {
        purpose,
        subject: identity.subject.clone(),
        user: identity.user.clone(),
        mailbox: identity.mailbox.as_ref().map(|opened| opened.name.clone()),
        generation: identity.mailbox.as_ref().and_then(|opened| opened.generation),
        pin: identity.mailbox.as_ref().and_then(|opened| opened.pin),
        until,
        expires: identity.expires,
    };
    Ok((seal(key)?.seal(world, &ticket)?, until))
}

/// The identity of the holder of a ticket for that purpose: an agent, whatever else they may be.
///
/// # Errors
/// `Malformed`, `Signature`, `Expired`, or `Audience` for another purpose.
pub(crate) fn read(
    key: &TenantKey,
    ticket: &str,
    purpose: &TicketPurpose,
    now: Time,
) -> Result<Principal, AuthError> {
    let ticket: Ticket = seal(key)?.open(ticket)?;
    if ticket.until <= now {
        return Err(AuthError::Expired);
    }
    if ticket.purpose != *purpose {
        return Err(AuthError::Audience);
    }
    Ok(Principal {
        subject: ticket.subject,
        // An agent decides nothing that takes a second person.
        authority: String::new(),
        user: ticket.user,
        mailbox: ticket.mailbox.map(|name| OneMailbox {
            name,
            generation: ticket.generation,
            pin: ticket.pin,
            since: None,
        }),
        roles: BTreeSet::from([Role::Agent]),
        expires: ticket.expires,
    })
}

fn seal(key: &TenantKey) -> Result<Seal, SealError> {
    Seal::new(key, PURPOSE, b"", LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::alice;

    const ROLES: [Role; 2] = [Role::Agent, Role::Admin];

    fn audio(mailbox: &str) -> TicketPurpose {
        let message = "01996a10-1111-7abc-8def-0123456789ab".parse().unwrap();
        TicketPurpose::Audio { mailbox: mailbox.parse().unwrap(), message }
    }

    #[test]
    fn a_ticket_opens_one_thing_for_a_minute_and_no_other_tenants() {
        let (key, other) = (TenantKey::new(&[7; 32]).unwrap(), TenantKey::new(&[8; 32]).unwrap());
        let world = voicemail_store::real_world();
        let expires = world.now().plus(Duration::from_secs(600));
        let (ticket, until) = issue(&key, &world, &alice(&ROLES, expires), audio("1001")).unwrap();
        assert!(!ticket.contains("alice") && ticket.bytes().all(|b| b.is_ascii_graphic()));
        let holder = read(&key, &ticket, &audio("1001"), world.now()).unwrap();
        assert_eq!((holder.user.unwrap().as_str(), holder.expires), ("alice", expires));
        assert_eq!(holder.roles, BTreeSet::from([Role::Agent]));
        assert_eq!(read(&key, &ticket, &audio("1002"), world.now()), Err(AuthError::Audience));
        assert_eq!(read(&key, &ticket, &TicketPurpose::Events, world.now()), Err(AuthError::Audience));
        assert_eq!(read(&key, &ticket, &audio("1001"), until), Err(AuthError::Expired));
        assert_eq!(read(&other, &ticket, &audio("1001"), world.now()), Err(AuthError::Signature));
        for bad in ["", "x", "%", &ticket[1..], &"A".repeat(2_000)] {
            assert!(read(&key, bad, &audio("1001"), world.now()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ticket_ends_with_the_token_that_it_was_made_for() {
        let (key, world) = (TenantKey::new(&[7; 32]).unwrap(), voicemail_store::real_world());
        let expires = world.now().plus(Duration::from_secs(5));
        let (_, until) = issue(&key, &world, &alice(&ROLES, expires), TicketPurpose::Events).unwrap();
        assert_eq!(until, expires);
    }
}
