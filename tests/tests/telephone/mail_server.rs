//! E-mails on other people's parts: fetched from an IMAP server and taken apart by Python's parser, a server that fails at each step of SMTP,
//! and two replicas of a core.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use voicemail_api::config::{SmtpConfig, SmtpTls};
use voicemail_email::{Mail, Server, SmtpError, Step as At};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::servers::dovecot::Dovecot;
use voicemail_test_machine::servers::exim::{Ask, Exim, Fault, Step};
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;

use crate::emails::{CALLER, LONGER, core, email_lines, put_alice};
use crate::scene::spoken;

const SHORT: Duration = Duration::from_secs(2);
/// A quiet time of a minute, and what else takes time.
const A_MINUTE_AND_MORE: Duration = Duration::from_secs(100);

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_within_a_quiet_time_are_one_mail_as_an_imap_server_gives_it_out() {
    let exim = Exim::start().await.unwrap();
    let core = core(&exim, "audio").await;
    put_alice(&core, json!({ "email": "alice@example.com" })).await;
    core.ask("alice", Method::PUT, "/me/email", Some(json!({ "digestMinutes": 1 }))).await.unwrap();
    let bob = json!({ "mailboxes": ["1001"], "email": "bob@example.com", "language": "fr" });
    core.ask("root", Method::PUT, "/users/bob", Some(bob)).await.unwrap();
    let heard = core.deposit("1001", CALLER, "Ann", spoken(2, 3)).await.unwrap();
    for (name, seed) in [("Zoë 😀", 5), ("Cleo", 7)] {
        core.deposit("1001", CALLER, name, spoken(2, seed)).await.unwrap();
    }
    exim.wait_mails("bob", 3, LONGER).await.unwrap();
    assert_eq!(exim.mails("alice").unwrap().len(), 0, "they wait for each other");
    let path = format!("/mailboxes/1001/messages/{heard}");
    core.ask("alice", Method::PATCH, &path, Some(json!({ "state": "read" }))).await.unwrap();
    exim.wait_mails("alice", 1, A_MINUTE_AND_MORE).await.unwrap();
    let imap = Dovecot::start(&exim.maildirs()).await.unwrap();
    let mails = imap.fetch("alice").unwrap();
    let [mail] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!(mail.defects, Vec::<String>::new());
    assert_eq!(mail.headers["Subject"], "2 new messages in mailbox 1001");
    assert_eq!(mail.headers["To"], "alice@example.com");
    assert_eq!(mail.headers["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
    let (first, second) = (mail.plain.find("Zoë 😀").unwrap(), mail.plain.find("Cleo").unwrap());
    assert!(first < second && !mail.plain.contains("Ann"), "{}", mail.plain);
    assert!(mail.html.contains("<bdi>Zoë 😀, +442079460001</bdi>"), "{}", mail.html);
    let attached: Vec<_> =
        mail.attachments.iter().map(|(_, kind, sum)| (kind.as_str(), sum.clone())).collect();
    assert_eq!(attached, [5, 7].map(|seed| ("audio/wav", digest(&spoken(2, seed)))));
    let each = imap.fetch("bob").unwrap();
    let subjects: Vec<&str> = each.iter().map(|mail| mail.headers["Subject"].as_str()).collect();
    let names = ["Ann", "Zoë 😀", "Cleo"];
    assert_eq!(subjects, names.map(|name| format!("Nouveau message de {name} dans la boîte 1001")));
    assert!(each.iter().all(|mail| mail.defects.is_empty() && mail.attachments.len() == 1), "{each:?}");
    let thread = &mail.headers["References"];
    assert!(each.iter().all(|mail| mail.headers["References"] == *thread), "one thread for the mailbox");
}

async fn try_one(exim: &Exim) -> Result<(), SmtpError> {
    try_one_at(exim, exim.port).await
}

async fn try_one_at(exim: &Exim, port: u16) -> Result<(), SmtpError> {
    let config = SmtpConfig {
        host: "localhost".into(),
        port: Some(port),
        tls: SmtpTls::StartTls,
        credentials_dir: Some(exim.credentials()),
        ca_file: Some(exim.authority()),
    };
    let mail = Mail::builder()
        .from("voicemail@example.com".parse().unwrap())
        .to("alice@example.com".parse().unwrap())
        .body(String::from("a message"))
        .unwrap();
    let server = Server::read(&config).await?.within(SHORT, SHORT);
    server.connect().await?.send(&mail).await
}

/// What is told of a fault at a step.
fn expected(step: Step, fault: Fault) -> SmtpError {
    let at = match step {
        Step::Connect | Step::Hello => At::Connect,
        Step::Encrypt => At::Encrypt,
        Step::Login => At::Login,
        Step::Sender => At::Sender,
        Step::Recipient => At::Recipient,
        Step::Data | Step::Content => At::Content,
    };
    match (fault, at) {
        (Fault::Silence, _) => SmtpError::TimedOut(at),
        (Fault::Later, _) => SmtpError::Deferred(at, 451),
        (Fault::Refused, At::Connect | At::Encrypt) => SmtpError::Unreachable,
        (Fault::Refused, At::Login) => SmtpError::Login,
        (Fault::Refused, At::Sender) => SmtpError::Sender(554),
        (Fault::Refused, At::Recipient) => SmtpError::Recipient(554),
        (Fault::Refused, At::Content) => SmtpError::Content(554),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_server_is_told_by_its_step_whatever_it_is() {
    let exim = Exim::start().await.unwrap();
    let mut wrong = Vec::new();
    for step in Step::ALL {
        for fault in [Fault::Later, Fault::Refused, Fault::Silence] {
            exim.ask(Ask::At(step, fault), true).unwrap();
            let found = try_one(&exim).await;
            if found != Err(expected(step, fault)) {
                wrong.push(format!("{step:?} {fault:?}: {found:?}"));
            }
            exim.ask(Ask::At(step, fault), false).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}; the server says {}", exim.log());
    assert_eq!(try_one(&exim).await, Ok(()));
}

/// A way to the server on which somebody puts answers of their own behind its yes to STARTTLS; gives its port.
async fn way_with_answers(server: u16, answers: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.split(), server.split());
        let up = tokio::io::copy(&mut from_client, &mut to_server);
        let down = async {
            let mut buffer = [0; 16 * 1024];
            let mut slipped = false;
            while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                let mut bytes = buffer[..count].to_vec();
                if !slipped && bytes.starts_with(b"220 TLS") {
                    bytes.extend_from_slice(answers.as_bytes());
                    slipped = true;
                }
                if to_client.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(up, down).0.ok();
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_somebody_slips_in_before_the_encryption_send_nothing() {
    let exim = Exim::start().await.unwrap();
    for count in [0, 1, 2, 8] {
        let port = way_with_answers(exim.port, "250 localhost\r\n".repeat(count)).await;
        let expected = if count == 0 { Ok(()) } else { Err(SmtpError::Intercepted) };
        assert_eq!(
            try_one_at(&exim, port).await,
            expected,
            "{count} answers; the server says {}",
            exim.log()
        );
    }
    let capable = "250-localhost\r\n250-AUTH PLAIN LOGIN\r\n250 HELP\r\n";
    let port = way_with_answers(
        exim.port,
        format!("{capable}235 welcome\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"),
    )
    .await;
    assert_eq!(try_one_at(&exim, port).await, Err(SmtpError::Intercepted));
    let port = way_with_answers(exim.port, capable.to_owned()).await;
    assert_eq!(try_one_at(&exim, port).await, Err(SmtpError::Intercepted));
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_on_by_themselves_after_the_server_was_silent_or_refused_everybody() {
    let exim = Exim::start().await.unwrap();
    let core = core(&exim, "note").await;
    put_alice(&core, json!({ "email": "alice@example.com" })).await;
    for (step, fault) in [(Step::Sender, Fault::Refused), (Step::Content, Fault::Later)] {
        exim.ask(Ask::At(step, fault), true).unwrap();
        let before = failures(&core).await.unwrap();
        core.deposit("1001", CALLER, "Ann", spoken(2, 3)).await.unwrap();
        let tried = poll(LONGER, async || {
            ensure!(failures(&core).await? > before, "nothing was tried; the server says {}", exim.log());
            Ok(())
        });
        tried.await.unwrap();
        exim.ask(Ask::At(step, fault), false).unwrap();
    }
    let mails = exim.wait_mails("alice", 2, LONGER).await.unwrap();
    assert_eq!(mails.len(), 2);
}

/// How often a mail wasn't taken.
async fn failures(core: &VoicemailCore) -> anyhow::Result<u64> {
    let metrics = core.metrics().await?;
    let of = |result: &str| {
        let name = format!("voicemail_emails_total{{result=\"{result}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    Ok(of("serverFailed") + of("deferred"))
}

/// A second replica on the same store and keys.
async fn replica(exim: &Exim, shared: &Path) -> VoicemailCore {
    let more = format!(
        "{}regions: [{{name: main, master: true, storage: {{volume: {{path: {}}}}}}}]\nkeysDir: {}\n",
        email_lines(exim, "caller"),
        shared.join("store").display(),
        shared.join("keys").display(),
    );
    VoicemailCore::start_with(&more).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_send_each_mail_once() {
    let exim = Exim::start().await.unwrap();
    let shared = tempfile::tempdir().unwrap();
    for name in ["store", "keys"] {
        std::fs::create_dir(shared.path().join(name)).unwrap();
    }
    let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    std::fs::write(shared.path().join("keys/receipt.key"), receipt.serialize_pem()).unwrap();
    std::fs::write(shared.path().join("keys/tenant.key"), "0123456789abcdef".repeat(3)).unwrap();
    let (one, other) = (replica(&exim, shared.path()).await, replica(&exim, shared.path()).await);
    put_alice(&one, json!({ "email": "alice@example.com" })).await;
    let names: Vec<String> = (0..8).map(|number| format!("Caller {number}")).collect();
    for pair in names.chunks(2) {
        let [first, second] = pair else { panic!("{pair:?}") };
        let (first, second) = tokio::join!(
            one.deposit("1001", CALLER, first, spoken(2, 3)),
            other.deposit("1001", CALLER, second, spoken(2, 3)),
        );
        first.unwrap();
        second.unwrap();
    }
    let mails = exim.wait_mails("alice", names.len(), A_MINUTE_AND_MORE).await.unwrap();
    let text: String = mails.iter().map(|mail| String::from_utf8_lossy(mail).into_owned()).collect();
    for name in &names {
        let subject = format!("Subject: New message from {name} in mailbox 1001");
        assert_eq!(text.matches(&subject).count(), 1, "{name}: {text}");
    }
    let ids: std::collections::BTreeSet<&str> =
        text.lines().filter(|line| line.starts_with("Message-ID: ")).collect();
    assert_eq!(ids.len(), names.len());
}
