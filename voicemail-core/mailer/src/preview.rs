//! A mail as readers would get it, about messages that nobody left: for whoever writes a tenant's own words.
//!
//! Nothing is sent, and no store is asked. What can go wrong: a word, the sender, a language that mails aren't written in.

use crate::link::link_to;
use jiff::tz::TimeZone;
use voicemail_api::config::{EmailContent, TenantConfig};
use voicemail_email::{
    Caller, ComposeError, Language, Letter, Recording, Sender, TemplateError, Templates, Told, compose,
};
use voicemail_model::{EmailAddress, MailboxId, Time};

/// The reader, the mailbox and the caller; the number is among those that are kept for films (Ofcom).
const READER: &str = "reader@example.com";
const MAILBOX: &str = "1001";
const CALLER: Caller<'static> = Caller { number: Some("+442079460958"), name: Some("Ada Lovelace") };
const MESSAGE: &str = "01996a10-1111-7abc-8def-0123456789ab";
const DURATION_MS: u64 = 42_000;

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The configuration has no e-mails.
    #[error("the configuration has no email: there is nothing to be previewed")]
    NoEmail,
    /// No mails are written in this language.
    #[error("write de, en, es, fr or it")]
    NoLanguage,
    /// No mail is sent.
    #[error("a class of service with none sends no mail: write note, caller, link or audio")]
    NoContent,
    /// A word.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The sender.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

/// The mail about so many messages, at least one, as it would be handed to the server (RFC 5322).
///
/// # Errors
/// See [`PreviewError`].
pub fn preview(
    config: &TenantConfig,
    language: &str,
    content: EmailContent,
    count: u8,
    now: Time,
) -> Result<Vec<u8>, PreviewError> {
    let email = config.email.as_ref().ok_or(PreviewError::NoEmail)?;
    let language = Language::of(language).ok_or(PreviewError::NoLanguage)?;
    if content.is_none() {
        return Err(PreviewError::NoContent);
    }
    let templates = email.templates_dir.as_deref().map(Templates::read).transpose()?.unwrap_or_default();
    let sender = Sender::parse(&email.from, email.reply_to.as_deref())?;
    let to: EmailAddress = READER.parse().map_err(|_| ComposeError::NoRecipient)?;
    let zone = config.reception.time_zone.as_ref().and_then(|name| TimeZone::get(name).ok());
    let mailbox: MailboxId = MAILBOX.parse().map_err(|_| ComposeError::Parts)?;
    let link = MESSAGE.parse().ok().and_then(|id| link_to(config, content, &mailbox, id));
    let told = Told {
        received: now,
        duration_ms: DURATION_MS,
        urgent: false,
        caller: (content >= EmailContent::Caller).then_some(CALLER),
        link,
        recording: match content {
            EmailContent::Audio => Recording::Attached(silence()),
            _ => Recording::None,
        },
    };
    let messages = vec![told; usize::from(count.max(1))];
    let letter = Letter {
        to: &to,
        language,
        mailbox: MAILBOX,
        zone: &zone.unwrap_or(TimeZone::UTC),
        messages: &messages,
        id: "preview",
        thread: "preview",
        unsubscribe: None,
        now,
    };
    Ok(compose(&sender, &templates, &letter)?.formatted())
}

/// A WAV file without a sample: PCM, 8 kHz, 16 bits.
fn silence() -> Vec<u8> {
    let mut file = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(8_000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data\0\0\0\0");
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(templates: &std::path::Path) -> TenantConfig {
        TenantConfig::parse(&format!(
            "{{tenantId: t, cluster: c, region: r, keysDir: /k, defaultNumberRegion: GB, \
             regions: [{{name: r, master: true, storage: {{volume: {{path: /v}}}}}}], \
             listen: {{api: '127.0.0.1:1', metrics: '127.0.0.1:2'}}, auth: {{basic: {{usersFile: /u}}}}, \
             web: {{host: voicemail.example, passwords: true}}, \
             email: {{smtp: {{host: mail.example}}, from: v@example.com, templatesDir: {}}}}}",
            templates.display()
        ))
        .unwrap()
    }

    #[test]
    fn a_preview_has_the_tenants_words_and_what_the_content_tells() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("en.json"), r#"{"callerSubject": "Acme: {caller}"}"#).unwrap();
        let config = config(folder.path());
        let several =
            |language, content, count| preview(&config, language, content, count, Time(1_790_000_000_000));
        let text = |language, content| several(language, content, 1);
        let mail = String::from_utf8(text("en", EmailContent::Audio).unwrap()).unwrap();
        assert!(mail.contains("Subject: Acme: Ada Lovelace\r\n") && mail.contains("audio/wav"), "{mail}");
        assert!(mail.contains("voicemail.example/ui/inbox/1001/"), "{mail}");
        let note = String::from_utf8(text("de-AT", EmailContent::Note).unwrap()).unwrap();
        assert!(!note.contains("Ada") && !note.contains("voicemail.example/ui"), "{note}");
        let digest = String::from_utf8(several("en", EmailContent::Caller, 3).unwrap()).unwrap();
        assert!(digest.contains("Subject: 3 new messages in mailbox 1001\r\n"), "{digest}");
        assert!(matches!(text("pl", EmailContent::Note), Err(PreviewError::NoLanguage)));
        assert!(matches!(text("en", EmailContent::None), Err(PreviewError::NoContent)));
        std::fs::write(folder.path().join("en.json"), "{}x").unwrap();
        assert!(matches!(text("en", EmailContent::Note), Err(PreviewError::Template(_))));
    }
}
