//! A mail about a message, or about several that waited for each other, for one reader, as MIME (RFC 5322, RFC 2045).
//!
//! What others wrote (a caller's name, a mailbox's label) is brought onto one line first; `lettre` encodes headers and
//! parts. The same letter always gives the same bytes: its time and its id are arguments, and the boundaries between the
//! parts are made of the id.

use crate::clean::{clean, isolated};
use crate::html::{Block, Page, render};
use crate::template::{Language, Templates, Words, fill};
use jiff::tz::TimeZone;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use std::time::{Duration, SystemTime};
use voicemail_model::{EmailAddress, Time, minutes_and_seconds};

/// Longest address in a header, in characters: with the header's name it fits on one line.
const LONGEST_ADDRESS: usize = 970;

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

/// What a mail tells of one message.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// When the message was left.
    pub received: Time,
    /// Length of the recording in milliseconds.
    pub duration_ms: u64,
    /// Marked as urgent.
    pub urgent: bool,
    /// Who called; not told when absent.
    pub caller: Option<Caller<'a>>,
    /// Where the reader hears the message, if they are told.
    pub link: Option<String>,
    /// The recording.
    pub recording: Recording,
}

/// What a mail is about, and for whom.
pub struct Letter<'a> {
    /// The reader's address.
    pub to: &'a EmailAddress,
    /// The reader's language.
    pub language: Language,
    /// The mailbox's label, or its name.
    pub mailbox: &'a str,
    /// The mailbox's time zone.
    pub zone: &'a TimeZone,
    /// The messages, oldest first: at least one.
    pub messages: &'a [Told<'a>],
    /// The mail's id, of letters and digits: the same for every attempt, another for every reader and other messages.
    pub id: &'a str,
    /// The id of the mailbox's thread, likewise.
    pub thread: &'a str,
    /// Where one click ends the mails to this reader (RFC 8058): an HTTPS address in ASCII.
    pub unsubscribe: Option<&'a str>,
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
    if let Some(url) = letter.unsubscribe.filter(|url| fits_in_header(url)) {
        builder = builder.raw_header(verbatim("List-Unsubscribe", &format!("<{url}>")));
        builder = builder.raw_header(verbatim("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
    }
    if letter.messages.iter().any(|told| told.urgent) {
        builder = builder.raw_header(header("Importance", "high"));
    }
    builder.multipart(parts(words, letter)).map_err(|_| ComposeError::Parts)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// As it stands: an address that is broken or encoded anywhere isn't found by mail programs.
fn verbatim(name: &'static str, value: &str) -> HeaderValue {
    let (name, value) = (HeaderName::new_from_ascii_str(name), value.to_owned());
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

/// A line of a mail has at most 998 characters (RFC 5322, 2.1.1); an address without spaces can't be folded.
fn fits_in_header(url: &str) -> bool {
    url.len() <= LONGEST_ADDRESS && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte))
}

fn system_time(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(time.0).unwrap_or(0))
}

fn subject(words: &Words, letter: &Letter<'_>) -> String {
    let mailbox = isolated(letter.mailbox);
    let plain = match letter.messages {
        [told] => subject_of_one(words, &mailbox, told),
        many => fill(&words.digest_subject, &[("count", &many.len().to_string()), ("mailbox", &mailbox)]),
    };
    let urgent = letter.messages.iter().any(|told| told.urgent);
    if urgent { fill(&words.urgent_prefix, &[("subject", &plain)]) } else { plain }
}

fn subject_of_one(words: &Words, mailbox: &str, told: &Told<'_>) -> String {
    match &told.caller {
        None => {
            let length = minutes_and_seconds(told.duration_ms);
            fill(&words.note_subject, &[("mailbox", mailbox), ("length", &length)])
        }
        Some(caller) => {
            let caller = short_name(words, caller);
            fill(&words.caller_subject, &[("caller", &caller), ("mailbox", mailbox)])
        }
    }
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

fn when(pattern: &str, zone: &TimeZone, told: &Told<'_>) -> String {
    let at = jiff::Timestamp::from_millisecond(told.received.0).unwrap_or_default();
    at.to_zoned(zone.clone()).strftime(pattern).to_string()
}

fn rows(words: &Words, zone: &TimeZone, told: &Told<'_>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if let Some(caller) = &told.caller {
        rows.push((words.caller.clone(), full_name(words, caller)));
    }
    rows.push((words.received.clone(), when(&words.when, zone, told)));
    rows.push((words.length.clone(), minutes_and_seconds(told.duration_ms)));
    rows
}

fn block<'a>(words: &'a Words, zone: &TimeZone, told: &'a Told<'_>) -> Block<'a> {
    let tail = match &told.recording {
        Recording::None => Vec::new(),
        Recording::Attached(_) => vec![words.attached.clone()],
        Recording::TooLarge => vec![words.too_large.clone()],
    };
    let link = told.link.as_deref().map(|url| (words.open.as_str(), url));
    Block { rows: rows(words, zone, told), tail, link }
}

/// What stands above the messages, and each of them. Of one alone, the mailbox is a row, and what is urgent is said first.
fn said<'a>(words: &'a Words, letter: &'a Letter<'_>) -> (Vec<String>, Vec<Block<'a>>) {
    let mailbox = isolated(letter.mailbox);
    let mut blocks: Vec<Block<'_>> =
        letter.messages.iter().map(|told| block(words, letter.zone, told)).collect();
    if let ([told], [only]) = (letter.messages, blocks.as_mut_slice()) {
        let mut lead = vec![fill(&words.note, &[("mailbox", &mailbox)])];
        lead.extend(told.urgent.then(|| words.urgent.clone()));
        only.rows.insert(0, (words.mailbox.clone(), mailbox));
        return (lead, blocks);
    }
    for (block, _) in blocks.iter_mut().zip(letter.messages).filter(|(_, told)| told.urgent) {
        block.tail.insert(0, words.urgent.clone());
    }
    let count = letter.messages.len().to_string();
    (vec![fill(&words.digest, &[("count", &count), ("mailbox", &mailbox)])], blocks)
}

fn parts(words: &Words, letter: &Letter<'_>) -> MultiPart {
    let (lead, blocks) = said(words, letter);
    let one = letter.messages.len() == 1;
    let page = Page {
        language: letter.language.code(),
        title: if one { &words.title } else { &words.digest_title },
        lead: &lead,
        blocks: &blocks,
        footer: &words.footer,
    };
    let texts = MultiPart::alternative()
        .boundary(format!("text.{}", letter.id))
        .singlepart(SinglePart::plain(plain(&page)))
        .singlepart(SinglePart::html(render(&page)));
    let attached: Vec<SinglePart> = letter
        .messages
        .iter()
        .zip(1..)
        .filter_map(|(told, number)| {
            let Recording::Attached(bytes) = &told.recording else { return None };
            let number = (!one).then_some(number);
            let wav = ContentType::parse("audio/wav").unwrap_or(ContentType::TEXT_PLAIN);
            Some(Attachment::new(file_name(letter.zone, told, number)).body(bytes.clone(), wav))
        })
        .collect();
    if attached.is_empty() {
        return texts;
    }
    let mixed = MultiPart::mixed().boundary(format!("mail.{}", letter.id)).multipart(texts);
    attached.into_iter().fold(mixed, MultiPart::singlepart)
}

/// Names no caller: files lie about longer than mails.
fn file_name(zone: &TimeZone, told: &Told<'_>, number: Option<usize>) -> String {
    let number = number.map(|number| format!("{number}-")).unwrap_or_default();
    format!("{number}{}.wav", clean(&when("%Y-%m-%d-%H%M%S", zone, told)))
}

fn plain(page: &Page<'_>) -> String {
    let mut lines: Vec<String> = page.lead.to_vec();
    lines.push(String::new());
    for block in page.blocks {
        lines.extend(block.rows.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push(String::new());
        if !block.tail.is_empty() {
            lines.extend(block.tail.iter().cloned());
            lines.push(String::new());
        }
        if let Some((words, url)) = block.link {
            lines.extend([format!("{words}:"), url.to_owned(), String::new()]);
        }
    }
    // The usual line above a signature (RFC 3676, 4.3).
    lines.extend(["-- ".to_owned(), page.footer.to_owned(), String::new()]);
    lines.join("\r\n")
}

#[cfg(test)]
mod tests;
