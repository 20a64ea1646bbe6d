//! `kubectl voicemail …`, as people call it: the plugin on the PATH of a real kubectl, with a live tenant and its requests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use voicemail_resources::Phase;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::{
    Api, Deposit, ExampleTenant, People, SharedOperator, Site, Tenant, apply_request, follow_request,
};

const NAMESPACE: &str = "plugin";
const CALLER: &str = "+441632960001";
const CALLER_DIGITS: &str = "1632960001";
const PATIENCE: Duration = Duration::from_secs(90);

/// A tenant with a message, an export and an erasure behind it, and one that is open.
struct Scene {
    site: Site,
    _operator: SharedOperator,
    tenant: Tenant,
    officer: Api,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn open() -> Self {
        let example = ExampleTenant::open(NAMESPACE).await.unwrap();
        let People { admin, media_server, officer, agent: _ } = example.people().await.unwrap();
        let ExampleTenant { site, operator, tenant, .. } = example;
        admin.put_mailbox("1001", "standard", "Reception").await.unwrap();
        leave_message(&media_server).await;
        let folder = tempfile::tempdir().unwrap();
        let consumers = workspace_path("examples/gdpr/consumers.yaml");
        site.apply_file(NAMESPACE, &consumers).await.unwrap();
        Self { site, _operator: operator, tenant, officer, folder }
    }

    async fn exercise(&self, file: &str, phase: Phase) {
        let name = apply_request(&self.site, NAMESPACE, file).await.unwrap();
        follow_request(&self.site, NAMESPACE, &name, phase, PATIENCE).await.unwrap();
    }

    fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_as(&self.site.cluster().unwrap().kubeconfig_path(), arguments)
    }

    /// kubectl finds the plugin by its name.
    fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Output {
        let plain = self.site.cluster().unwrap().kubectl().command();
        let path = std::env::var("PATH").unwrap_or_default();
        let folders = [plugin_folder(), PathBuf::from(path)].map(|folder| folder.display().to_string());
        let mut command = Command::new(plain.get_program());
        command.env("PATH", folders.join(":")).env("KUBECONFIG", kubeconfig);
        command.current_dir(self.folder.path()).arg("voicemail").args(arguments);
        command.output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        let (said, wrong) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "kubectl voicemail {arguments:?}: {said}{wrong}");
        said
    }

    fn fail(&self, arguments: &[&str], code: i32) -> String {
        let output = self.kubectl(arguments);
        let wrong = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "kubectl voicemail {arguments:?}: {wrong}");
        wrong
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn plugin_folder() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folders = this.ancestors().skip(1).take(2);
    folders.map(Path::to_owned).find(|folder| folder.join("kubectl-voicemail").is_file()).unwrap()
}

async fn leave_message(media_server: &Api) {
    let audio = Studio::open().unwrap().speak("please call back", Coding::ALaw).unwrap();
    let deposit = Deposit { caller_name: Some("Jane Doe".into()), ..Deposit::new("1001", CALLER, &audio) };
    media_server.deposit(&deposit).await.unwrap();
}

fn has(said: &str, parts: &[&str]) {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} is not in {said}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_shows_a_tenant_its_requests_its_mailboxes_and_its_logs_and_packs_a_report() {
    let scene = Scene::open().await;
    scene.exercise("export.yaml", Phase::Completed).await;
    // Whatever is hidden isn't in an export any more.
    export(&scene);
    scene.exercise("forget.yaml", Phase::Marked).await;
    let here = ["-n", NAMESPACE];
    let with = |words: &[&'static str]| [words, &here[..]].concat();

    has(
        &scene.run(&with(&["status", "acme"])),
        &[
            "Tenant: plugin/acme State: ready Replicas: 2 of 2 serve",
            "Ready True Available",
            "StorageReady True StoreAnswers",
            "eu-west volume Primary True",
            "acme-voicemail Bound",
            "case-123456789-forget ForgetMe Marked",
        ],
    );
    has(
        &scene.run(&with(&["gdpr", "list"])),
        &[
            "case-123456789-export acme ExportMe A-1042 Completed 1",
            "case-123456789-forget acme ForgetMe A-1042 Marked 1",
        ],
    );
    has(
        &scene.run(&with(&["gdpr", "show", "case-123456789-forget"])),
        &["Phase: Marked", "Hidden: 1 messages", "Undo until:", "Marked True Hidden"],
    );
    has(
        &scene.run(&with(&["mailboxes", "acme"])),
        &["MAILBOX CLASS MESSAGES", "1001 standard 0 10 Reception"],
    );
    let logs = scene.run(&with(&["logs", "acme", "--tail", "5"]));
    assert!(
        logs.lines().count() > 1 && logs.lines().all(|line| line.starts_with("[acme-voicemail-")),
        "{logs}"
    );

    verify(&scene).await;
    report(&scene);
    try_roles(&scene).await;

    assert!(scene.fail(&with(&["status", "nobody"]), 3).contains("there is no tenant nobody in plugin"));
    assert!(
        scene.fail(&with(&["gdpr", "export", "case-123456789-forget", "-o", "x"]), 3).contains("no export")
    );
    let account = "plugin/media-server";
    let refused =
        scene.fail(&[&with(&["mailboxes", "acme", "--account"])[..3], &[account], &here[..]].concat(), 4);
    assert!(refused.contains("the tenant's API says"), "{refused}");

    // What is open would hold the tenant back.
    scene.exercise("undo.yaml", Phase::Completed).await;
    follow_request(&scene.site, NAMESPACE, "case-123456789-forget", Phase::Undone, PATIENCE).await.unwrap();
    scene.tenant.remove().await.unwrap();
}

/// A kubeconfig of a new account with the role of the page that has this name.
async fn account_with_role(scene: &Scene, role: &str) -> PathBuf {
    let page = std::fs::read_to_string(workspace_path("docs/kubectl-plugin.md")).unwrap();
    let mut blocks = page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let block = blocks.find(|block| block.contains(&format!("name: {role}\n"))).unwrap();
    scene.site.apply_text(NAMESPACE, block.to_owned()).await.unwrap();
    let (named, account) = (format!("--role={role}"), format!("--serviceaccount={NAMESPACE}:{role}"));
    for arguments in [
        vec!["create", "serviceaccount", role, "-n", NAMESPACE],
        vec!["create", "rolebinding", role, &named, &account, "-n", NAMESPACE],
    ] {
        scene.site.run_kubectl(&arguments).await.unwrap();
    }
    let token = scene.site.run_kubectl(&["create", "token", role, "-n", NAMESPACE]).await.unwrap();
    let text = std::fs::read_to_string(scene.site.cluster().unwrap().kubeconfig_path()).unwrap();
    let mut config: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"] = serde_json::json!({"token": token.trim()});
    }
    let path = scene.folder.path().join(role);
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// The roles of docs/kubectl-plugin.md suffice for what it says, and for nothing else.
async fn try_roles(scene: &Scene) {
    let support = account_with_role(scene, "voicemail-support").await;
    let here = ["-n", NAMESPACE];
    for words in [&["status", "acme"][..], &["gdpr", "list"], &["logs", "acme", "--tail", "1"]] {
        let output = scene.kubectl_as(&support, &[words, &here].concat());
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    }
    let output = scene.kubectl_as(&support, &[&["report", "acme", "-o", "part.tar.gz"][..], &here].concat());
    has(&text(&output.stdout), &["part.tar.gz", "1 parts couldn't be had"]);
    let output = scene.kubectl_as(&support, &[&["mailboxes", "acme"][..], &here].concat());
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));

    let provisioner = account_with_role(scene, "voicemail-provisioner").await;
    let authority =
        ["get", "secret", "acme-voicemail-tls", "-n", NAMESPACE, "-o", "jsonpath={.data.ca\\.crt}"];
    let authority = scene.site.run_kubectl(&authority).await.unwrap();
    use base64::Engine;
    let pem = base64::prelude::BASE64_STANDARD.decode(authority.trim()).unwrap();
    std::fs::write(scene.folder.path().join("ca.crt"), pem).unwrap();
    let without = scene.kubectl_as(&provisioner, &[&["mailboxes", "acme"][..], &here].concat());
    assert_eq!(without.status.code(), Some(4), "it may not read the Secret: {}", text(&without.stderr));
    let with =
        scene.kubectl_as(&provisioner, &[&["mailboxes", "acme", "--ca", "ca.crt"][..], &here].concat());
    has(&text(&with.stdout), &["1001 standard"]);
}

fn export(scene: &Scene) {
    let said = scene.run(&["gdpr", "export", "case-123456789-export", "-o", "files", "-n", NAMESPACE]);
    let folder = scene.folder.path().join("files");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().display().to_string())
        .collect();
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(
        names[0].ends_with(".wav") && names[1..] == ["index.html", "manifest.json", "output.json"],
        "{names:?}"
    );
    assert_eq!(said.lines().count(), 4, "{said}");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder.join("output.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "others may read it");
}

/// A receipt of the tenant's own, and one that somebody changed.
async fn verify(scene: &Scene) {
    let path = |name: &str| scene.folder.path().join(name);
    for (name, asked) in
        [("receipt.json", "/gdpr/cases/A-1042/receipts/exportme.1"), ("keys.json", "/gdpr/keys")]
    {
        std::fs::write(path(name), scene.officer.get_text(asked).await.unwrap()).unwrap();
    }
    let arguments = ["gdpr", "verify", "receipt.json", "--key", "keys.json"];
    has(&scene.run(&arguments), &["\"case\":\"A-1042\"", "\"operation\":\"exportme\""]);
    let genuine = std::fs::read_to_string(path("receipt.json")).unwrap();
    std::fs::write(path("receipt.json"), genuine.replacen("A-1042", "A-1043", 1)).unwrap();
    assert!(scene.fail(&arguments, 8).contains("isn't genuine"));
}

fn report(scene: &Scene) {
    let said = scene.run(&["report", "acme", "-n", NAMESPACE, "-o", "report.tar.gz"]);
    let packed = std::fs::File::open(scene.folder.path().join("report.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        files.insert(name.trim_start_matches("voicemail-report-plugin-acme/").to_owned(), text);
    }
    let starting = |prefix: &str| files.keys().filter(|name| name.starts_with(prefix)).count();
    assert_eq!(files["errors.txt"], "", "{said}");
    assert!(files["version.txt"].contains("kubernetes v1."));
    for (file, part) in [
        ("objects/voicemailtenant.yaml", "StoreAnswers"),
        ("objects/gdprrequests.yaml", "case-123456789-forget"),
        ("objects/deployments.yaml", "acme-voicemail"),
        ("objects/configmaps.yaml", "classesOfService"),
        ("events.yaml", "Marked"),
        ("status.txt", "State:     ready"),
    ] {
        assert!(files[file].contains(part), "{file} lacks {part}: {}", files[file]);
    }
    // Two pods of the tenant, two of the operator.
    assert!(starting("logs/") >= 4 && starting("metrics/") == 4, "{:?}", files.keys());
    let all: String = files.values().cloned().collect();
    assert!(
        all.contains("voicemail_http_requests_total") && all.contains("controller_runtime_reconcile_total")
    );
    for secret in ["kind: Secret", "tls.key:", "tenant.key:", "Jane Doe", "eyJ", "managedFields"] {
        assert!(!all.contains(secret), "the report holds {secret}");
    }
    let digits: String = all.chars().filter(|c| !" -().".contains(*c)).collect();
    assert!(!digits.contains(CALLER_DIGITS), "the report holds the caller's number");
}
