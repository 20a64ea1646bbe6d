//! The software bill of materials of what is shipped, as CycloneDX 1.5: every crate that is linked into one of the programs,
//! every npm package of which something is in the pages that are compiled into one, and the voice that speaks the prompts.
//!
//! Flow: `cargo metadata` tells packages and who needs whom, `Cargo.lock` the checksums; `web/dist/licences.json` tells what
//! the pages were built of, `web/package-lock.json` the digests. What only tests or build scripts need is left out. Nothing in it changes with time or machine, so the same lock file gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use voicemail_test_machine::command::run;

/// The crates whose programs are shipped.
pub const SHIPPED: [&str; 5] =
    ["voicemail-operator", "voicemail-server", "voicemail-telephony", "voicemail-gdpr", "kubectl-voicemail"];

/// The document for the workspace in that folder.
pub fn describe_workspace(folder: &Path) -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--locked"]).current_dir(folder);
    let metadata: Value = serde_json::from_str(&run(&mut command)?).context("cargo printed no JSON")?;
    let lock = std::fs::read_to_string(folder.join("Cargo.lock")).context("reading Cargo.lock")?;
    let mut document = describe(&metadata, &read_checksums(&lock))?;
    add_pages(&mut document, folder)?;
    add_voice(&mut document, folder)?;
    Ok(document)
}

/// Name and version of the voice that speaks the prompts.
const VOICE: [&str; 2] = ["flite-slt", "2.2"];
/// The program that has them spoken.
const SPEAKS: &str = "pkg:cargo/voicemail-telephony@";

/// Adds the voice, whose sounds are in the pack of prompts.
fn add_voice(document: &mut Value, folder: &Path) -> Result<()> {
    let sums = folder.join("telephony/prompts/SHA256SUMS");
    let sums = std::fs::read_to_string(&sums).with_context(|| format!("reading {}", sums.display()))?;
    let digest = sums.split_whitespace().next().context("SHA256SUMS is empty")?;
    let [name, version] = VOICE;
    let reference = format!("pkg:generic/{name}@{version}");
    let component = json!({
        "type": "data", "bom-ref": reference, "purl": reference, "name": name, "version": version,
        "licenses": [{"expression": "MIT-Festival"}],
        "hashes": [{"alg": "SHA-256", "content": digest}],
    });
    push(&mut document["components"], component);
    need(document, SPEAKS, &reference);
    push(&mut document["dependencies"], json!({"ref": reference, "dependsOn": []}));
    Ok(())
}

/// The program that the pages are compiled into.
const SERVES_PAGES: &str = "pkg:cargo/voicemail-server@";

/// Adds what of others is in the built pages.
fn add_pages(document: &mut Value, folder: &Path) -> Result<()> {
    let read = |name: &str| -> Result<Value> {
        let text = std::fs::read_to_string(folder.join(name)).with_context(|| format!("reading {name}"))?;
        serde_json::from_str(&text).with_context(|| format!("{name} isn't JSON"))
    };
    let (built, lock) = (read("web/dist/licences.json")?, read("web/package-lock.json")?);
    for package in built.as_array().context("web/dist/licences.json has no list")? {
        let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        let (name, version) = (text("name"), text("version"));
        let reference = format!("pkg:npm/{}@{version}", name.replace('@', "%40"));
        let locked = &lock["packages"][format!("node_modules/{name}")];
        ensure!(locked["version"] == version, "{name} {version} isn't in web/package-lock.json");
        let digest = locked["integrity"].as_str().and_then(|text| text.strip_prefix("sha512-"));
        let digest = STANDARD.decode(digest.with_context(|| format!("{name} has no digest"))?)?;
        let component = json!({
            "type": "library", "bom-ref": reference, "purl": reference, "name": name, "version": version,
            "licenses": [{"expression": text("identifier")}],
            "hashes": [{"alg": "SHA-512", "content": hex::encode(digest)}],
        });
        push(&mut document["components"], component);
        need(document, SERVES_PAGES, &reference);
        push(&mut document["dependencies"], json!({"ref": reference, "dependsOn": []}));
    }
    Ok(())
}

/// Says that our program of that name needs what has this reference.
fn need(document: &mut Value, program: &str, reference: &str) {
    for one in document["dependencies"].as_array_mut().into_iter().flatten() {
        if one["ref"].as_str().is_some_and(|name| name.starts_with(program)) {
            push(&mut one["dependsOn"], json!(reference));
        }
    }
}

fn push(list: &mut Value, one: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(one);
    }
}

/// Checksums by name and version.
fn read_checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |text: &str, key: &str| {
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(&format!("{key} = \"")))?;
        Some(found.trim_end_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    packages
        .filter_map(|text| Some(((value(text, "name")?, value(text, "version")?), value(text, "checksum")?)))
        .collect()
}

/// From a package's id to the ids of those that are linked into it.
fn read_links(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let is_linked = |dependency: &&Value| {
        dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
    };
    let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    nodes
        .filter_map(|node| {
            let linked = node["deps"].as_array()?.iter().filter(is_linked);
            Some((node["id"].as_str()?, linked.filter_map(|one| one["pkg"].as_str()).collect()))
        })
        .collect()
}

fn describe(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let links = read_links(metadata);
    let mut wanted: Vec<&str> = packages
        .iter()
        .filter(|package| SHIPPED.iter().any(|name| package["name"] == *name))
        .filter_map(|package| package["id"].as_str())
        .collect();
    let mut shipped = BTreeSet::new();
    while let Some(id) = wanted.pop() {
        if shipped.insert(id) {
            wanted.extend(links.get(id).into_iter().flatten());
        }
    }
    let mut components: Vec<Value> = packages
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| shipped.contains(id)))
        .map(|package| describe_package(package, checksums))
        .collect();
    components.sort_by_key(|component| component["bom-ref"].to_string());
    let references: BTreeMap<&str, String> =
        packages.iter().filter_map(|package| Some((package["id"].as_str()?, name_of(package)))).collect();
    let mut dependencies: Vec<Value> =
        shipped.iter().map(|id| describe_links(id, &links, &references)).collect();
    dependencies.sort_by_key(|dependency| dependency["ref"].to_string());
    let workspace = packages.iter().find(|package| package["name"] == SHIPPED[0]);
    let version = workspace.map(|package| package["version"].clone());
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "voicemail", "version": version}},
        "components": components,
        "dependencies": dependencies,
    }))
}

/// A package URL.
fn name_of(package: &Value) -> String {
    let text = |field: &str| package[field].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

fn describe_package(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
    let mut component = json!({
        "type": if package["source"].is_null() { "application" } else { "library" },
        "bom-ref": name_of(package),
        "purl": name_of(package),
        "name": text("name"),
        "version": text("version"),
        "licenses": [{"expression": text("license").replace('/', " OR ")}],
    });
    if let Some(checksum) = checksums.get(&(text("name"), text("version"))) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

fn describe_links(id: &str, links: &BTreeMap<&str, Vec<&str>>, references: &BTreeMap<&str, String>) -> Value {
    let name = |id: &&str| references.get(id).cloned();
    let mut on: Vec<String> = links.get(id).into_iter().flatten().filter_map(name).collect();
    on.sort();
    on.dedup();
    json!({"ref": references.get(id), "dependsOn": on})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_found_and_packages_of_our_own_have_none() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ff\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n";
        let checksums = read_checksums(lock);
        assert_eq!(checksums, BTreeMap::from([(("a".into(), "1.0.0".into()), "ff".into())]));
    }

    #[test]
    fn what_only_tests_need_is_left_out() {
        let package = |name: &str, source: Value| json!({"name": name, "version": "1.0.0", "id": name, "source": source, "license": "MIT/Apache-2.0"});
        let dependency = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [
                package("voicemail-operator", Value::Null), package("linked", "r".into()),
                package("tool", "r".into()), package("deep", "r".into()),
            ],
            "resolve": {"nodes": [
                {"id": "voicemail-operator", "deps": [
                    dependency("linked", Value::Null), dependency("tool", "dev".into()),
                ]},
                {"id": "linked", "deps": [dependency("deep", Value::Null)]},
                {"id": "tool", "deps": []}, {"id": "deep", "deps": []},
            ]},
        });
        let document = describe(&metadata, &BTreeMap::new()).unwrap();
        let names: Vec<&str> = document["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["deep", "linked", "voicemail-operator"]);
        assert_eq!(document["components"][1]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(document["dependencies"][1]["dependsOn"], json!(["pkg:cargo/deep@1.0.0"]));
    }
}
