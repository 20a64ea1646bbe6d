//! The SBOM names what is in `Cargo.lock` and linked into the shipped programs: each with a checksum and a licence.

#![allow(clippy::unwrap_used, reason = "a test's failure is a panic")]

use std::collections::BTreeSet;

use voicemail_test_machine::workspace_path;
use voicemail_tests::sbom::describe_workspace;

#[test]
fn everything_that_is_shipped_is_named_with_licence_checksum_and_what_it_needs() {
    let document = describe_workspace(&workspace_path("")).unwrap();
    let lock = std::fs::read_to_string(workspace_path("Cargo.lock")).unwrap();
    let components = document["components"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = components.iter().map(|one| text(&one["name"])).collect();
    for linked in
        ["svelte", "kube", "rsipstack", "flite-slt", "axum", "voicemail-telephony", "voicemail-operator"]
    {
        assert!(names.contains(linked), "{linked} is missing");
    }
    for foreign in ["vite", "proptest", "voicemail-tests", "s3s"] {
        assert!(!names.contains(foreign), "{foreign} isn't shipped");
    }
    let references: BTreeSet<String> = components.iter().map(|one| text(&one["bom-ref"])).collect();
    for one in components {
        let (name, version) = (text(&one["name"]), text(&one["version"]));
        if text(&one["purl"]).starts_with("pkg:npm/") {
            assert_eq!(
                (text(&one["hashes"][0]["alg"]), text(&one["hashes"][0]["content"]).len()),
                ("SHA-512".into(), 128)
            );
            continue;
        }
        if text(&one["type"]) == "data" {
            assert_eq!(text(&one["licenses"][0]["expression"]), "MIT-Festival");
            let sums = std::fs::read_to_string(workspace_path("telephony/prompts/SHA256SUMS")).unwrap();
            assert!(sums.starts_with(&text(&one["hashes"][0]["content"])), "{name}: another pack's");
            continue;
        }
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")), "{name} {version}");
        assert!(!text(&one["licenses"][0]["expression"]).is_empty(), "{name} has no licence");
        let checksum = text(&one["hashes"][0]["content"]);
        assert_eq!(
            lock.contains(&format!("checksum = \"{checksum}\"")),
            !name.contains("voicemail"),
            "{name}"
        );
    }
    let needed = document["dependencies"].as_array().unwrap();
    assert_eq!(needed.len(), components.len());
    for one in needed {
        for on in one["dependsOn"].as_array().unwrap() {
            assert!(references.contains(on.as_str().unwrap()), "{on} is needed and isn't named");
        }
    }
}
