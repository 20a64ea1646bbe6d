//! Every kind of damage, made by hand on a store in memory and on a volume: found by its code, and repaired
//! where that is promised.

use futures::TryStreamExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use voicemail_engine::core::tool::Access;
use voicemail_engine::fsck::{Code, Finding, Severity, check, repair};
use voicemail_engine::testing::{CALLER, OTHER_CALLER, START, Site, body, hash, mailbox};
use voicemail_model::{
    AudioKey, Due, DueItem, Envelope, GreetingKey, GreetingPlace, MailboxGreeting, MessageId, RunId,
};
use voicemail_store::Key;

const BOX: &str = "1001";
const DAY: Duration = Duration::from_secs(86_400);

/// A site with two messages that are listed and one that an open request hides; all graces are over.
struct Ground {
    site: Site,
    id: MessageId,
    hidden: MessageId,
    _folder: Option<tempfile::TempDir>,
}

impl Ground {
    async fn new(on_volume: bool) -> Self {
        let folder = on_volume.then(|| tempfile::tempdir().unwrap());
        let site = match &folder {
            Some(folder) => Site::on_volume(folder.path()).await,
            None => Site::in_memory().await,
        };
        let id = site.deposit(BOX, CALLER).await;
        let hidden = site.deposit(BOX, OTHER_CALLER).await;
        site.deposit("1002", CALLER).await;
        site.core.gdpr.forget(body("c1", Some(OTHER_CALLER), 20 * 86_400)).await.unwrap();
        site.pass_time(DAY * 3);
        site.sweep().await;
        Self { site, id, hidden, _folder: folder }
    }

    fn envelope(&self) -> Key {
        Key::envelope(&hash(CALLER), &mailbox(BOX), self.id)
    }

    fn run(&self) -> RunId {
        serde_json::from_value(json!("c1/forgetme.1")).unwrap()
    }

    async fn audio(&self) -> Key {
        Key::audio(&self.site.entry(BOX, self.id).await.audio)
    }

    async fn edit_index(&self, change: impl FnOnce(&mut Value)) {
        self.site.edit(&Key::index(&mailbox(BOX)), change).await;
    }

    async fn edit_entry(&self, id: MessageId, change: impl FnOnce(&mut Value)) {
        self.edit_index(|index| change(&mut index["entries"][id.to_string()])).await;
    }

    async fn edit_envelope(&self, change: impl FnOnce(&mut Value)) {
        let bytes = self.site.store.get(&self.envelope()).await.unwrap().unwrap();
        let mut value = serde_json::from_slice(&bytes).unwrap();
        change(&mut value);
        self.site.write_object(&self.envelope(), serde_json::to_vec(&value).unwrap()).await;
    }

    async fn create(&self, key: &str, bytes: impl Into<bytes::Bytes>) {
        self.site.store.create(&Key::listed(key).unwrap(), bytes.into()).await.unwrap();
    }

    async fn delete_below(&self, prefix: &str, containing: &str) {
        let keys: Vec<String> = self.site.store.list(prefix).try_collect().await.unwrap();
        for key in keys.iter().filter(|key| key.contains(containing)) {
            self.site.store.delete(&Key::listed(key).unwrap()).await.unwrap();
        }
    }

    /// A refused deposit's envelope and audio under the same id, by another caller.
    async fn leave_refused(&self) {
        let audio = AudioKey::new(&mailbox(BOX), self.id, &hash(OTHER_CALLER), START, "ab");
        self.create(audio.as_str(), "sound").await;
        let bytes = self.site.store.get(&self.envelope()).await.unwrap().unwrap();
        let theirs: Envelope = serde_json::from_slice(&bytes).unwrap();
        let normalised = voicemail_model::CallerId::new(OTHER_CALLER);
        let envelope = Envelope { audio, normalised, ..theirs };
        let key = Key::envelope(&hash(OTHER_CALLER), &mailbox(BOX), self.id);
        self.create(key.as_str(), serde_json::to_vec(&envelope).unwrap()).await;
    }

    async fn damage(&self, code: Code) {
        let site = &self.site;
        let garbage = "{ not JSON";
        let index = Key::index(&mailbox(BOX));
        match code {
            Code::UndecodableIndex => site.write_document(&index, garbage).await,
            Code::UndecodableMark => site.write_document(&Key::mark(&hash(OTHER_CALLER)), garbage).await,
            Code::UndecodableRun => site.write_document(&Key::run(&self.run()), garbage).await,
            Code::UndecodableManifest => self.create("gdpr/c1/forgetme.1.manifest.1", garbage).await,
            Code::UndecodableReceipt => self.create("gdpr/c1/forgetme.1.receipt", garbage).await,
            Code::UndecodableLink => self.create("ledger/00000000000000000009", garbage).await,
            Code::BrokenChain => {
                let ahead = json!({"_": {"schema": 1, "revision": 7, "nonces": []}, "number": 7, "hash": ""});
                site.write_document(&Key::chain_head("receipts"), ahead.to_string()).await;
            }
            Code::UndecodableTenant => site.write_document(&Key::tenant(), garbage).await,
            Code::UndecodableSettings => {
                site.write_document(&Key::settings(&mailbox(BOX)), garbage).await;
                site.write_document(&Key::listed("user/alice").unwrap(), "{}").await;
            }
            Code::UndecodableEnvelope => site.write_object(&self.envelope(), garbage).await,
            Code::UndecodableDue => self.create("due/209901010000/retain.1001", garbage).await,
            Code::UndecodableKey => {
                self.create("deposit/00112233445566778899aabbccddeeff", garbage).await;
            }
            Code::UndecodableAudit => {
                self.create(Key::audit(site.now(), "00").as_str(), garbage).await;
            }
            Code::NewerSchema => self.edit_index(|index| index["_"]["schema"] = 2.into()).await,
            Code::Quarantined => self.create("quarantine/209901010000/user/alice", garbage).await,
            Code::MissingIndex => site.store.delete(&index).await.unwrap(),
            Code::MissingEnvelope => site.store.delete(&self.envelope()).await.unwrap(),
            Code::MissingAudio => site.store.delete(&self.audio().await).await.unwrap(),
            Code::AudioSize => site.write_object(&self.audio().await, "short").await,
            Code::EnvelopeDiffers => self.edit_envelope(|envelope| envelope["digest"] = "00".into()).await,
            Code::WrongCaller => {
                self.edit_envelope(|envelope| envelope["normalised"] = "+15550000000".into()).await;
            }
            Code::CallerWithheld => {
                self.edit_entry(self.id, |entry| entry["caller"] = "sip:unknown@192.0.2.7".into()).await;
            }
            Code::UnfinishedDeposit => {
                let forget = |index: &mut Value| {
                    index["entries"].as_object_mut().unwrap().remove(&self.id.to_string());
                };
                self.edit_index(forget).await;
            }
            Code::EnvelopeOfGone => {
                let forget = |index: &mut Value| {
                    index["entries"].as_object_mut().unwrap().remove(&self.id.to_string());
                    index["gone"][self.id.to_string()] = 9_000_000_000_000_i64.into();
                };
                self.edit_index(forget).await;
            }
            Code::EnvelopeOfOther => self.leave_refused().await,
            Code::OrphanAudio => {
                let id = MessageId::new(START, &[9; 10]);
                let audio = AudioKey::new(&mailbox(BOX), id, &hash(CALLER), START, "ab");
                self.create(audio.as_str(), "sound").await;
            }
            Code::OrphanGreeting => {
                let place = GreetingPlace::Mailbox(mailbox(BOX), MailboxGreeting::Standard);
                self.create(GreetingKey::new(&place, START, "ab").as_str(), "sound").await;
            }
            Code::MissingGreeting => {
                let greeting = json!({
                    "audio": "greeting/mailbox/1001/standard.1-a", "durationMs": 1, "size": 1, "digest": "00",
                    "recorded": 1,
                });
                let name = |settings: &mut Value| settings["greetings"] = json!({ "standard": greeting });
                site.edit(&Key::settings(&mailbox(BOX)), name).await;
            }
            Code::AudioElsewhere => self.edit_envelope(|envelope| envelope["region"] = "far".into()).await,
            Code::GoneAndEntry => {
                self.edit_index(|index| index["gone"][self.id.to_string()] = 9_000_000_000_000_i64.into())
                    .await;
            }
            Code::ClosedWithEntries => self.edit_index(|index| index["closed"] = true.into()).await,
            Code::DeletingWithoutDue => {
                self.edit_entry(self.id, |entry| entry["state"] = "deleting".into()).await;
            }
            Code::ExpiryWithoutDue => self.delete_below("due/", "retain.1001").await,
            Code::FlagWithoutRun => {
                self.edit_entry(self.id, |entry| entry["forget"] = json!({ "zz/forgetme.1": 1 })).await;
            }
            Code::FlagOfUndone => self.edit_mark("state", "undone".into()).await,
            Code::FlagDiffers => {
                self.edit_entry(self.hidden, |entry| entry["forget"]["c1/forgetme.1"] = 7.into()).await;
            }
            Code::FlagWithoutMark => site.store.delete(&Key::mark(&hash(OTHER_CALLER))).await.unwrap(),
            Code::CoveredAndVisible => {
                let show = |entry: &mut Value| {
                    entry.as_object_mut().unwrap().remove("forget");
                };
                self.edit_entry(self.hidden, show).await;
            }
            Code::MarkWithoutRun => {
                let run = json!({ "cutoff": 0, "purge_at": 1, "state": "marked" });
                site.edit(&Key::mark(&hash(OTHER_CALLER)), |mark| mark["runs"]["zz/forgetme.1"] = run).await;
            }
            Code::MarkDiffers => self.end_run(Value::Null).await,
            Code::RunWithoutDue => self.delete_below("due/", "run.c1").await,
            Code::RunRemembers => {
                self.end_run("sealed".into()).await;
                self.edit_mark("state", "purged".into()).await;
            }
            Code::LeftOfRun => {
                let receipt = json!({ "receipt": "", "signature": "", "publicKey": "" });
                self.create("gdpr/zz/forgetme.1.receipt", receipt.to_string()).await;
            }
            Code::Overdue => self.file(Due::Retain { mailbox: mailbox("1002") }.at(START)).await,
            Code::Misfiled => {
                let item = Due::Retain { mailbox: mailbox("1002") }.at(site.now().plus(DAY));
                self.create("due/209901010000/retain.1002", serde_json::to_vec(&item).unwrap()).await;
            }
            Code::RuleSets => {
                let twice = |tenant: &mut Value| {
                    let rules = tenant["rule_sets"][0].clone();
                    tenant["rule_sets"].as_array_mut().unwrap().push(rules);
                };
                site.edit(&Key::tenant(), twice).await;
            }
            Code::LeftoverProbe => self.create("probe/1-a", "x").await,
            Code::ForeignKey => self.create("mb/00/readme.txt", "x").await,
            Code::CountsDiffer | Code::Unpruned => {}
        }
    }

    async fn edit_mark(&self, field: &str, value: Value) {
        let key = Key::mark(&hash(OTHER_CALLER));
        self.site.edit(&key, |mark| mark["runs"]["c1/forgetme.1"][field] = value).await;
    }

    async fn end_run(&self, sealed: Value) {
        let end = |run: &mut Value| {
            (run["state"], run["sealed"], run["callers"]) = ("purged".into(), sealed, json!([]));
        };
        self.site.edit(&Key::run(&self.run()), end).await;
    }

    async fn file(&self, item: DueItem) {
        self.create(Key::due(&item).as_str(), serde_json::to_vec(&item).unwrap()).await;
    }

    async fn findings(&self) -> Vec<Finding> {
        findings(&self.site).await
    }

    async fn repair(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let context = self.site.open(&self.site.config, Access::Write).await;
        let mut done = Vec::new();
        for finding in self.findings().await {
            done.push((finding.code.slug(), repair(&context, &finding).await.unwrap()));
        }
        done
    }

    /// Messages that are in lists and can be played.
    async fn playable(&self) -> usize {
        let mut count = 0;
        for name in [BOX, "1002"] {
            for (id, entry) in self.site.index(name).await.entries {
                let found = self.site.core.mailboxes.audio(&mailbox(name), id, None).await;
                count += usize::from(entry.is_listed() && found.is_ok());
            }
        }
        count
    }
}

/// Found by a checker that can't write.
async fn findings(site: &Site) -> Vec<Finding> {
    let context = site.open(&site.config, Access::Examine).await;
    let mut found = Vec::new();
    let summary = check(&context, |finding| found.push(finding.clone())).await.unwrap();
    assert_eq!(summary.is_clean(), found.iter().all(|finding| finding.severity == Severity::Note));
    found
}

fn codes(findings: &[Finding]) -> BTreeSet<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// Further findings that a kind of damage leads to, and whether a repair (and a sweep) leaves none of them.
fn expected(code: Code) -> (&'static [Code], bool) {
    match code {
        Code::UndecodableEnvelope
        | Code::UndecodableSettings
        | Code::UndecodableDue
        | Code::UndecodableKey
        | Code::MissingEnvelope
        | Code::UnfinishedDeposit
        | Code::CallerWithheld
        | Code::EnvelopeOfGone
        | Code::EnvelopeOfOther
        | Code::OrphanAudio
        | Code::OrphanGreeting
        | Code::ClosedWithEntries
        | Code::DeletingWithoutDue
        | Code::ExpiryWithoutDue
        | Code::FlagOfUndone
        | Code::CoveredAndVisible
        | Code::RunWithoutDue
        | Code::LeftoverProbe => (&[], true),
        Code::AudioElsewhere => (&[Code::EnvelopeDiffers], false),
        Code::RunRemembers => (&[Code::CoveredAndVisible], false),
        _ => (&[], false),
    }
}

#[tokio::test]
async fn states_that_nobody_pruned_are_found_and_removed() {
    let (site, memory) = Site::in_memory_with_history().await;
    site.deposit(BOX, CALLER).await;
    site.deposit(BOX, CALLER).await;
    site.pass_time(Duration::from_secs(61));
    let ground = Ground {
        id: site.deposit("1002", CALLER).await,
        hidden: site.deposit("1002", CALLER).await,
        site,
        _folder: None,
    };
    let found = ground.findings().await;
    assert!(
        found.iter().any(|finding| finding.code == Code::Unpruned && finding.key.starts_with("mb/")),
        "{found:?}"
    );
    ground.repair().await;
    assert!(ground.findings().await.iter().all(|finding| finding.code != Code::Unpruned));
    let old = memory.superseded();
    assert!(old.iter().all(|(key, ..)| !key.contains(BOX)), "{old:?}");
}

async fn play_damage(on_volume: bool) {
    let elsewhere = [Code::CountsDiffer, Code::Unpruned];
    for code in Code::ALL.iter().copied().filter(|code| !elsewhere.contains(code)) {
        let ground = Ground::new(on_volume).await;
        assert_eq!(ground.findings().await, [], "before {code:?}");
        let playable = ground.playable().await;
        ground.damage(code).await;
        let found = ground.findings().await;
        let (others, repairs) = expected(code);
        let seen = codes(&found);
        assert!(seen.contains(&code), "{code:?} isn't found: {found:?}");
        assert!(seen.iter().all(|seen| *seen == code || others.contains(seen)), "{code:?}: {found:?}");
        assert!(found.iter().all(|finding| !finding.key.contains("7946")), "{code:?}: a number in {found:?}");
        if code == Code::UndecodableTenant {
            continue;
        }
        let done = ground.repair().await;
        if repairs {
            ground.site.pass_time(Duration::from_secs(1));
            ground.site.sweep().await;
            let left = ground.findings().await;
            let notes = codes(&left).into_iter().all(|left| left == Code::Quarantined);
            assert!(notes, "{code:?}, repaired by {done:?}, leaves {left:?}");
        }
        let lost = match code {
            Code::EnvelopeOfGone | Code::DeletingWithoutDue | Code::ClosedWithEntries => 1,
            _ => 0,
        };
        let unreadable = [Code::UndecodableIndex, Code::MissingIndex, Code::MissingAudio, Code::NewerSchema];
        let shown = code == Code::FlagOfUndone || code == Code::FlagWithoutRun;
        if !unreadable.contains(&code) && !shown {
            assert_eq!(ground.playable().await, playable - lost, "{code:?}, repaired by {done:?}");
        }
    }
}

#[tokio::test]
async fn every_damage_in_memory_is_found_and_repaired_where_promised() {
    play_damage(false).await;
}

#[tokio::test]
async fn every_damage_on_a_volume_is_found_and_repaired_where_promised() {
    play_damage(true).await;
}

#[test]
fn codes_are_stable_names_of_their_own() {
    let slugs: BTreeSet<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
    assert_eq!(slugs.len(), Code::ALL.len());
    assert!(slugs.iter().all(|slug| slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
}

#[tokio::test]
async fn a_store_is_clean_through_a_whole_life() {
    let ground = Ground::new(false).await;
    let site = &ground.site;
    site.purge("c2", CALLER).await;
    assert_eq!(findings(site).await, [], "purged");
    site.core.gdpr.undo(body("c1", None, 0)).await.unwrap();
    assert_eq!(findings(site).await, [], "undone");
    site.core.gdpr.export(body("c3", Some(OTHER_CALLER), 0)).await.unwrap();
    assert_eq!(findings(site).await, [], "exported");
    site.core.directory.delete_mailbox(&mailbox("1002")).await.unwrap();
    for _ in 0..12 {
        site.pass_time(DAY);
        site.sweep().await;
        assert_eq!(findings(site).await, [], "at {}", site.now().rfc3339());
    }
}

#[tokio::test]
async fn a_quarantined_envelope_goes_with_its_callers_erasure_or_after_a_month() {
    let ground = Ground::new(false).await;
    let below = |site: &Site| {
        let store = Arc::clone(&site.store);
        async move { store.list("quarantine/").try_collect::<Vec<String>>().await.unwrap() }
    };
    ground.damage(Code::UndecodableEnvelope).await;
    ground.repair().await;
    let moved = below(&ground.site).await;
    assert!(moved.len() == 1 && moved[0].ends_with(ground.envelope().as_str()), "{moved:?}");
    ground.site.purge("c2", CALLER).await;
    assert_eq!(below(&ground.site).await, Vec::<String>::new());

    ground.damage(Code::UndecodableSettings).await;
    ground.repair().await;
    ground.site.pass_time(DAY * 29);
    ground.site.sweep().await;
    assert_eq!(below(&ground.site).await.len(), 2);
    ground.site.pass_time(DAY * 2);
    ground.site.sweep().await;
    assert_eq!(below(&ground.site).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_envelope_misfiled_under_another_caller_takes_no_message_with_it() {
    let ground = Ground::new(false).await;
    let bytes = ground.site.store.get(&ground.envelope()).await.unwrap().unwrap();
    let elsewhere = Key::envelope(&hash(OTHER_CALLER), &mailbox(BOX), ground.id);
    ground.create(elsewhere.as_str(), bytes).await;
    let playable = ground.playable().await;
    assert_eq!(codes(&ground.findings().await), BTreeSet::from([Code::WrongCaller, Code::EnvelopeOfOther]));
    assert!(ground.repair().await.iter().all(|(_, done)| done.is_none()));
    assert_eq!(ground.playable().await, playable);
}

#[tokio::test]
async fn a_head_that_cannot_be_decoded_is_found_and_stops_nothing() {
    for chain in ["receipts", "seal"] {
        let ground = Ground::new(false).await;
        let (site, key) = (&ground.site, Key::chain_head(chain));
        site.write_document(&key, "{ not JSON").await;
        ground.edit_entry(ground.id, |entry| entry["caller"] = json!(7)).await;
        let mut found = BTreeSet::new();
        check(&site.core.context, |finding| _ = found.insert(finding.key.clone())).await.unwrap();
        let expected = BTreeSet::from([key.to_string(), Key::index(&mailbox(BOX)).to_string()]);
        assert!(found.is_superset(&expected), "{chain}: {found:?}");
    }
}
