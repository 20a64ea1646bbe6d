//! Mailboxes, people and spoken messages of a demonstration: made the first time, and left alone afterwards.
//!
//! Callers have numbers that the British regulator keeps for films: nobody can be called by them.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use std::time::Duration;
use voicemail_audio::{AudioLimits, check_wav};
use voicemail_engine::core::Core;
use voicemail_engine::mailbox::{DepositRequest, MailboxError};
use voicemail_model::{CallerId, Group, GroupId, InvalidId, MailboxId, User, UserId};

/// A question about opening hours.
pub(super) const HOURS: &[u8] = include_bytes!("clips/hours.wav");
const DELIVERY: &[u8] = include_bytes!("clips/delivery.wav");
const INVOICE: &[u8] = include_bytes!("clips/invoice.wav");
const WELCOME: &[u8] = include_bytes!("clips/welcome.wav");

const HOUR: u64 = 3_600;

struct Spoken {
    mailbox: &'static str,
    caller: Option<&'static str>,
    name: Option<&'static str>,
    urgent: bool,
    /// Seconds before now.
    ago: u64,
    audio: &'static [u8],
}

const SPOKEN: [Spoken; 6] = [
    spoken("1001", Some("+442079460101"), Some("Ada Lovelace"), 2 * HOUR, DELIVERY),
    spoken("1001", None, None, 26 * HOUR, HOURS),
    spoken("1001", Some("+442079460000"), Some("Voicemail"), 60, WELCOME),
    spoken("1002", Some("+442079460102"), None, 3 * HOUR, HOURS),
    Spoken { urgent: true, ..spoken("2000", Some("+442079460103"), Some("Grace Hopper"), HOUR, INVOICE) },
    spoken("2000", Some("+442079460104"), None, 5 * HOUR, HOURS),
];

const fn spoken(
    mailbox: &'static str,
    caller: Option<&'static str>,
    name: Option<&'static str>,
    ago: u64,
    audio: &'static [u8],
) -> Spoken {
    Spoken { mailbox, caller, name, urgent: false, ago, audio }
}

/// Makes all of it, unless it was made before. Alice comes last: when she is there, so is everything.
pub(super) async fn provision(core: &Core) -> Result<(), super::DemonstrationError> {
    let directory = &core.directory;
    match directory.get_user(&name("alice")?).await {
        Ok(_) => return Ok(()),
        Err(MailboxError::Unknown(_)) => {}
        Err(error) => return Err(error.into()),
    }
    for (mailbox, label) in [("1001", "Alice"), ("1002", "Bob"), ("2000", "Sales")] {
        directory.put_mailbox(&name(mailbox)?, None, Some(label.into())).await?;
    }
    for spoken in &SPOKEN {
        leave(core, spoken).await?;
    }
    let sales: GroupId = name("sales")?;
    let group = Group { mailbox: name("2000")?, generation: None, id: None, unknown: Default::default() };
    directory.put_group(&sales, group).await?;
    for (user, mailbox) in [("bob", "1002"), ("alice", "1001")] {
        let made = User { mailboxes: vec![name(mailbox)?], groups: vec![sales.clone()], ..User::default() };
        directory.put_user(&name::<UserId>(user)?, made).await?;
    }
    Ok(())
}

async fn leave(core: &Core, spoken: &Spoken) -> Result<(), MailboxError> {
    let now = core.context.world().now();
    let mailbox: MailboxId = name(spoken.mailbox)?;
    let admitted = core.mailboxes.admit(DepositRequest {
        mailbox,
        id: core.mailboxes.new_id(),
        caller: spoken.caller.and_then(CallerId::new),
        caller_name: spoken.name.map(str::to_owned),
        urgent: spoken.urgent,
        left: Some(now.minus(Duration::from_secs(spoken.ago))),
    });
    let admitted = admitted.await?;
    let limits = AudioLimits::for_seconds(admitted.max_seconds);
    let audio = spoken.audio;
    let body = stream::once(async move { Ok(Bytes::from_static(audio)) }.boxed()).boxed();
    core.mailboxes.deposit(admitted, check_wav(body, limits)).await?;
    Ok(())
}

/// One of the names above, all of which are right.
fn name<T: std::str::FromStr<Err = InvalidId>>(text: &str) -> Result<T, MailboxError> {
    text.parse().map_err(|error: InvalidId| MailboxError::Invalid(error.to_string()))
}
