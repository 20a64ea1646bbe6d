//! One turn of a mailbox by a carrier of the test's own: what a simulation plays between other acts.

use crate::desk::Desk;
use crate::post::Carrier;
use tokio_util::sync::CancellationToken;
use voicemail_email::{Sender, Templates};
use voicemail_engine::core::Core;
use voicemail_model::MailboxId;

/// A replica takes the turn of a mailbox as its courier would. A turn that fails leaves its work to the next.
pub async fn take_turn(core: &Core, carrier: &mut dyn Carrier, holder: &str, mailbox: &MailboxId) {
    let Ok(sender) = Sender::parse("voicemail@example.com", None) else { return };
    let (templates, stop) = (Templates::default(), CancellationToken::new());
    let desk = Desk { core, sender: &sender, templates: &templates, holder, stop: &stop, count: &|_| {} };
    if let Err(error) = desk.take_turn(carrier, mailbox).await {
        tracing::debug!(%error, "a turn failed");
    }
}
