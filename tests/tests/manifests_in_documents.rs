//! Every YAML block of the documents is applied, as a dry run, to a real API server that refuses unknown fields.
//!
//! A block is a whole manifest, or begins with `spec:` and then is what somebody adds to the tenant that users start with.
//! One that a comment calls a part of a core's configuration file is read as that; the crate of `voicemail-sip` reads its own.
//! Kinds that clusters get from others are declared in `manifests_in_documents.yaml` as far as the pages use them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use voicemail_api::config::TenantConfig;
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_machine::command::{run, run_with_input};
use voicemail_test_machine::workspace_path;
use voicemail_tests::operator_process::install_crds;
use voicemail_tests::tenant_manifest::example_tenant;

const KINDS: &str = include_str!("manifests_in_documents.yaml");
/// Output of `helm install` around its manifest, which stands between these lines.
const NOTES: (&str, &str, &str) =
    ("charts/voicemail-operator/templates/NOTES.txt", "<<'MANIFEST'\n", "\nMANIFEST");

/// The first line of a block that is a part of a core's configuration file.
const OF_A_CORE: &str = "# In a core's configuration file\n";
/// That of a whole configuration file of voicemail-sip, which its crate's tests read.
const OF_TELEPHONY: &str = "# voicemail-sip's configuration file\n";

struct Block {
    /// Page and line.
    place: String,
    text: String,
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The YAML blocks of a page, without the indentation of a list that they stand in.
fn blocks(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut found: Vec<Block> = Vec::new();
    let mut indent = None;
    for (number, line) in text.lines().enumerate() {
        let rest = line.trim_start();
        match indent {
            None if rest.starts_with("```yaml") || rest.starts_with("```yml") => {
                indent = Some(line.len() - rest.len());
                found
                    .push(Block { place: format!("{}:{}", page.display(), number + 1), text: String::new() });
            }
            Some(_) if rest.starts_with("```") => indent = None,
            Some(indent) => {
                let text = &mut found.last_mut().unwrap().text;
                text.push_str(line.get(indent..).unwrap_or_default());
                text.push('\n');
            }
            None => {}
        }
    }
    found
}

fn all_blocks() -> Vec<Block> {
    let mut found: Vec<Block> = ["docs", "examples", "charts"]
        .map(workspace_path)
        .iter()
        .flat_map(|folder| pages(folder))
        .flat_map(|page| blocks(&page))
        .collect();
    found.extend(blocks(&workspace_path("README.md")));
    let (file, begin, end) = NOTES;
    let notes = std::fs::read_to_string(workspace_path(file)).unwrap();
    let manifest =
        notes.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map(|(text, _)| text.to_owned());
    found.extend(package_examples());
    found.push(Block {
        place: file.to_owned(),
        text: manifest.unwrap_or_else(|| panic!("{file} has no manifest")),
    });
    found
}

/// The examples that the chart's package shows of each kind.
fn package_examples() -> Vec<Block> {
    let place = "charts/voicemail-operator/Chart.yaml";
    let chart: Value =
        serde_yaml::from_str(&std::fs::read_to_string(workspace_path(place)).unwrap()).unwrap();
    let examples = chart["annotations"]["artifacthub.io/crdsExamples"].as_str().unwrap();
    let examples: Vec<Value> = serde_yaml::from_str(examples).unwrap();
    examples.iter().map(|example| Block { place: place.to_owned(), text: example.to_string() }).collect()
}

/// The manifests of a block, each in this namespace if it names one.
fn manifests(block: &Block, namespace: &str) -> Vec<Value> {
    let documents = block.text.split("\n---\n").map(|text| {
        serde_yaml::from_str::<Value>(text).unwrap_or_else(|error| panic!("{}: {error}", block.place))
    });
    documents.map(|document| complete(block, document, namespace)).collect()
}

fn complete(block: &Block, mut document: Value, namespace: &str) -> Value {
    let is_whole = document.get("kind").is_some();
    let names: Vec<String> =
        document.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    assert!(
        is_whole || names == ["spec"],
        "{}: neither a whole manifest nor a `spec:` of a tenant: {names:?}",
        block.place
    );
    if !is_whole {
        let mut tenant = serde_json::to_value(example_tenant().unwrap()).unwrap();
        merge(&mut tenant, document);
        document = tenant;
    }
    if let Some(metadata) =
        document["metadata"].as_object_mut().filter(|metadata| metadata.contains_key("namespace"))
    {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    document
}

/// As a person edits: objects are merged, all else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[test]
fn every_part_of_a_cores_configuration_is_one() {
    let mut seen = 0;
    for block in all_blocks().iter().filter(|block| block.text.starts_with(OF_A_CORE)) {
        let example = std::fs::read_to_string(workspace_path("examples/standalone.yaml")).unwrap();
        let mut whole: Value = serde_yaml::from_str(&example).unwrap();
        merge(&mut whole, serde_yaml::from_str(&block.text).unwrap());
        serde_json::from_value::<TenantConfig>(whole)
            .unwrap_or_else(|error| panic!("{}: {error}", block.place));
        seen += 1;
    }
    assert!(seen > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_yaml_block_is_accepted_by_the_api_server() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    install_crds(&cluster).unwrap();
    cluster.kubectl().apply(KINDS).unwrap();
    let mut wait = cluster.kubectl().command();
    run(wait.args([
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/volumesnapshots.snapshot.storage.k8s.io",
    ]))
    .unwrap();
    let namespace = TestNamespace::create(cluster.config().await.unwrap(), "documents").await.unwrap();
    keep_out(&cluster, namespace.name()).unwrap();

    let mut faults = Vec::new();
    let mut applied = 0;
    let of_programs =
        |block: &Block| [OF_A_CORE, OF_TELEPHONY].iter().any(|line| block.text.starts_with(line));
    for block in all_blocks().into_iter().filter(|block| !of_programs(block)) {
        for manifest in manifests(&block, namespace.name()) {
            applied += 1;
            let mut kubectl = cluster.kubectl().command();
            kubectl.args([
                "apply",
                "--dry-run=server",
                "--validate=strict",
                "-n",
                namespace.name(),
                "-f",
                "-",
            ]);
            if let Err(error) = run_with_input(&mut kubectl, &manifest.to_string()) {
                faults.push(format!("{}: {error:#}", block.place));
            }
        }
    }
    assert!(applied >= 8, "{applied}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_fragment_is_merged_into_the_tenant_that_users_start_with() {
    let text = "spec:\n  numbers:\n    withheld: [x]\n".to_owned();
    let tenant = &manifests(&Block { place: String::new(), text }, "n")[0];
    let numbers = &tenant["spec"]["numbers"];
    assert_eq!((&numbers["defaultRegion"], &numbers["withheld"]), (&json!("GB"), &json!(["x"])));
    assert_eq!(tenant["kind"], "VoicemailTenant");
}
