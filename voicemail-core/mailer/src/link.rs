//! The address at which a reader signs in and hears a message. Pure.

use voicemail_api::config::{EmailContent, TenantConfig};
use voicemail_api::percent::encode_segment;
use voicemail_model::{MailboxId, MessageId};

/// The message in the Inbox; none where the mail doesn't tell that much, or there are no pages.
pub(crate) fn link_to(
    config: &TenantConfig,
    content: EmailContent,
    mailbox: &MailboxId,
    id: MessageId,
) -> Option<String> {
    let host = config.web.as_ref()?.host.as_ref().filter(|_| content >= EmailContent::Link)?;
    Some(format!("https://{host}/ui/inbox/{}/{id}", encode_segment(mailbox.as_str())))
}
