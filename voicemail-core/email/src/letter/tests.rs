//! Mails read back by a parser that isn't ours.

use super::*;
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

const RECEIVED: Time = Time(1_790_000_000_000);

const HEADERS: [&str; 12] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Reply-To",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
];

fn sender() -> Sender {
    Sender::parse("Voicemail Größe <voicemail@example.com>", Some("help@example.com")).unwrap()
}

fn told<'a>() -> Told<'a> {
    Told {
        received: RECEIVED,
        duration_ms: 41_200,
        urgent: false,
        caller: Some(Caller { number: Some("+442079460000"), name: Some("Zoë O'Neil") }),
        link: None,
        recording: Recording::None,
    }
}

fn letter<'a>(
    to: &'a EmailAddress,
    zone: &'a TimeZone,
    language: Language,
    messages: &'a [Told<'a>],
) -> Letter<'a> {
    Letter {
        to,
        language,
        mailbox: "Sales",
        zone,
        messages,
        id: "0123456789abcdef",
        thread: "fedcba9876543210",
        unsubscribe: None,
        now: RECEIVED,
    }
}

fn ann() -> EmailAddress {
    "ann@example.com".parse().unwrap()
}

fn written(letter: &Letter<'_>) -> Vec<u8> {
    compose(&sender(), &Templates::default(), letter).unwrap().formatted()
}

#[test]
fn a_mail_has_the_headers_of_an_automatic_message_in_a_mailboxes_thread() {
    let (to, zone) = (ann(), TimeZone::UTC);
    let bytes = written(&letter(&to, &zone, Language::En, &[told()]));
    let mail = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(mail.subject(), Some("New message from Zoë O'Neil in mailbox Sales"));
    assert_eq!(mail.message_id(), Some("msg.0123456789abcdef@example.com"));
    assert_eq!(mail.in_reply_to().as_text(), Some("box.fedcba9876543210@example.com"));
    assert_eq!(mail.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Voicemail Größe"), Some("voicemail@example.com")));
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("ann@example.com"));
    assert_eq!(mail.reply_to().unwrap().first().unwrap().address(), Some("help@example.com"));
    assert_eq!(mail.date().unwrap().to_timestamp() * 1_000, RECEIVED.0);
}

#[test]
fn a_link_is_in_both_parts_as_it_is() {
    let (to, zone) = (ann(), TimeZone::UTC);
    let url = "https://voicemail.example/ui/inbox/1001%23a/01996a10-1111-7abc-8def-0123456789ab?a&b";
    let linked = [Told { link: Some(url.into()), ..told() }];
    let bytes = written(&letter(&to, &zone, Language::En, &linked));
    let mail = MessageParser::default().parse(&bytes).unwrap();
    assert!(
        mail.body_text(0).unwrap().contains(&format!("Listen to the message in the Inbox:\r\n{url}\r\n"))
    );
    let html = mail.body_html(0).unwrap().into_owned();
    assert!(html.contains(&format!("<a href=\"{}\">", url.replace('&', "&amp;"))), "{html}");
}

#[test]
fn the_same_letter_gives_the_same_bytes() {
    let (to, zone) = (ann(), TimeZone::UTC);
    assert_eq!(
        written(&letter(&to, &zone, Language::De, &[told()])),
        written(&letter(&to, &zone, Language::De, &[told()]))
    );
}

#[test]
fn the_plain_part_reads_as_written_here() {
    let (to, zone) = (ann(), TimeZone::get("Europe/Berlin").unwrap());
    let urgent = [Told { urgent: true, ..told() }];
    let bytes = written(&letter(&to, &zone, Language::De, &urgent));
    let mail = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(mail.subject(), Some("Dringend: Neue Nachricht von Zoë O'Neil im Postfach Sales"));
    let expected = "Im Postfach Sales ist eine neue Nachricht.\n\
        Der Anrufer hat diese Nachricht als dringend gekennzeichnet.\n\n\
        Postfach: Sales\nAnrufer: Zoë O'Neil, +442079460000\nEingegangen: 21.09.2026 16:13 CEST\nLänge: 0:42\n\n\
        -- \nDiese E-Mail wurde automatisch verschickt. Antworten darauf werden möglicherweise nicht gelesen.\n";
    assert_eq!(mail.body_text(0).unwrap().replace("\r\n", "\n"), expected);
    assert!(mail.body_html(0).unwrap().contains("<bdi>Zoë O&#39;Neil, +442079460000</bdi>"));
}

#[test]
fn a_note_tells_nothing_of_the_caller() {
    let (to, zone) = (ann(), TimeZone::UTC);
    for language in Language::ALL {
        let bytes = written(&letter(&to, &zone, language, &[Told { caller: None, ..told() }]));
        let mail = MessageParser::default().parse(&bytes).unwrap();
        let all = format!("{:?} {:?} {:?}", mail.subject(), mail.body_text(0), mail.body_html(0));
        assert!(all.contains("Sales") && all.contains("0:42"), "{all}");
        assert!(!all.contains("Zo") && !all.contains("4420"), "{all}");
    }
}

#[test]
fn a_recording_is_attached_byte_by_byte_under_a_name_without_a_caller() {
    let (to, zone) = (ann(), TimeZone::UTC);
    let wav: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n * 7 % 256).unwrap()).collect();
    let attached = [Told { recording: Recording::Attached(wav.clone()), ..told() }];
    let bytes = written(&letter(&to, &zone, Language::Fr, &attached));
    let mail = MessageParser::default().parse(&bytes).unwrap();
    let part = mail.attachment(0).unwrap();
    assert_eq!(part.contents(), wav);
    assert_eq!(part.attachment_name(), Some("2026-09-21-141320.wav"));
    assert_eq!(part.content_type().unwrap().ctype(), "audio");
    assert!(mail.body_text(0).unwrap().contains("L’enregistrement est joint."));
    assert_eq!((mail.attachment_count(), mail.text_body_count(), mail.html_body_count()), (1, 1, 1));
}

#[test]
fn several_messages_are_one_mail_in_their_order_with_what_is_said_of_each() {
    let (to, zone) = (ann(), TimeZone::get("Europe/Berlin").unwrap());
    let later = |seconds: i64| Time(RECEIVED.0 + seconds * 1_000);
    let withheld = Some(Caller::default());
    let messages = [
        Told { recording: Recording::Attached(b"first".to_vec()), ..told() },
        Told {
            received: later(60),
            caller: withheld,
            urgent: true,
            recording: Recording::TooLarge,
            ..told()
        },
        Told { received: later(120), recording: Recording::Attached(b"third".to_vec()), ..told() },
    ];
    let bytes = written(&letter(&to, &zone, Language::De, &messages));
    let mail = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(mail.subject(), Some("Dringend: 3 neue Nachrichten im Postfach Sales"));
    let expected = "Im Postfach Sales sind 3 neue Nachrichten.\n\n\
        Anrufer: Zoë O'Neil, +442079460000\nEingegangen: 21.09.2026 16:13 CEST\nLänge: 0:42\n\n\
        Die Aufnahme ist angehängt.\n\n\
        Anrufer: Unterdrückte Nummer\nEingegangen: 21.09.2026 16:14 CEST\nLänge: 0:42\n\n\
        Der Anrufer hat diese Nachricht als dringend gekennzeichnet.\n\
        Die Aufnahme ist zu groß für eine E-Mail. Hören Sie sie in Ihrem Postfach an.\n\n\
        Anrufer: Zoë O'Neil, +442079460000\nEingegangen: 21.09.2026 16:15 CEST\nLänge: 0:42\n\n\
        Die Aufnahme ist angehängt.\n\n";
    let text = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(text.split("-- \n").next(), Some(expected));
    let attached: Vec<_> =
        mail.attachments().map(|part| (part.attachment_name().unwrap(), part.contents())).collect();
    let names = ["1-2026-09-21-161320.wav", "3-2026-09-21-161520.wav"];
    assert_eq!(attached, [(names[0], &b"first"[..]), (names[1], &b"third"[..])]);
    let html = mail.body_html(0).unwrap().into_owned();
    assert!(
        html.contains("<h1>Neue Sprachnachrichten</h1>") && html.matches("<table>").count() == 3,
        "{html}"
    );
}

#[test]
fn the_click_that_ends_mails_stands_in_its_headers_as_it_is_or_not_at_all() {
    let (to, zone) = (ann(), TimeZone::UTC);
    let headers = |url: &str| {
        let messages = [told()];
        let bytes =
            written(&Letter { unsubscribe: Some(url), ..letter(&to, &zone, Language::En, &messages) });
        assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));
        String::from_utf8(bytes).unwrap()
    };
    let url = format!("https://voicemail.example/ui/unsubscribe/{}", "aB3_-".repeat(180));
    let line =
        format!("\r\nList-Unsubscribe: <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    assert!(headers(&url).contains(&line));
    for bad in
        [format!("{url}{}", "x".repeat(40)), "https://a.example/\r\nBcc: b@c".into(), "https://a/>".into()]
    {
        assert!(!headers(&bad).contains("List-Unsubscribe"), "{bad}");
    }
}

#[test]
fn the_html_loads_nothing_from_elsewhere() {
    let (to, zone) = (ann(), TimeZone::UTC);
    let bytes = written(&letter(&to, &zone, Language::It, &[told()]));
    let mail = MessageParser::default().parse(&bytes).unwrap();
    let html = mail.body_html(0).unwrap();
    for word in ["http", "src=", "url(", "<script", "<img", "<link", "@import"] {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.contains("lang=\"it\"") && html.contains("prefers-color-scheme"));
}

#[test]
fn a_sender_that_is_no_address_is_refused() {
    for bad in [
        "",
        "Voicemail",
        "a@example.com, b@example.com",
        "\"a b\"@example.com",
        "a@example.com\r\nBcc: b@example.com",
    ] {
        assert_eq!(Sender::parse(bad, None).err(), Some(ComposeError::NoSender), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn whatever_a_caller_is_named_nothing_is_injected_and_no_line_is_too_long(
        name in any::<String>(), number in "\\PC{0,300}", label in any::<String>(), nasty in "[\r\n:<>@ a-z\u{202e}\u{5d0}😀=?]{0,1200}",
    ) {
        let (to, zone) = (ann(), TimeZone::UTC);
        for name in [name, nasty] {
            let caller = Caller { number: Some(&number), name: Some(&name) };
            let messages = [Told { caller: Some(caller), ..told() }];
            let letter = Letter { mailbox: &label, ..letter(&to, &zone, Language::En, &messages) };
            let bytes = written(&letter);
            prop_assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));
            prop_assert!(bytes.is_ascii());
            let mail = MessageParser::default().parse(&bytes).unwrap();
            let names: Vec<&str> = mail.headers().iter().map(|header| header.name()).collect();
            prop_assert_eq!(names, HEADERS);
            prop_assert_eq!(mail.to().unwrap().iter().count(), 1);
            prop_assert!(mail.cc().is_none() && mail.bcc().is_none());
            // Folded white space may come back as one space.
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(squeezed(mail.subject().unwrap()), squeezed(&subject(Templates::default().words(letter.language), &letter)));
            prop_assert!(mail.body_html(0).unwrap().matches("<bdi>").count() == 4);
        }
    }

    #[test]
    fn every_address_that_is_taken_can_be_written_to(local in "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}", domain in "[a-z0-9]{1,20}(\\.[a-z0-9-]{1,20}){0,3}") {
        let Ok(to) = format!("{local}@{domain}").parse::<EmailAddress>() else { return Ok(()) };
        let zone = TimeZone::UTC;
        let bytes = written(&letter(&to, &zone, Language::En, &[told()]));
        let mail = MessageParser::default().parse(&bytes).unwrap();
        prop_assert_eq!(mail.to().unwrap().first().unwrap().address(), Some(to.reveal()));
    }
}
