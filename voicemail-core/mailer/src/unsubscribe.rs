//! The address by which one click ends the mails to a reader (RFC 8058): nobody signs in for it, and it names nobody.
//!
//! ```text
//! reader, address, mailbox ─▶ sealed by the tenant's key ─▶ in the header of a mail ─▶ clicked ─▶ does it still count? ─▶ none
//! ```
//!
//! It counts as long as the mails go to that address about that mailbox: after the address was changed, or the mailbox was
//! made anew, an old mail's click ends nothing. What can go wrong: the store is away, or the text isn't one of ours.

use serde::{Deserialize, Serialize};
use voicemail_api::config::TenantConfig;
use voicemail_engine::core::Core;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{EmailAddress, Index, MailboxId, Seal, SealError, TenantKey, User, UserId};
use voicemail_store::Key;

/// Where the pages take such a click; the sealed text follows.
pub const UNSUBSCRIBE_PATH: &str = "/ui/unsubscribe";
const PURPOSE: &str = "email-unsubscribe";
/// Longest sealed text: with the host it fits into a header of a mail.
const LONGEST: usize = 690;

/// Who is to get no more mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsubscription {
    user: UserId,
    /// A keyed digest of the address that the mail went to.
    address: String,
    mailbox: MailboxId,
    generation: u32,
}

fn digest(key: &TenantKey, address: &EmailAddress) -> String {
    key.tag(PURPOSE, address.reveal().as_bytes()).chars().take(16).collect()
}

fn seal(key: &TenantKey) -> Result<Seal, SealError> {
    Seal::new(key, PURPOSE, b"", LONGEST)
}

/// The address for a mail to a reader; none where there are no pages, or a user's name is too long for a header.
pub fn unsubscribe_at(
    core: &Core,
    config: &TenantConfig,
    user: &UserId,
    address: &EmailAddress,
    (mailbox, generation): (&MailboxId, u32),
) -> Option<String> {
    let (context, host) = (&core.context, config.web.as_ref()?.host.as_ref()?);
    let who = Unsubscription {
        user: user.clone(),
        address: digest(context.key(), address),
        mailbox: mailbox.clone(),
        generation,
    };
    let sealed = seal(context.key()).and_then(|seal| seal.seal(context.world(), &who)).ok()?;
    Some(format!("https://{host}{UNSUBSCRIBE_PATH}/{sealed}"))
}

impl Unsubscription {
    /// The reader that a sealed text is about.
    ///
    /// # Errors
    /// `Malformed` or `Signature` for what isn't of this tenant.
    pub fn read(key: &TenantKey, sealed: &str) -> Result<Self, SealError> {
        seal(key)?.open(sealed)
    }

    /// Who is to get no more mails.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Whether mails still go to that address about that mailbox.
    ///
    /// # Errors
    /// The store's.
    pub async fn counts(&self, core: &Core) -> Result<bool, MailboxError> {
        let user: Option<User> = core.context.documents().load(&Key::user(&self.user)).await?;
        if !user.is_some_and(|user| user.is_of(&self.user) && self.is_to(core.context.key(), &user)) {
            return Ok(false);
        }
        let index: Option<Index> = core.context.documents().load(&Key::index(&self.mailbox)).await?;
        let same = index.is_some_and(|index| !index.closed && index.generation == self.generation);
        Ok(same && core.directory.rights(&self.user, &self.mailbox).await?.is_some())
    }

    /// Whether mails to a user go to the address that the mail went to.
    pub fn is_to(&self, key: &TenantKey, user: &User) -> bool {
        user.email.as_ref().is_some_and(|address| digest(key, address) == self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> TenantKey {
        TenantKey::new(&[seed; 32]).unwrap()
    }

    #[test]
    fn the_longest_names_fit_or_are_left_out_and_no_other_tenant_reads_them() {
        let who = |user: &str| Unsubscription {
            user: user.parse().unwrap(),
            address: digest(&key(7), &"ann@example.com".parse().unwrap()),
            mailbox: "m".repeat(64).parse().unwrap(),
            generation: u32::MAX,
        };
        let world = voicemail_store::real_world();
        let long = who(&format!("{}@example.com", "a".repeat(256)));
        let sealed = seal(&key(7)).unwrap().seal(&world, &long).unwrap();
        assert!(sealed.len() <= LONGEST && !sealed.contains("example"), "{}", sealed.len());
        assert_eq!(Unsubscription::read(&key(7), &sealed), Ok(long));
        assert_eq!(Unsubscription::read(&key(8), &sealed), Err(SealError::Signature));
        assert_eq!(Unsubscription::read(&key(7), "x"), Err(SealError::Malformed));
        let longest = who(&"a".repeat(512));
        assert!(seal(&key(7)).unwrap().seal(&world, &longest).is_err());
    }

    #[test]
    fn it_is_about_one_address() {
        let address: EmailAddress = "ann@example.com".parse().unwrap();
        let who = Unsubscription {
            user: "ann".parse().unwrap(),
            address: digest(&key(7), &address),
            mailbox: "1001".parse().unwrap(),
            generation: 1,
        };
        let of =
            |email: Option<&str>| User { email: email.map(|text| text.parse().unwrap()), ..User::default() };
        assert!(who.is_to(&key(7), &of(Some("ann@example.com"))));
        assert!(!who.is_to(&key(7), &of(Some("ann@example.org"))) && !who.is_to(&key(7), &of(None)));
    }
}
