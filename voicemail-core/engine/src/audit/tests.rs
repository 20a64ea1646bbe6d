use super::*;
use crate::testing::{START, Site, mailbox};
use std::collections::BTreeSet;
use voicemail_api::config::{AuditConfig, Role, TenantConfig};

fn somebody(subject: &str) -> Principal {
    Principal {
        authority: "https://id.example".into(),
        subject: subject.into(),
        user: None,
        mailbox: None,
        roles: BTreeSet::from([Role::Agent]),
        expires: Time(i64::MAX),
    }
}

fn query(site: &Site, limit: usize, cursor: Option<String>) -> AuditQuery {
    AuditQuery { from: START, to: site.now(), cursor, limit }
}

async fn record(site: &Site, actor: &str) {
    let subject = AuditSubject::mailbox(&mailbox("1001"));
    site.core.context.audit().record(&somebody(actor), AuditAction::UnlockPin, subject).await.unwrap();
}

#[tokio::test]
async fn acts_are_read_page_by_page_in_their_order_across_hours() {
    let site = Site::in_memory().await;
    for n in 0..5 {
        record(&site, &format!("a{n}")).await;
        site.pass_time(Duration::from_secs(2_000));
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = site.core.context.audit().page(query(&site, 2, cursor)).await.unwrap();
        assert!(page.events.len() <= 2);
        seen.extend(page.events.into_iter().map(|event| event.actor));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a0", "a1", "a2", "a3", "a4"]);
    let late = AuditQuery { from: START.plus(Duration::from_secs(3_000)), ..query(&site, 10, None) };
    assert_eq!(site.core.context.audit().page(late).await.unwrap().events.len(), 3);
}

#[tokio::test]
async fn the_pieces_of_an_act_are_recorded_once_in_ten_minutes() {
    let site = Site::in_memory().await;
    let listen = async |actor: &str, name: &str| {
        let subject = AuditSubject::mailbox(&mailbox(name));
        site.core.context.audit().record_once(&somebody(actor), AuditAction::Listen, subject).await.unwrap();
    };
    for _ in 0..3 {
        listen("a", "1001").await;
    }
    listen("b", "1001").await;
    listen("a", "1002").await;
    site.pass_time(Duration::from_secs(600));
    listen("a", "1001").await;
    let page = site.core.context.audit().page(query(&site, 10, None)).await.unwrap();
    assert_eq!(page.events.len(), 4);
}

#[tokio::test]
async fn an_act_is_kept_for_its_retention_and_then_swept() {
    let site = Site::in_memory().await;
    let audit = AuditConfig { retention: Duration::from_secs(86_400) };
    site.core.context.reload(TenantConfig { audit, ..site.config.clone() });
    record(&site, "old").await;
    site.pass_time(Duration::from_secs(80_000));
    record(&site, "new").await;
    site.sweep().await;
    assert_eq!(site.core.context.audit().page(query(&site, 10, None)).await.unwrap().events.len(), 2);
    site.pass_time(Duration::from_secs(10_000));
    site.sweep().await;
    let left = site.core.context.audit().page(query(&site, 10, None)).await.unwrap().events;
    assert_eq!(left.iter().map(|event| event.actor.as_str()).collect::<Vec<_>>(), ["new"]);
}

#[tokio::test]
async fn what_cannot_be_decoded_is_left_out_and_found_by_the_check() {
    let site = Site::in_memory().await;
    record(&site, "a").await;
    let key = Key::audit(site.now(), "0123456789abcdef");
    site.store.create(&key, Bytes::from_static(b"?")).await.unwrap();
    assert_eq!(site.core.context.audit().page(query(&site, 10, None)).await.unwrap().events.len(), 1);
    let mut found = Vec::new();
    let summary =
        crate::fsck::check(&site.core.context, |finding| found.push(finding.code.slug())).await.unwrap();
    assert_eq!(found, ["undecodable-audit-event"]);
    assert_eq!(summary.checked.get("audit"), Some(&2));
}
