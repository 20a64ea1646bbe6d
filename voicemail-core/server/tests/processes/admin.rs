//! `voicemail admin` as a process on a volume: what it prints, its exit status, and that it changes nothing
//! unless told to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served::{self, PROGRAM};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use voicemail_api::config::TenantConfig;
use voicemail_engine::core::{Core, TenantKeys};
use voicemail_store::Store;
use voicemail_store::volume::{LockProbe, VolumeStore};

/// A configuration on a volume of its own, as text and as it is read.
struct Setup {
    files: served::Setup,
    config: TenantConfig,
}

impl Setup {
    fn new() -> Self {
        let files = served::Setup::new();
        Self { config: TenantConfig::parse(&files.example()).unwrap(), files }
    }

    /// A store with a tenant and a mailbox.
    async fn filled() -> Self {
        let setup = Self::new();
        let probe = LockProbe(vec![PROGRAM.into(), "probe-lock".into()]);
        let mount = setup.files.path().join("store");
        let store: Arc<dyn Store> = Arc::new(VolumeStore::new(&mount, &setup.config.tenant_id, probe));
        let keys = TenantKeys::read(&setup.config.keys_dir).unwrap();
        let regions = BTreeMap::from([("main".to_owned(), store)]);
        let core = Core::open_on(&setup.config, keys, regions, voicemail_store::real_world()).await.unwrap();
        core.directory.put_mailbox(&"1001".parse().unwrap(), None, None).await.unwrap();
        setup
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.files.path().join("config.yaml");
        let mut command = Command::new(PROGRAM);
        command.arg("admin").args(arguments).arg("--config").arg(config).output().unwrap()
    }

    fn tenant(&self) -> PathBuf {
        self.files.path().join("store/v1").join(&self.config.tenant_id)
    }
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| match entry.file_name() == name {
        true => Some(entry.path()),
        false => find(&entry.path(), name),
    })
}

fn lines(output: &Output) -> Vec<Value> {
    text(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_store_without_a_tenant_cannot_be_checked() {
    let setup = Setup::new();
    for command in [&["fsck"][..], &["fsck", "--repair"], &["apply-retention"]] {
        let output = setup.run(command);
        assert_eq!(status(&output), 2, "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("holds no tenant"), "{output:?}");
    }
    assert!(!setup.tenant().exists(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn fsck_finds_and_repairs_and_says_so_by_its_status() {
    let setup = Setup::filled().await;
    let clean = setup.run(&["fsck"]);
    assert_eq!(status(&clean), 0, "{clean:?}");
    assert!(text(&clean).contains("findings: none"), "{clean:?}");

    let settings = find(&setup.tenant(), "settings.doc").unwrap();
    fs::write(settings.join("r.00000000000000000009.json"), "{ not JSON").unwrap();
    let found = setup.run(&["fsck", "--json"]);
    assert_eq!(status(&found), 1, "{found:?}");
    let found = lines(&found);
    assert_eq!(found[0]["finding"]["code"], "undecodable-settings");
    assert_eq!(found.last().unwrap()["summary"]["findings"]["undecodable-settings"], 1);
    assert!(settings.exists(), "only looked at");

    let repaired = setup.run(&["fsck", "--repair"]);
    assert_eq!(status(&repaired), 1, "{repaired:?}");
    assert!(text(&repaired).contains("moved to quarantine"), "{repaired:?}");
    let after = setup.run(&["fsck"]);
    assert_eq!(status(&after), 0, "{after:?}");
    assert!(text(&after).contains("quarantined 1"), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_retention_counts_by_class() {
    let setup = Setup::filled().await;
    let dry = setup.run(&["apply-retention"]);
    assert_eq!(status(&dry), 0, "{dry:?}");
    assert!(text(&dry).contains("class standard: 0 messages") && text(&dry).contains("--apply"), "{dry:?}");
    let applied = setup.run(&["apply-retention", "--apply"]);
    assert_eq!(status(&applied), 0, "{applied:?}");
    assert!(!text(&applied).contains("nothing was changed"), "{applied:?}");
}

#[tokio::test]
async fn a_tenant_is_removed_only_when_its_id_is_typed_and_then_nothing_is_left() {
    let setup = Setup::filled().await;
    let looked = setup.run(&["retire"]);
    assert_eq!(status(&looked), 0, "{looked:?}");
    assert!(text(&looked).contains("region main:"), "{}", text(&looked));
    let refused = setup.run(&["retire", "--remove", "--confirm", "another"]);
    assert_eq!(status(&refused), 1);
    assert!(text(&refused).contains("nothing was removed") && setup.tenant().join("mb").exists());
    let removed = setup.run(&["retire", "--remove", "--confirm", &setup.config.tenant_id]);
    assert_eq!(status(&removed), 0, "{removed:?}");
    assert!(text(&removed).contains("everything is removed"), "{}", text(&removed));
    assert_eq!(status(&setup.run(&["retire"])), 2, "the store holds no tenant any more");
}
