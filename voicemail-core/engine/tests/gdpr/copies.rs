//! Copies that may exist after the end are reported, with a date.

use super::{DAY, run};
use std::time::Duration;
use voicemail_api::config::EmailContent;
use voicemail_api::gdpr::{GdprBody, RunState};
use voicemail_engine::testing::{CALLER, Site, body, mailbox};
use voicemail_model::{Mailing, Outcome};
use voicemail_store::Key;
use voicemail_store::documents::Decision;

#[tokio::test]
async fn backups_are_cleared_when_the_last_of_them_is_and_not_before() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    let ended = run(&site, "c").await;
    let after = site.now().plus(Duration::from_secs(35 * DAY));
    assert_eq!((ended.backups_cleared, ended.backups_clear_after), (Some(false), Some(after.rfc3339())));
    assert_eq!(
        (ended.residual_copies[0].kind.as_str(), ended.residual_copies[0].days),
        ("backups", Some(35))
    );
    site.pass_time(Duration::from_secs(35 * DAY));
    assert_eq!(run(&site, "c").await.backups_cleared, Some(true));
}

#[tokio::test]
async fn without_backups_they_are_cleared_at_the_end() {
    let site = Site::in_memory().await;
    site.configure(|gdpr| gdpr.backup_retention = Duration::ZERO);
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    assert_eq!(run(&site, "c").await.backups_cleared, Some(true));
}

#[tokio::test]
async fn what_waits_at_telephones_is_named_by_the_dry_run_the_export_and_the_end_until_it_is_gone() {
    let site = Site::in_memory().await;
    site.configure(|gdpr| gdpr.backup_retention = Duration::ZERO);
    site.deposit("1001", CALLER).await;
    let [one, two] = ["acme-voicemail-sip-0", "192.0.2.1"].map(|name| name.parse().unwrap());
    let gdpr = &site.core.gdpr;
    let dry = || GdprBody { dry_run: true, ..body("c", Some(CALLER), 0) };
    gdpr.note_front(&one, Some((2, site.now()))).await.unwrap();
    gdpr.note_front(&two, Some((1, site.now()))).await.unwrap();
    let counted = gdpr.forget(dry()).await.unwrap().run.residual_copies;
    let export = gdpr.export(body("e", Some(CALLER), 0)).await.unwrap().run;
    assert_eq!(export.backups_cleared, None);
    site.purge("c", CALLER).await;
    let ended = run(&site, "c").await;
    assert_eq!(ended.backups_cleared, Some(false));
    assert_eq!(ended.backups_clear_after, Some(site.now().plus(Duration::from_secs(5 * DAY)).rfc3339()));
    for copies in [counted, export.residual_copies, ended.residual_copies] {
        let copies: Vec<_> = copies.iter().map(|copy| (copy.kind.as_str(), copy.copies, copy.days)).collect();
        assert_eq!(copies, [("spool", Some(3), Some(5))]);
    }
    // One that is silent may be gone with what it holds, and nobody knows when that goes.
    site.pass_time(Duration::from_secs(3_600));
    gdpr.note_front(&two, None).await.unwrap();
    let silent = gdpr.forget(GdprBody { caseid: "d".into(), ..dry() }).await.unwrap().run.residual_copies;
    assert_eq!((silent[0].copies, silent[0].days), (Some(2), None));
    gdpr.note_front(&one, None).await.unwrap();
    let none = gdpr.forget(GdprBody { caseid: "d".into(), ..dry() }).await.unwrap().run.residual_copies;
    assert_eq!(none, []);
}

#[tokio::test]
async fn mails_that_told_of_a_caller_are_named_by_the_dry_run_the_export_and_the_end_and_notes_are_not() {
    let site = Site::in_memory().await;
    let (told, noted) = (site.deposit("1001", CALLER).await, site.deposit("1001", CALLER).await);
    let outcome = |content, refused| Outcome { at: site.now(), content, refused };
    let change = |_: Option<Mailing>, _| {
        let mut mailing = Mailing::default();
        let [ann, bob, cleo] = ["ann", "bob", "cleo"].map(|user| user.parse().unwrap());
        mailing.settle(told, &ann, outcome(EmailContent::Audio, None));
        mailing.settle(told, &bob, outcome(EmailContent::Caller, None));
        mailing.settle(told, &cleo, outcome(EmailContent::Caller, Some(550)));
        mailing.settle(noted, &ann, outcome(EmailContent::Note, None));
        Decision::Write(mailing, ())
    };
    site.core.context.documents().update(&Key::mailing(&mailbox("1001")), change).await.unwrap();
    let dry = GdprBody { dry_run: true, ..body("c", Some(CALLER), 0) };
    let counted = site.core.gdpr.forget(dry).await.unwrap().run.residual_copies;
    let exported = site.core.gdpr.export(body("e", Some(CALLER), 0)).await.unwrap().run;
    assert_eq!(exported.state, RunState::Ready);
    site.purge("c", CALLER).await;
    for copies in [counted, exported.residual_copies, run(&site, "c").await.residual_copies] {
        let mails: Vec<_> = copies.iter().filter(|copy| copy.kind == "email").collect();
        assert_eq!((mails.len(), mails[0].copies, mails[0].days), (1, Some(2), None));
    }
}
