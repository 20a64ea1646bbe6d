//! A mail about one message for one reader, as MIME (RFC 5322, RFC 2045).
//!
//! What others wrote (a caller's name, a mailbox's label) is brought onto one line first; `lettre` encodes headers and
//! parts. The same letter gives the same bytes but for nothing: time, ids and boundaries are given.

use crate::clean::{clean, isolated};
use crate::html::{Page, render};
use crate::template::{Language, Templates, Words, fill};
use jiff::tz::TimeZone;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use std::time::{Duration, SystemTime};
use voicemail_model::{EmailAddress, Time, minutes_and_seconds};

/// Who writes.
#[derive(Clone, Debug)]
pub struct Sender {
    pub(crate) from: Mailbox,
    reply_to: Option<Mailbox>,
}

impl Sender {
    /// Reads the sender and where answers go: `voicemail@example.com`, or `Voicemail <voicemail@example.com>`.
    ///
    /// # Errors
    /// `NoSender` for what is neither.
    pub fn parse(from: &str, reply_to: Option<&str>) -> Result<Self, ComposeError> {
        let read = |text: &str| {
            let mailbox: Mailbox = text.parse().map_err(|_| ComposeError::NoSender)?;
            let plain: Result<EmailAddress, _> = mailbox.email.to_string().parse();
            plain.map(|_| mailbox).map_err(|_| ComposeError::NoSender)
        };
        Ok(Self { from: read(from)?, reply_to: reply_to.map(read).transpose()? })
    }

    /// The domain that ids are made in.
    fn domain(&self) -> &str {
        self.from.email.domain()
    }
}

/// The person who called.
#[derive(Clone, Debug, Default)]
pub struct Caller<'a> {
    /// The number as given; none when withheld.
    pub number: Option<&'a str>,
    /// The display name as given by the network.
    pub name: Option<&'a str>,
}

/// The recording in a mail.
#[derive(Clone, Debug)]
pub enum Recording {
    /// It isn't told of.
    None,
    /// Attached: the bytes of a WAV file.
    Attached(Vec<u8>),
    /// Too large to be attached, which is said.
    TooLarge,
}

/// What a mail is about, and for whom.
pub struct Letter<'a> {
    /// The reader's address.
    pub to: &'a EmailAddress,
    /// The reader's language.
    pub language: Language,
    /// The mailbox's label, or its name.
    pub mailbox: &'a str,
    /// When the message was left.
    pub received: Time,
    /// The mailbox's time zone.
    pub zone: &'a TimeZone,
    /// Length of the recording in milliseconds.
    pub duration_ms: u64,
    /// Marked as urgent.
    pub urgent: bool,
    /// Who called; not told when absent.
    pub caller: Option<Caller<'a>>,
    /// Where the reader hears the message, if they are told.
    pub link: Option<&'a str>,
    /// The recording.
    pub recording: Recording,
    /// The mail's id, of letters and digits: the same for every attempt, another for every reader and message.
    pub id: &'a str,
    /// The id of the mailbox's thread, likewise.
    pub thread: &'a str,
    /// When the mail is written.
    pub now: Time,
}

/// Why a mail can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The configured sender is no address.
    #[error(
        "email.from, email.replyTo: write one address, or a name with one, such as Voicemail <voicemail@example.com>"
    )]
    NoSender,
    /// The reader's address can't stand in a header.
    #[error("an address can't be written to")]
    NoRecipient,
    /// The parts don't make a mail.
    #[error("a mail can't be put together")]
    Parts,
}

impl ComposeError {
    /// A stable word for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoSender => "NoSender",
            Self::NoRecipient => "NoRecipient",
            Self::Parts => "Parts",
        }
    }
}

/// Writes the mail.
///
/// # Errors
/// See [`ComposeError`].
pub fn compose(sender: &Sender, templates: &Templates, letter: &Letter<'_>) -> Result<Message, ComposeError> {
    let words = templates.words(letter.language);
    let to: Mailbox = letter.to.reveal().parse().map_err(|_| ComposeError::NoRecipient)?;
    let domain = sender.domain();
    let thread = format!("<box.{}@{domain}>", letter.thread);
    let mut builder = Message::builder()
        .from(sender.from.clone())
        .to(to)
        .subject(subject(words, letter))
        .date(system_time(letter.now))
        .message_id(Some(format!("<msg.{}@{domain}>", letter.id)))
        .in_reply_to(thread.clone())
        .references(thread);
    if let Some(reply_to) = &sender.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    // RFC 3834, 5: nobody's holiday notice answers; the second header is for Exchange, which knows the first only in part.
    builder = builder.raw_header(header("Auto-Submitted", "auto-generated"));
    builder = builder.raw_header(header("X-Auto-Response-Suppress", "All"));
    if letter.urgent {
        builder = builder.raw_header(header("Importance", "high"));
    }
    builder.multipart(parts(words, letter)).map_err(|_| ComposeError::Parts)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn system_time(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(time.0).unwrap_or(0))
}

fn subject(words: &Words, letter: &Letter<'_>) -> String {
    let (mailbox, length) = (isolated(letter.mailbox), minutes_and_seconds(letter.duration_ms));
    let plain = match &letter.caller {
        None => fill(&words.note_subject, &[("mailbox", &mailbox), ("length", &length)]),
        Some(caller) => {
            let caller = short_name(words, caller);
            fill(&words.caller_subject, &[("caller", &caller), ("mailbox", &mailbox)])
        }
    };
    if letter.urgent { fill(&words.urgent_prefix, &[("subject", &plain)]) } else { plain }
}

/// The name, else the number, else that it is withheld.
fn short_name(words: &Words, caller: &Caller<'_>) -> String {
    let known = [caller.name, caller.number].into_iter().flatten().map(isolated);
    known.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| words.withheld.clone())
}

/// Name and number, as far as they are known.
fn full_name(words: &Words, caller: &Caller<'_>) -> String {
    let known = [caller.name, caller.number].into_iter().flatten().map(isolated);
    let known: Vec<String> = known.filter(|text| !text.is_empty()).collect();
    if known.is_empty() { words.withheld.clone() } else { known.join(", ") }
}

fn when(pattern: &str, letter: &Letter<'_>) -> String {
    let at = jiff::Timestamp::from_millisecond(letter.received.0).unwrap_or_default();
    at.to_zoned(letter.zone.clone()).strftime(pattern).to_string()
}

fn rows(words: &Words, letter: &Letter<'_>) -> Vec<(String, String)> {
    let mut rows = vec![(words.mailbox.clone(), isolated(letter.mailbox))];
    if let Some(caller) = &letter.caller {
        rows.push((words.caller.clone(), full_name(words, caller)));
    }
    rows.push((words.received.clone(), when(&words.when, letter)));
    rows.push((words.length.clone(), minutes_and_seconds(letter.duration_ms)));
    rows
}

fn parts(words: &Words, letter: &Letter<'_>) -> MultiPart {
    let mut lead = vec![fill(&words.note, &[("mailbox", &isolated(letter.mailbox))])];
    lead.extend(letter.urgent.then(|| words.urgent.clone()));
    let tail: Vec<String> = match &letter.recording {
        Recording::None => Vec::new(),
        Recording::Attached(_) => vec![words.attached.clone()],
        Recording::TooLarge => vec![words.too_large.clone()],
    };
    let rows = rows(words, letter);
    let page = Page {
        language: letter.language.code(),
        title: &words.title,
        lead: &lead,
        rows: &rows,
        tail: &tail,
        link: letter.link.map(|url| (words.open.as_str(), url)),
        footer: &words.footer,
    };
    let texts = MultiPart::alternative()
        .boundary(format!("text.{}", letter.id))
        .singlepart(SinglePart::plain(plain(&page)))
        .singlepart(SinglePart::html(render(&page)));
    let Recording::Attached(bytes) = &letter.recording else { return texts };
    let wav = ContentType::parse("audio/wav").unwrap_or(ContentType::TEXT_PLAIN);
    let attachment = Attachment::new(file_name(letter)).body(bytes.clone(), wav);
    MultiPart::mixed().boundary(format!("mail.{}", letter.id)).multipart(texts).singlepart(attachment)
}

/// Names no caller: files lie about longer than mails.
fn file_name(letter: &Letter<'_>) -> String {
    format!("{}.wav", clean(&when("%Y-%m-%d-%H%M%S", letter)))
}

fn plain(page: &Page<'_>) -> String {
    let mut lines: Vec<String> = page.lead.to_vec();
    lines.push(String::new());
    lines.extend(page.rows.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(String::new());
    if !page.tail.is_empty() {
        lines.extend(page.tail.iter().cloned());
        lines.push(String::new());
    }
    if let Some((words, url)) = page.link {
        lines.extend([format!("{words}:"), url.to_owned(), String::new()]);
    }
    // The usual line above a signature (RFC 3676, 4.3).
    lines.extend(["-- ".to_owned(), page.footer.to_owned(), String::new()]);
    lines.join("\r\n")
}

#[cfg(test)]
mod tests;
