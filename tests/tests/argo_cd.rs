//! Argo CD's view of both kinds: the health scripts on their cases, in a real Lua 5.1 without its standard
//! libraries, as Argo CD runs them; and that nothing is fought over, neither by server-side nor client-side apply.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use voicemail_test_machine::command::run_with_input;
use voicemail_test_machine::debian::ensure_packages;
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::TenantPlace;

/// Group and name.
const KINDS: [(&str, &str); 3] =
    [("voicemail.dev", "VoicemailTenant"), ("voicemail.dev", "GdprRequest"), ("argoproj.io", "Application")];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/argo-cd")
}

fn customization((group, kind): (&str, &str)) -> PathBuf {
    folder().join("resource_customizations").join(group).join(kind)
}

fn read_yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value as Lua writes it.
fn to_lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => format!("{{{}}}", items.iter().map(to_lua).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("[{key:?}]={}", to_lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}

/// Status and message that the script gives the object.
fn judge(script: &str, object: &Value) -> (String, String) {
    // Only what needs no library: Argo CD leaves the others out.
    let program = format!(
        "local script = [==[{script}]==]\n\
         local health = setfenv(loadstring(script), {{obj = {}, ipairs = ipairs, pairs = pairs}})()\n\
         print(health.status)\nprint(health.message)\n",
        to_lua(object)
    );
    let printed = run_with_input(Command::new("lua5.1").arg("-"), &program).unwrap();
    let mut lines = printed.lines().map(str::to_owned);
    (lines.next().unwrap(), lines.next().unwrap_or_default())
}

#[test]
fn health_scripts_say_what_their_cases_expect() {
    ensure_packages(&[("lua5.1", "lua5.1")]).unwrap();
    for kind in KINDS {
        let script = std::fs::read_to_string(customization(kind).join("health.lua")).unwrap();
        let cases = read_yaml(&customization(kind).join("health_test.yaml"));
        let cases = cases["tests"].as_array().unwrap().clone();
        assert!(cases.len() >= 6, "{kind:?}");
        for case in cases {
            let file = case["inputPath"].as_str().unwrap();
            let (status, message) = judge(&script, &read_yaml(&customization(kind).join(file)));
            let expected = &case["healthStatus"];
            assert_eq!(expected["status"], status.as_str(), "{kind:?} {file}: {message}");
            assert_eq!(expected["message"], message.as_str(), "{kind:?} {file}");
        }
    }
}

#[test]
fn the_config_map_holds_the_scripts_as_they_are() {
    let map = read_yaml(&folder().join("argocd-cm.yaml"));
    for kind in KINDS {
        let script = std::fs::read_to_string(customization(kind).join("health.lua")).unwrap();
        assert_eq!(map["data"][format!("resource.customizations.health.{}_{}", kind.0, kind.1)], script);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_applied_twice_by_either_way_of_applying_shows_no_difference() {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("argo").await.unwrap();
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let ways: [(&str, &[&str]); 2] =
        [("server-side", &["--server-side", "--field-manager=argocd-controller"]), ("client-side", &[])];
    for (index, (way, flags)) in ways.iter().enumerate() {
        let name = format!("acme-{index}");
        let (volume, _) = place.create_volume().await.unwrap();
        let mut tenant = tenant_on(&name, &volume).unwrap();
        tenant.spec.replicas = 1;
        std::fs::write(file.path(), serde_yaml::to_string(&tenant).unwrap()).unwrap();
        let apply =
            |place: &TenantPlace| place.kubectl(&[&["apply", "-f", &path][..], flags].concat()).unwrap();
        apply(&place);
        let ready = place.wait_ready(&name).await.unwrap();
        apply(&place);
        let diff = place.kubectl(&[&["diff", "-f", &path][..], flags].concat());
        assert!(diff.is_ok(), "{way}: {diff:?}");
        let again = place.tenants().get(&name).await.unwrap();
        assert_eq!(
            again.metadata.generation, ready.metadata.generation,
            "{way}: the second apply changed it"
        );
        assert_eq!(again.status, ready.status, "{way}");
    }
}
