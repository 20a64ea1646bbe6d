//! E-mails about new messages, by a mail server from Debian, read by a parser that isn't ours.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::ensure;
use mail_parser::{MessageParser, MimeHeaders};
use reqwest::Method;
use serde_json::{Value, json};
use voicemail_api::config::{SmtpConfig, SmtpTls};
use voicemail_email::{Server, SmtpError, Step};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::servers::exim::{Ask, Exim};
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;

use crate::scene::{PATIENCE, spoken};

pub(crate) const LONGER: Duration = Duration::from_secs(60);
pub(crate) const CALLER: &str = "+442079460001";

/// A core's configuration of mails by that server, of which the class tells that much.
pub(crate) fn email_lines(exim: &Exim, content: &str) -> String {
    format!(
        "email:
  smtp: {{host: localhost, port: {}, caFile: {}, credentialsDir: {}}}
  from: Voicemail <voicemail@example.com>
web: {{host: voicemail.example, passwords: true}}
classesOfService: [{{name: standard, minSeconds: 1, email: {content}}}]
",
        exim.port,
        exim.authority().display(),
        exim.credentials().display(),
    )
}

pub(crate) async fn core(exim: &Exim, content: &str) -> VoicemailCore {
    VoicemailCore::start_with(&email_lines(exim, content)).await.unwrap()
}

pub(crate) async fn put_alice(core: &VoicemailCore, more: Value) -> Value {
    let mut body = json!({ "mailboxes": ["1001", "1002"] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    core.ask("root", Method::PUT, "/users/alice", Some(body)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_by_mail_with_its_recording_in_the_readers_language() {
    let exim = Exim::start().await.unwrap();
    let core = core(&exim, "audio").await;
    core.ask("root", Method::PUT, "/mailboxes/1001", Some(json!({ "label": "Verkauf" }))).await.unwrap();
    put_alice(&core, json!({ "email": "alice@example.com", "language": "de-AT" })).await;
    let wav = spoken(3, 5);
    core.deposit("1001", CALLER, "Zoë\u{202e} 😀", wav.clone()).await.unwrap();
    let mails = exim.wait_mails("alice", 1, PATIENCE).await.unwrap();
    let mail = MessageParser::default().parse(&mails[0]).unwrap();
    assert_eq!(mail.subject(), Some("Neue Nachricht von Zoë 😀 im Postfach Verkauf"));
    assert_eq!(mail.attachment(0).unwrap().contents(), wav);
    assert!(mail.attachment(0).unwrap().attachment_name().unwrap().ends_with(".wav"));
    assert!(mail.body_text(0).unwrap().contains(CALLER));
    assert_eq!(mail.return_address(), Some("voicemail@example.com"));
    let seen = format!("{}{}", core.log(), core.metrics().await.unwrap());
    for secret in [CALLER, "alice@", "Zoë", "a mail server"] {
        assert!(!seen.contains(secret), "{secret} shows");
    }
    assert!(seen.contains("voicemail_emails_total{result=\"sent\"} 1"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_survives_a_crash_and_what_was_heard_meanwhile_is_not_sent() {
    let exim = Exim::start().await.unwrap();
    let mut core = core(&exim, "caller").await;
    put_alice(&core, json!({ "email": "alice@example.com" })).await;
    exim.ask(Ask::Later, true).unwrap();
    let heard = core.deposit("1001", CALLER, "Ann", spoken(2, 3)).await.unwrap();
    for name in ["Bob", "Cleo"] {
        core.deposit("1001", CALLER, name, spoken(2, 3)).await.unwrap();
    }
    let path = format!("/mailboxes/1001/messages/{heard}");
    core.ask("alice", Method::PATCH, &path, Some(json!({ "state": "read" }))).await.unwrap();
    // After a failure it rests, with no turn of a mailbox in its hands.
    let rests = poll(LONGER, async || {
        let metrics = core.metrics().await?;
        ensure!(metrics.contains("voicemail_emails_total{result=\"serverFailed\"}"), "nothing was tried");
        Ok(())
    });
    rests.await.unwrap();
    core.kill().unwrap();
    exim.ask(Ask::Later, false).unwrap();
    core.start_again_as_it_is().await.unwrap();
    let mails = exim.wait_mails("alice", 2, LONGER).await.unwrap();
    // The mail server delivers each mail by a process of its own: two that come at once may change places.
    let mut subjects: Vec<String> = mails.iter().map(|mail| subject(mail)).collect();
    subjects.sort();
    assert_eq!(subjects, ["Bob", "Cleo"].map(|name| format!("New message from {name} in mailbox 1001")));
    core.kill().unwrap();
    core.start_again_as_it_is().await.unwrap();
    core.deposit("1002", CALLER, "Dan", spoken(2, 3)).await.unwrap();
    let mails = exim.wait_mails("alice", 3, LONGER).await.unwrap();
    assert!(subject(&mails[2]).contains("Dan"), "nothing was sent twice");
}

fn subject(mail: &[u8]) -> String {
    MessageParser::default().parse(mail).unwrap().subject().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_refused_for_good_is_shown_and_tried_no_more_until_it_changes() {
    let exim = Exim::start().await.unwrap();
    let core = core(&exim, "note").await;
    exim.ask(Ask::Unknown("nobody"), true).unwrap();
    put_alice(&core, json!({ "email": "nobody@example.com" })).await;
    core.deposit("1001", CALLER, "Ann", spoken(2, 3)).await.unwrap();
    let refused = poll(PATIENCE, async || {
        let alice = core.ask("root", Method::GET, "/users/alice", None).await?;
        ensure!(alice["emailRefused"]["code"] == 550, "{alice}");
        Ok(alice)
    });
    refused.await.unwrap();
    assert!(put_alice(&core, json!({ "email": "alice@example.com" })).await["emailRefused"].is_null());
    core.deposit("1001", CALLER, "Bob", spoken(2, 3)).await.unwrap();
    let mails = exim.wait_mails("alice", 2, PATIENCE).await.unwrap();
    for mail in mails {
        let text = String::from_utf8_lossy(&mail).into_owned();
        assert!(subject(&mail).starts_with("New message in mailbox 1001, 0:02"), "{}", subject(&mail));
        assert!(!text.contains("Ann") && !text.contains("Bob") && !text.contains("79460001"), "{text}");
        assert!(!text.contains("/ui/inbox"), "a note has no link: {text}");
    }
    assert!(!core.log().contains("nobody"), "the address is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_too_large_for_the_server_comes_without_its_recording_and_greylisting_delays_one_reader() {
    let exim = Exim::start().await.unwrap();
    let core = core(&exim, "audio").await;
    exim.ask(Ask::Small, true).unwrap();
    exim.ask(Ask::Greylist("bob"), true).unwrap();
    put_alice(&core, json!({ "email": "alice@example.com" })).await;
    let bob = json!({ "mailboxes": ["1001"], "email": "bob@example.com", "language": "fr", "emailContent": "link" });
    core.ask("root", Method::PUT, "/users/bob", Some(bob)).await.unwrap();
    let id = core.deposit("1001", CALLER, "Ann", spoken(8, 3)).await.unwrap();
    let mails = exim.wait_mails("alice", 1, PATIENCE).await.unwrap();
    let mail = MessageParser::default().parse(&mails[0]).unwrap();
    assert_eq!(mail.attachment_count(), 0);
    assert!(mail.body_text(0).unwrap().contains("too large for an e-mail"));
    assert_eq!(exim.mails("bob").unwrap().len(), 0);
    exim.ask(Ask::Greylist("bob"), false).unwrap();
    let mails = exim.wait_mails("bob", 1, LONGER).await.unwrap();
    assert_eq!(subject(&mails[0]), "Nouveau message de Ann dans la boîte 1001");
    let text = MessageParser::default().parse(&mails[0]).unwrap().body_text(0).unwrap().into_owned();
    assert!(text.contains(&format!("https://voicemail.example/ui/inbox/1001/{id}")), "{text}");
    assert_eq!(exim.mails("alice").unwrap().len(), 1, "who has it gets it once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_encrypted_and_known_or_isnt_made() {
    let exim = Exim::start().await.unwrap();
    let config = |tls, port| SmtpConfig {
        host: "localhost".into(),
        port: Some(port),
        tls,
        credentials_dir: Some(exim.credentials()),
        ca_file: Some(exim.authority()),
    };
    let connect = async |config: SmtpConfig| {
        let server = Server::read(&config).await?.within(Duration::from_secs(2), Duration::from_secs(2));
        server.connect().await.map(drop)
    };
    assert_eq!(connect(config(SmtpTls::StartTls, exim.port)).await, Ok(()));
    assert_eq!(connect(config(SmtpTls::Tls, exim.tls_port)).await, Ok(()));
    let stranger = SmtpConfig { ca_file: None, ..config(SmtpTls::Tls, exim.tls_port) };
    assert_eq!(connect(stranger).await, Err(SmtpError::Certificate));
    let other = SmtpConfig { host: "127.0.0.1".into(), ..config(SmtpTls::StartTls, exim.port) };
    assert_eq!(connect(other).await, Err(SmtpError::Certificate));
    exim.ask(Ask::Plain, true).unwrap();
    assert_eq!(connect(config(SmtpTls::StartTls, exim.port)).await, Err(SmtpError::NoTls));
    exim.ask(Ask::Plain, false).unwrap();
    let wrong = tempfile::tempdir().unwrap();
    std::fs::write(wrong.path().join("username"), "voicemail").unwrap();
    std::fs::write(wrong.path().join("password"), "another").unwrap();
    let wrong =
        SmtpConfig { credentials_dir: Some(wrong.path().into()), ..config(SmtpTls::StartTls, exim.port) };
    assert_eq!(connect(wrong).await, Err(SmtpError::Login));
    let missing =
        SmtpConfig { credentials_dir: Some("/nowhere".into()), ..config(SmtpTls::StartTls, exim.port) };
    assert!(matches!(connect(missing).await, Err(SmtpError::Setup(_))));
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    assert_eq!(connect(config(SmtpTls::StartTls, port)).await, Err(SmtpError::TimedOut(Step::Connect)));
    drop(silent);
    assert_eq!(connect(config(SmtpTls::StartTls, port)).await, Err(SmtpError::Unreachable));
}
