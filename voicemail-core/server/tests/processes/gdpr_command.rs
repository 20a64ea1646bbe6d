//! The `gdpr` command against a served core and a real authorisation server: the vendor's six examples byte for byte,
//! what is new, and the exit codes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::Method;
use serde_json::{Value, json};
use served::{Process, Setup, speech};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use voicemail_test_machine::cargo::build_program;
use voicemail_test_machine::servers::{OidcServer, loopback};

/// The command, built once for all tests of this file.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| build_program("gdpr").unwrap());
const CCID: &str = "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d";
const CALLER: &str = "+441632960001";
/// As the vendor's page has them.
const EXAMPLES: &str = r#"
node gdpr.js -i "t2026" -o "t2026" -u "dDIwMjZcXGRlZmF1bHQ6cGFzc3dvbnW=" -p "forgetme" --basic
node gdpr.js -i "t2026" -o "t2026" -u "dDIwMjZcXGRlZmF1bHQ6cGFzc3dvbnW=" -p "undoforget" --basic
node gdpr.js -i "t2026" -o "t2026" -u "dDIwMjZcXGRlZmF1bHQ6cGFzc3dvbnW=" -p "exportme" --basic
node gdpr.js -i "t2026" -o "t2026" -c "iPdZIMR5qHAohE4wsC0La0eAopUyJDZalmwN6FPH9rjUcztZ" -p "forgetme"
node gdpr.js -i "t2026" -o "t2026" -c "iPdZIMR5qHAohE4wsC0La0eAopUyJDZalmwN6FPH9rjUcztZ" -p "undoforget"
node gdpr.js -i "t2026" -o "t2026" -c "iPdZIMR5qHAohE4wsC0La0eAopUyJDZalmwN6FPH9rjUcztZ" -p "exportme"
"#;
/// A shell with the command as `gdpr`, in a folder of its own.
struct Desk {
    folder: tempfile::TempDir,
    process: Process,
    setup: Setup,
    issuer: String,
    id: String,
}

impl Desk {
    async fn open(server: &OidcServer) -> Self {
        let setup = Setup::new();
        let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
        config["auth"]["issuers"].as_array_mut().unwrap().push(json!({
            "issuer": server.issuer(), "audience": "voicemail", "rolesClaim": "scope", "userClaim": "client_id",
            "roleMap": { "voicemail:privacy": "privacy" }, "algorithms": ["ES256"],
        }));
        // What the example's base64 says: the page gives it no more than that.
        let hash = bcrypt::hash("passwonu", 4).unwrap();
        let users = format!("t2026\\default:{hash}:privacy\nt2026\\agent:{hash}:agent\n");
        fs::write(setup.path().join("users"), users).unwrap();
        config["auth"]["basic"] = json!({ "usersFile": setup.path().join("users") });
        setup.write_config(&serde_yaml::to_string(&config).unwrap());
        let mut process = Process::start(&setup);
        process.wait_for("open");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("t2026")).unwrap();
        let mut desk = Self { folder, process, setup, issuer: server.issuer(), id: String::new() };
        desk.write_input(
            &json!({ "caseid": "123456789", "ccid": CCID, "consumers": [{ "phone": [CALLER] }] }),
        );
        desk.id = desk.leave_message().await;
        desk
    }

    fn write_input(&self, input: &Value) {
        fs::write(self.path().join("t2026/input.json"), input.to_string()).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn leave_message(&self) -> String {
        let send = |method: Method, path: &str| {
            let url = format!("{}/api/v1/{path}", self.process.api);
            reqwest::Client::new().request(method, url).bearer_auth(self.setup.token())
        };
        let made = send(Method::PUT, "mailboxes/1001").json(&json!({})).send().await.unwrap();
        assert!(made.status().is_success());
        let form = reqwest::multipart::Form::new()
            .text("caller", CALLER)
            .part("audio", reqwest::multipart::Part::bytes(speech()));
        let left = send(Method::POST, "mailboxes/1001/messages").multipart(form).send().await.unwrap();
        let left: Value = left.json().await.unwrap();
        left["id"].as_str().unwrap().to_owned()
    }

    /// Runs a line of shell, where `gdpr` is the command and the environment that of a scheduler.
    fn shell(&self, line: &str) -> Output {
        let folder = PROGRAM.parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let tenants = self.path().join("tenants.json");
        fs::write(&tenants, json!({ CCID: self.process.api }).to_string()).unwrap();
        Command::new("sh")
            .args(["-c", line])
            .current_dir(self.path())
            .env("PATH", path)
            .env("GDPR_URL", &self.process.api)
            .env("GDPR_TENANTS", tenants)
            .env("GWS_URL", &self.issuer)
            .env("GWS_CLIENT_ID", "script")
            .env("GWS_RESOURCE", "urn:voicemail:signed")
            .env("GWS_SCOPE", "voicemail:privacy")
            .env("GDPR_TOKEN", self.setup.token())
            .output()
            .unwrap()
    }

    fn succeeds(&self, line: &str) -> String {
        let output = self.shell(line);
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(output.status.success(), "{line}: {} {out} {err}", output.status);
        out
    }

    fn code(&self, line: &str) -> Option<i32> {
        self.shell(line).status.code()
    }

    fn output(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path().join("t2026/output.json")).unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_six_examples_run_byte_for_byte() {
    let server = OidcServer::start(loopback()).await.unwrap();
    let desk = Desk::open(&server).await;
    let lines: Vec<String> =
        EXAMPLES.trim().lines().map(|line| line.replacen("node gdpr.js", "gdpr", 1)).collect();
    assert_eq!(lines.len(), 6);
    for three in lines.chunks(3) {
        desk.succeeds(&three[0]);
        assert_eq!(desk.output()["run"]["state"], "marked");
        assert_eq!(desk.output()["consumers"], json!({ CALLER: [desk.id] }));
        desk.succeeds(&three[1]);
        assert_eq!(desk.output()["run"]["state"], "undone");
        desk.succeeds(&three[2]);
        assert_eq!(desk.output(), json!({ "caseid": "123456789", "consumers": { CALLER: [desk.id] } }));
        let media = desk.path().join(format!("t2026/{}.wav", desk.id));
        assert_eq!(fs::read(&media).unwrap(), speech(), "the medium is named by its message's id");
        fs::remove_file(media).unwrap();
    }
    let log = fs::read_to_string(desk.path().join("t2026/execution.log")).unwrap();
    assert!(log.lines().count() >= 18 && !log.contains("1632960001"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_works_and_each_failure_has_its_exit_code() {
    let server = OidcServer::start(loopback()).await.unwrap();
    let desk = Desk::open(&server).await;
    let user = r#"gdpr -i t2026/input.json -o out -u "$GDPR_TOKEN""#;
    desk.succeeds(&format!("{user} -p forgetme --dry-run"));
    desk.succeeds(&format!("{user} -p undoforgot; test $? = 3"));
    let quick = json!({ "caseid": "7", "undoWindow": "0s", "consumers": [{ "phone": [CALLER] }] });
    desk.write_input(&quick);
    let told = desk.succeeds(&format!("{user} -p forgetme --wait --timeout 120"));
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["erased"]), (&json!("purged"), &json!(1)), "{told}");
    let status: Value = serde_json::from_str(&desk.succeeds(r#"gdpr -u "$GDPR_TOKEN" status 7"#)).unwrap();
    assert_eq!(status["runs"][0]["state"], "purged");

    let table = desk.succeeds(r#"gdpr -u "$GDPR_TOKEN" report --from 2026-01-01T00:00:00Z"#);
    assert!(table.starts_with("case,run,") && table.contains("7,7/forgetme.1,forgetme,purged"), "{table}");
    let many = r#"for n in $(seq 101); do curl -sf -o many.json -H "Authorization: Bearer $GDPR_TOKEN" -H "Content-Type: application/json" \
        -d '{"caseid":"many-'$n'","consumers":[{"phone":["+442079460999"]}]}' "$GDPR_URL/api/v1/gdpr/exportme" || exit 1; done"#;
    desk.succeeds(many);
    let table = desk.succeeds(r#"gdpr -u "$GDPR_TOKEN" report --from 2026-01-01T00:00:00Z"#);
    let cases: BTreeSet<&str> = table.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!((cases.len(), table.lines().count()), (102, 103), "page after page: {table}");
    let get = |path: &str| {
        format!(r#"curl -sf -H "Authorization: Bearer $GDPR_TOKEN" "$GDPR_URL/api/v1/gdpr/{path}""#)
    };
    desk.succeeds(&format!("{} > receipt.json && {} > keys.json", get("cases/7/receipts/1"), get("keys")));
    let receipt = desk.succeeds("env -i \"$(command -v gdpr)\" verify receipt.json --key keys.json");
    assert_eq!(serde_json::from_str::<Value>(&receipt).unwrap()["case"], "7");
    desk.succeeds("sed -i 's/forgetme/exportme/' receipt.json");
    assert_eq!(desk.code("gdpr verify receipt.json --key keys.json"), Some(8));

    assert_eq!(desk.code("gdpr -i t2026 -o out -c nobody:nothing -p forgetme"), Some(10), "no ccid");
    desk.write_input(&json!({ "caseid": "8", "ccid": CCID, "requireApproval": true,
                              "consumers": [{ "phone": [CALLER] }] }));
    assert_eq!(desk.code("gdpr -i t2026 -o out -c nobody:nothing -p forgetme"), Some(4), "a wrong secret");
    assert_eq!(desk.code(&format!("{user} -p forgetme")), Some(6), "a second person");
    assert_eq!(desk.code("gdpr -i t2026 -p forgetme"), Some(2), "no output");
    assert_eq!(desk.code("gdpr -i nowhere -o out -u x -p forgetme"), Some(1), "no input");
    assert_eq!(desk.code("gdpr -i t2026 -o out -u x -p forgetme"), Some(4), "a wrong token");
    let agent = r#"gdpr -i t2026 -o out -u "$(printf 't2026\\agent:passwonu' | base64)" --basic -p forgetme"#;
    assert_eq!(desk.code(agent), Some(4), "signed in, without the right");
    let away = "GDPR_TENANTS= GDPR_URL=http://127.0.0.1:1 gdpr -i t2026 -o out -u x -p forgetme";
    assert_eq!(desk.code(&away.replace("GDPR_TENANTS= ", "env -u GDPR_TENANTS ")), Some(5), "nobody there");
    desk.write_input(&json!({ "caseid": "9", "undoWindow": "1h", "consumers": [{ "phone": [CALLER] }] }));
    assert_eq!(desk.code(&format!("{user} -p forgetme --wait --timeout 1")), Some(7), "marked for an hour");
    let taken_back = format!(
        "{user} -p forgetme --wait --timeout 120 & waiting=$!
         {user} -p undoforget --wait && wait $waiting"
    );
    assert_eq!(desk.code(&taken_back), Some(9), "another took it back");
    assert!(desk.succeeds("gdpr completions bash").contains("--operation"));
    assert!(desk.succeeds("gdpr man").contains("undoforget"));
}

/// The files of a store below folders of that name.
fn files_below(root: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, name));
        } else if path.parent().is_some_and(|parent| parent.ends_with(name)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_public_key_finds_that_a_receipt_was_removed_from_the_store() {
    let server = OidcServer::start(loopback()).await.unwrap();
    let desk = Desk::open(&server).await;
    for case in ["7", "8"] {
        let quick = json!({ "caseid": case, "undoWindow": "0s", "consumers": [{ "phone": [CALLER] }] });
        desk.write_input(&quick);
        desk.succeeds(
            r#"gdpr -i t2026/input.json -o t2026 -u "$GDPR_TOKEN" -p forgetme --wait --timeout 120"#,
        );
    }
    desk.succeeds(
        r#"curl -sf -H "Authorization: Bearer $GDPR_TOKEN" "$GDPR_URL/api/v1/gdpr/keys" > keys.json"#,
    );
    let all = r#"gdpr -u "$GDPR_TOKEN" verify --all --key keys.json"#;
    let told = desk.succeeds(all);
    assert!(told.starts_with("2 receipts and") && told.contains("without --head"), "{told}");
    let chain = files_below(&desk.setup.path().join("store"), "receipts");
    assert!(chain.len() >= 2, "{chain:?}");
    fs::remove_file(&chain[0]).unwrap();
    let broken = desk.shell(all);
    let words = String::from_utf8_lossy(&broken.stderr).into_owned();
    assert_eq!(broken.status.code(), Some(8), "{words}");
    assert!(!words.contains("1632960001"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_a_pipeline_runs_step_by_step() {
    let server = OidcServer::start(loopback()).await.unwrap();
    let desk = Desk::open(&server).await;
    fs::rename(desk.path().join("t2026"), desk.path().join("requests")).unwrap();
    let workflow: Value =
        serde_yaml::from_str(include_str!("../../../../examples/github-actions/gdpr.yaml")).unwrap();
    let steps = workflow["jobs"]["request"]["steps"].as_array().unwrap();
    let runs: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert_eq!(runs.len(), 3);
    let environment =
        "export OPERATION=exportme GDPR_CLIENT=iPdZIMR5qHAohE4wsC0La0eAopUyJDZalmwN6FPH9rjUcztZ; set -e";
    for run in runs {
        assert!(!run.contains("${{"), "expressions belong into env: {run}");
        desk.succeeds(&format!("{environment}\n{run}"));
    }
    assert_eq!(fs::read(desk.path().join(format!("result/{}.wav", desk.id))).unwrap(), speech());
    let register = fs::read_to_string(desk.path().join("result/register.csv")).unwrap();
    assert!(register.contains("123456789/exportme.1"), "{register}");
}
