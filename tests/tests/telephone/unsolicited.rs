//! Phones that never subscribe are told by their trunk's proxy.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::net::TcpListener;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::secrecy::is_told;
use voicemail_test_machine::servers::find_free_port;
use voicemail_test_machine::servers::sipp::{Call, Over};
use voicemail_test_machine::servers::sipp_proxy::{Proxy, Taken};
use voicemail_test_machine::servers::tls_tunnel::Authority;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};

use crate::connections::{answer_to, read_until};
use crate::scene::{LOCAL, PATIENCE, sound, spoken};

/// The trunk tells the phones of 1001, and of 1009, which is no mailbox.
fn notify(proxy: &str, more: &str) -> String {
    format!(
        "  notify: {{proxy: '{proxy}', uri: 'sip:{{mailbox}}@pbx.example.com'{more}, mailboxes: [{{first: '1001'}}, {{first: '1009'}}]}}"
    )
}

async fn start(core: &VoicemailCore, proxy: SocketAddr) -> VoicemailSip {
    let trunk = notify(&proxy.to_string(), "");
    VoicemailSip::set_up(core, Setup { trunk, ..Setup::default() }).await.unwrap()
}

/// Waits until so many notifications ended so.
async fn wait_counted(sip: &VoicemailSip, outcome: &str, times: u32) {
    let line = format!("voicemail_sip_unsolicited_total{{trunk=\"lab\",outcome=\"{outcome}\"}} ");
    let counted = async || {
        let metrics = sip.metrics().await?;
        let count = metrics.lines().find_map(|text| text.strip_prefix(line.as_str()));
        let count: u32 = count.context("it isn't counted").and_then(|count| Ok(count.parse()?))?;
        ensure!(count >= times, "{line}{count}, not {times}");
        Ok(())
    };
    poll(PATIENCE, counted).await.unwrap();
}

/// What the phone of 1001 is shown.
fn shown(taken: &Taken) -> Vec<&str> {
    let counts =
        |summary: &'_ String| summary.lines().any(|line| line.starts_with("Message-Account: sip:1001@"));
    assert!(taken.summaries.iter().all(counts), "{:?}", taken.summaries);
    taken
        .summaries
        .iter()
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("Voice-Message: ")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_told_at_the_start_and_of_each_change_and_again_until_its_proxy_takes_it() {
    let core = VoicemailCore::start().await.unwrap();
    let proxy = find_free_port(LOCAL).unwrap();
    // The phone isn't registered yet.
    let refusing = Proxy::listen(proxy, Over::Udp, 480, 1).unwrap();
    let sip = start(&core, proxy).await;
    assert_eq!(shown(&refusing.take().await.unwrap()), ["0/0 (0/0)"]);
    wait_counted(&sip, "refused", 1).await;
    let taking = Proxy::listen(proxy, Over::Udp, 200, 1).unwrap();
    let taken = taking.take().await.unwrap();
    assert_eq!(shown(&taken), ["0/0 (0/0)"]);
    for line in [
        "NOTIFY sip:1001@pbx.example.com SIP/2.0",
        "Event: message-summary",
        "Subscription-State: terminated;reason=noresource",
        "To: <sip:1001@pbx.example.com>",
    ] {
        assert!(taken.messages.contains(line), "{line} isn't in {}", taken.messages);
    }
    wait_counted(&sip, "told", 1).await;
    // What another media server leaves, and what a caller of ours does.
    let taking = Proxy::listen(proxy, Over::Udp, 200, 1).unwrap();
    core.deposit("1001", "+442079460123", "Bob", spoken(2, 3)).await.unwrap();
    assert_eq!(shown(&taking.take().await.unwrap()), ["1/0 (0/0)"]);
    let taking = Proxy::listen(proxy, Over::Udp, 200, 1).unwrap();
    Call::message("1001", &sound(2, 3)).make(sip.sip()).await.unwrap();
    assert_eq!(shown(&taking.take().await.unwrap()), ["2/0 (0/0)"]);
    wait_counted(&sip, "told", 3).await;
    assert!(!is_told(&sip.log(), "1001"), "a mailbox is told in {}", sip.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_asks_for_a_password_gets_its_proof_and_one_that_asks_again_has_refused() {
    let core = VoicemailCore::start().await.unwrap();
    let proxy = find_free_port(LOCAL).unwrap();
    let trunk = notify(&proxy.to_string(), ", users: FOLDER/pbx-user");
    let files = vec![("pbx-user", b"voicemail:a:secret\n".to_vec())];
    let mistaken = Proxy::challenge(proxy, "voicemail", "another").unwrap();
    let sip = VoicemailSip::set_up(&core, Setup { trunk, files, ..Setup::default() }).await.unwrap();
    let taken = mistaken.take().await.unwrap();
    assert!(taken.messages.contains("SIP/2.0 403"), "{}", taken.messages);
    wait_counted(&sip, "refused", 1).await;
    let asking = Proxy::challenge(proxy, "voicemail", "a:secret").unwrap();
    let taken = asking.take().await.unwrap();
    assert!(!taken.messages.contains("SIP/2.0 403"), "{}", taken.messages);
    assert_eq!(shown(&taken), ["0/0 (0/0)"; 2]);
    wait_counted(&sip, "told", 1).await;
    assert!(!sip.log().contains("secret") && !taken.messages.contains("secret"), "the password is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_cannot_tell_any_more_another_one_does() {
    let core = VoicemailCore::start().await.unwrap();
    let proxy = find_free_port(LOCAL).unwrap();
    let taking = Proxy::listen(proxy, Over::Udp, 200, 2).unwrap();
    let (mut first, second) = tokio::join!(start(&core, proxy), start(&core, proxy));
    assert_eq!(shown(&taking.take().await.unwrap()), ["0/0 (0/0)"; 2]);
    first.kill().unwrap();
    let taking = Proxy::listen(proxy, Over::Udp, 200, 1).unwrap();
    core.deposit("1001", "+442079460123", "Bob", spoken(2, 3)).await.unwrap();
    assert_eq!(shown(&taking.take().await.unwrap()), ["1/0 (0/0)"]);
    wait_counted(&second, "told", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_told_by_connections_and_one_without_its_certificate_is_told_nothing() {
    let core = VoicemailCore::start().await.unwrap();
    let (own, proxies) = (Authority::new("own").unwrap(), Authority::new("proxies").unwrap());
    let (tcp, tls) = (find_free_port(LOCAL).unwrap(), find_free_port(LOCAL).unwrap());
    let by_tcp = find_free_port(LOCAL).unwrap();
    let by_tls = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let taking = Proxy::listen(by_tcp, Over::Tcp, 200, 1).unwrap();
    let shown_by_us = own.issue(&["127.0.0.1"]).unwrap();
    let sealed = format!("localhost:{}", by_tls.local_addr().unwrap().port());
    let setup = Setup {
        listen: format!(
            ", tcp: '{tcp}', tls: {{address: '{tls}', certificate: FOLDER/tls.crt, key: FOLDER/tls.key, peerAuthorities: FOLDER/ca.pem}}"
        ),
        trunk: format!(
            "  transports: [UDP, TCP, TLS]\n{}\n- name: sealed\n  addresses: [192.0.2.0/24]\n  transports: [TLS]\n  limits: {{calls: 50}}\n{}",
            notify(&by_tcp.to_string(), ", transport: TCP"),
            notify(&sealed, ", transport: TLS"),
        ),
        files: vec![
            ("tls.crt", shown_by_us.certificate.into_bytes()),
            ("tls.key", shown_by_us.key.into_bytes()),
            ("ca.pem", proxies.pem().into_bytes()),
        ],
        ..Setup::default()
    };
    let sip = VoicemailSip::set_up(&core, setup).await.unwrap();
    let taken = taking.take().await.unwrap();
    assert_eq!(shown(&taken), ["0/0 (0/0)"]);
    assert!(taken.messages.contains(&format!("Via: SIP/2.0/TCP {tcp}")), "{}", taken.messages);
    wait_counted(&sip, "told", 1).await;
    // Somebody else's certificate, and then the proxy's own.
    let forged = own.issue(&["localhost"]).unwrap().acceptor().unwrap();
    let first = tokio::time::timeout(PATIENCE, by_tls.accept()).await.unwrap().unwrap().0;
    if let Ok(mut stream) = forged.accept(first).await {
        assert!(read_until(&mut stream, "NOTIFY", 1).await.is_err());
    }
    let acceptor = proxies.issue(&["localhost"]).unwrap().acceptor().unwrap();
    let again = tokio::time::timeout(Duration::from_secs(60), by_tls.accept()).await.unwrap().unwrap().0;
    let mut stream = acceptor.accept(again).await.unwrap();
    let told = read_until(&mut stream, "Voice-Message: 0/0", 1).await.unwrap();
    assert!(told.contains(&format!("Via: SIP/2.0/TLS {tls}")), "{told}");
    tokio::io::AsyncWriteExt::write_all(&mut stream, answer_to(&told).as_bytes()).await.unwrap();
    let line = "voicemail_sip_unsolicited_total{trunk=\"sealed\",outcome=\"told\"} 1";
    let counted = async || {
        let metrics = sip.metrics().await?;
        ensure!(metrics.contains(line), "{line} isn't in {metrics}");
        Ok(())
    };
    poll(PATIENCE, counted).await.unwrap();
}
