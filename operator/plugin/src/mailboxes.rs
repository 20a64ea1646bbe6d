//! `kubectl voicemail mailboxes TENANT`: what the tenant's API lists for administrators.

use super::PluginError;
use super::arguments::Reach;
use super::place::Place;
use super::reach::TenantApi;
use super::table::render;
use voicemail_api::mailboxes::{MailboxList, MailboxView};
use voicemail_api::percent::encode_segment;
use voicemail_resources::voicemail_tenant::Role;

/// A line for each mailbox.
pub(super) async fn list(place: &Place, name: &str, reach: &Reach) -> Result<String, PluginError> {
    let tenant = place.tenant(name).await?;
    let api = TenantApi::open(place, &tenant, Role::Admin, reach).await?;
    let mut rows = Vec::new();
    let mut path = "mailboxes?limit=200".to_owned();
    loop {
        let page: MailboxList = api.get(&path).await?;
        rows.extend(page.mailboxes.into_iter().map(row));
        match page.next {
            Some(next) => path = format!("mailboxes?limit=200&cursor={}", encode_segment(&next)),
            None => return Ok(render(&["MAILBOX", "CLASS", "MESSAGES", "AT MOST", "LABEL"], &rows)),
        }
    }
}

fn row(mailbox: MailboxView) -> Vec<String> {
    vec![
        mailbox.mailbox,
        mailbox.class_of_service,
        mailbox.messages.to_string(),
        mailbox.max_messages.to_string(),
        mailbox.label.unwrap_or_default(),
    ]
}
