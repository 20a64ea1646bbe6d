//! The drill of docs/operating.md, "Restoring a backup": a snapshot from before an erasure is restored into an empty
//! namespace. It isn't served until the erasure was carried out again; then all the rest of it plays.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use k8s_openapi::api::core::v1::Secret;
use kube::Api as KubeApi;
use serde_json::Value;
use tempfile::TempDir;
use voicemail_api::gdpr::{LedgerHead, RunState};
use voicemail_model::MessageId;
use voicemail_operator::tenant::build::names::{child_name, ledger_name};
use voicemail_resources::conditions::{ConditionStatus, STORAGE_READY};
use voicemail_resources::{Phase, VoicemailTenant};
use voicemail_test_cluster::wait::wait_until;
use voicemail_test_machine::command::run;
use voicemail_test_machine::speech::{Coding, Studio, sound_of};
use voicemail_test_machine::traces::{Sought, Traces};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::{
    Api, Deposit, ExampleTenant, People, SharedOperator, Site, Tenant, TenantManifest, apply_request,
    follow_request,
};
use voicemail_tests::tenant_manifest::condition;

const NAMESPACE: &str = "restore-drill";
const CASE: &str = "A-1042";
const FORGOTTEN: &str = "+441632960001";
const OTHERS: [&str; 2] = ["+441632960777", "+441632960888"];
const PATIENCE: Duration = Duration::from_secs(120);

/// Who left what. No word occurs twice, so that a recording is told from all others by any piece of it.
const SPOKEN: [(&str, &str); 5] = [
    (FORGOTTEN, "apples ripen slowly"),
    (OTHERS[0], "thunder rolled northwards"),
    (FORGOTTEN, "please return our call"),
    (OTHERS[1], "seventeen violins"),
    (OTHERS[0], "a quiet harbour"),
];

/// A message of the snapshot.
struct Left {
    caller: &'static str,
    id: MessageId,
    audio: Bytes,
}

struct Drill {
    site: Site,
    _operator: SharedOperator,
    manifest: TenantManifest,
    tenant: Tenant,
}

impl Drill {
    async fn open() -> Self {
        let ExampleTenant { site, operator, manifest, tenant } =
            ExampleTenant::open(NAMESPACE).await.unwrap();
        Self { site, _operator: operator, manifest, tenant }
    }

    async fn people(&self) -> People {
        People::meet(&self.site, &self.tenant, &self.manifest).await.unwrap()
    }

    async fn leave_messages(&self) -> Vec<Left> {
        let people = self.people().await;
        people.provision(&["1001"]).await.unwrap();
        let mut left = Vec::new();
        for (caller, text) in SPOKEN {
            let audio = Studio::open().unwrap().speak(text, Coding::ALaw).unwrap();
            let deposit = Deposit::new("1001", caller, &audio);
            let id = people.media_server.deposit(&deposit).await.unwrap().id;
            left.push(Left { caller, id, audio });
        }
        left
    }

    async fn forget(&self) {
        let consumers = workspace_path("examples/gdpr/consumers.yaml");
        self.site.apply_file(NAMESPACE, &consumers).await.unwrap();
        let name = apply_request(&self.site, NAMESPACE, "forget-again.yaml").await.unwrap();
        follow_request(&self.site, NAMESPACE, &name, Phase::Completed, PATIENCE).await.unwrap();
        let secrets: KubeApi<Secret> = self.site.api(NAMESPACE).unwrap();
        let name = ledger_name(self.tenant.name());
        wait_until(&secrets, &name, "it knows the erasure", PATIENCE, |secret| epoch(secret) >= Some(1))
            .await
            .unwrap();
    }

    /// Namespace and volume go; the snapshot and the Secrets come back, and then the tenant.
    async fn lose_everything_and_restore(&mut self, snapshot: &Path, secrets: &[Value]) {
        let folder = self.tenant.volume_folder().unwrap().to_owned();
        self.tenant.remove().await.unwrap();
        assert!(!folder.exists(), "the volume is lost");
        run(Command::new("cp").arg("-a").arg(snapshot).arg(&folder)).unwrap();
        Tenant::create_namespace(&self.site, NAMESPACE).await.unwrap();
        for secret in secrets {
            self.site.apply_text(NAMESPACE, secret.to_string()).await.unwrap();
        }
        self.tenant = Tenant::apply(&self.site, NAMESPACE, &self.manifest).await.unwrap();
    }

    async fn traces(&self, left: &[Left]) -> Vec<String> {
        let hash = self.tenant.hash_caller(FORGOTTEN, "GB").await.unwrap();
        let mut traces = Traces::default().with_number(FORGOTTEN, "44").with_caller_hash(hash.as_str());
        for message in left.iter().filter(|message| message.caller == FORGOTTEN) {
            traces = traces.with_audio(sound_of(&message.audio).unwrap());
        }
        let ledger = |file: &str| ["/mark/", "/ledger/", "/due/"].iter().any(|kept| file.contains(kept));
        let found = traces.scan(self.tenant.volume_folder().unwrap()).unwrap().into_iter();
        let found = found.map(|trace| (trace.file.display().to_string(), trace.what));
        found
            .filter(|(file, what)| *what != Sought::CallerHash || !ledger(file))
            .map(|(file, _)| file)
            .collect()
    }
}

fn epoch(secret: &Secret) -> Option<u64> {
    let head: LedgerHead = serde_json::from_slice(&secret.data.as_ref()?.get("head.json")?.0).ok()?;
    Some(head.epoch)
}

/// Copies the volume's folder. Its pods go on, and what they remove meanwhile can't be copied: then once more.
fn snapshot(folder: &Path) -> TempDir {
    for _ in 0..5 {
        let copy = tempfile::tempdir().unwrap();
        if run(Command::new("cp").arg("-a").arg(folder).arg(copy.path().join("volume"))).is_ok() {
            return copy;
        }
    }
    panic!("the folder changes all the time")
}

/// The runs of the replay end when superseded revisions are gone from the volume.
async fn wait_until_purged(officer: &Api) {
    let (world, start) = (voicemail_store::real_world(), Instant::now());
    loop {
        let runs = officer.case(CASE).await.unwrap().runs;
        let states: Vec<RunState> = runs.iter().map(|run| run.state).collect();
        if states == [RunState::Purged] {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{states:?}");
        world.sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_served_only_after_what_was_erased_since_is_erased_again() {
    let mut drill = Drill::open().await;
    let left = drill.leave_messages().await;
    let backup = snapshot(drill.tenant.volume_folder().unwrap());
    drill.forget().await;
    let secrets = drill.tenant.keep_secrets().await.unwrap();
    assert_eq!(secrets.len(), 2, "keys and ledger");
    drill.lose_everything_and_restore(&backup.path().join("volume"), &secrets).await;

    let tenants: KubeApi<VoicemailTenant> = drill.site.api(NAMESPACE).unwrap();
    let detected = |tenant: &VoicemailTenant| {
        condition(tenant, STORAGE_READY)
            .is_some_and(|found| found.status == ConditionStatus::False && found.reason == "RestoreDetected")
    };
    let name = drill.tenant.name().to_owned();
    let tenant = wait_until(&tenants, &name, "the restore is detected", PATIENCE, detected).await.unwrap();
    let message = &condition(&tenant, STORAGE_READY).unwrap().message;
    let deployment = format!("deploy/{}", child_name(&name));
    let command = ["exec", "-n", NAMESPACE, &deployment, "--", "voicemail", "admin", "replay-erasures"];
    assert!(message.ends_with(&format!("kubectl {}", command.join(" "))), "{message}");
    assert!(!drill.traces(&left).await.is_empty(), "the backup brought the caller back");

    let said = drill.site.run_kubectl(&command).await.unwrap();
    assert!(said.contains("erasures carried out again") && said.starts_with("1 "), "{said}");
    drill.tenant.wait_ready().await.unwrap();

    let People { agent, officer, .. } = drill.people().await;
    wait_until_purged(&officer).await;
    assert_eq!(drill.traces(&left).await, Vec::<String>::new());
    let listed = agent.list("1001").await.unwrap();
    let others: Vec<&Left> = left.iter().filter(|message| message.caller != FORGOTTEN).collect();
    assert_eq!(listed.len(), others.len());
    for message in others {
        assert_eq!(agent.audio("1001", message.id).await.unwrap(), message.audio);
    }
    drill.tenant.remove().await.unwrap();
}
