//! E-mails about new messages: what they may tell, and the server that takes them.

use super::TenantConfig;
use super::check::{ConfigError, rule};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How much an e-mail about a new message tells; each tells all that those before it tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmailContent {
    /// No e-mail is sent.
    #[default]
    None,
    /// That there is a message, in which mailbox, and how long it is. No personal data of the caller.
    Note,
    /// And who called, with number and name.
    Caller,
    /// And a link to the message in the Inbox, where the reader signs in to hear it.
    Link,
    /// And the recording, attached; with the link where there are pages.
    Audio,
}

impl EmailContent {
    /// Whether it is what is usual: nothing is sent.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The way of e-mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailConfig {
    /// The server that takes them.
    pub smtp: SmtpConfig,
    /// The sender, also in the envelope: an address, or a name with an address such as `Voicemail <voicemail@example.com>`.
    pub from: String,
    /// Where answers go, if not to the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Folder with the tenant's own words, a file a language such as `en.json`, over the built-in ones. Re-read for every
    /// mailbox whose mails are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates_dir: Option<PathBuf>,
}

/// An SMTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmtpConfig {
    /// Host name, which the server's certificate must name.
    pub host: String,
    /// Port; 587 with `startTls`, 465 with `tls` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is encrypted. There is no way without.
    #[serde(default)]
    pub tls: SmtpTls,
    /// Folder with the files `username` and `password`; no login when absent. Re-read for every connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_dir: Option<PathBuf>,
    /// PEM file of a private CA; the system's when absent. Re-read for every connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// How a connection to an SMTP server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SmtpTls {
    /// By the command STARTTLS (RFC 3207), without which nothing else is said.
    #[default]
    StartTls,
    /// From the first byte on (RFC 8314).
    Tls,
}

impl SmtpConfig {
    /// The port in force.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::StartTls => 587,
            SmtpTls::Tls => 465,
        })
    }
}

impl TenantConfig {
    /// Whether mails can link to the Inbox.
    fn has_pages(&self) -> bool {
        self.web.as_ref().is_some_and(|web| web.host.is_some())
    }

    /// Mails that would link to an Inbox that isn't there tell who called instead: a policy may take a tenant's pages away.
    pub fn leave_out_dead_links(&mut self) {
        if self.has_pages() {
            return;
        }
        for class in self.classes_of_service.iter_mut().filter(|class| class.email == EmailContent::Link) {
            class.email = EmailContent::Caller;
        }
    }
}

pub(super) fn check_email(config: &TenantConfig) -> Result<(), ConfigError> {
    let links = config.classes_of_service.iter().any(|class| class.email == EmailContent::Link);
    rule(!links || config.has_pages(), "classesOfService.email", || {
        "give web.host, by which browsers reach the Inbox, or choose another one than link".into()
    })?;
    let Some(email) = &config.email else { return Ok(()) };
    let host = &email.smtp.host;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    rule((1..=253).contains(&host.len()) && host.bytes().all(good), "email.smtp.host", || {
        "write the server's host name, such as mail.example.com".into()
    })?;
    rule(email.smtp.port != Some(0), "email.smtp.port", || "write 1 to 65535".into())?;
    let one = |text: &str| text.len() <= 320 && text.contains('@') && !text.chars().any(char::is_control);
    rule(one(&email.from), "email.from", sender_rule)?;
    rule(email.reply_to.as_deref().is_none_or(one), "email.replyTo", sender_rule)
}

fn sender_rule() -> String {
    "write one address, or a name with one, such as Voicemail <voicemail@example.com>".into()
}
