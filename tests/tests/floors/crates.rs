//! The crates of the workspace: which may know which, what a crate may not link, and how long it may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use voicemail_test_machine::workspace_path;

use crate::sources::rust_files;

/// Lines of `src`, tests beside the code with it, beyond which a crate is cut.
const MOST_LINES: usize = 20_000;
/// Crates that are longer today, each with how long it may be until it is cut.
const LONGER: [(&str, usize); 0] = [];

/// The crates of the workspace that each crate may depend on, the lowest floor first.
const FLOORS: [(&str, &[&str]); 22] = [
    ("voicemail-api", &[]),
    ("voicemail-client", &["voicemail-api"]),
    ("voicemail-model", &["voicemail-api"]),
    ("voicemail-store", &["voicemail-api", "voicemail-model"]),
    ("voicemail-audio", &["voicemail-api", "voicemail-model", "voicemail-store"]),
    ("voicemail-telemetry", &["voicemail-api", "voicemail-model", "voicemail-store"]),
    ("voicemail-email", &["voicemail-api", "voicemail-model"]),
    ("voicemail-engine", BELOW_ENGINE),
    ("voicemail-mailer", BELOW_MAILER),
    ("voicemail-server", BELOW_SERVER),
    ("voicemail-gdpr", &["voicemail-api", "voicemail-client"]),
    ("voicemail-telephony", &["voicemail-api", "voicemail-client"]),
    ("voicemail-resources", &["voicemail-api"]),
    ("voicemail-runtime", &["voicemail-api", "voicemail-resources"]),
    ("voicemail-migration", &["voicemail-api", "voicemail-resources", "voicemail-runtime"]),
    ("voicemail-cores", &["voicemail-api", "voicemail-client", "voicemail-resources", "voicemail-runtime"]),
    ("voicemail-operator", BELOW_OPERATOR),
    (
        "kubectl-voicemail",
        &[
            "voicemail-api",
            "voicemail-client",
            "voicemail-resources",
            "voicemail-runtime",
            "voicemail-migration",
            "voicemail-cores",
            "voicemail-operator",
        ],
    ),
    // What tests stand on; a suite that needs no more compiles no more.
    ("voicemail-test-machine", &[]),
    (
        "voicemail-test-stores",
        &["voicemail-api", "voicemail-model", "voicemail-store", "voicemail-test-machine"],
    ),
    ("voicemail-test-cluster", &["voicemail-test-machine"]),
    // Plays the engine over the tests' stores.
    ("voicemail-simulation", BELOW_SIMULATION),
];
const BELOW_OPERATOR: &[&str] = &[
    "voicemail-api",
    "voicemail-client",
    "voicemail-resources",
    "voicemail-runtime",
    "voicemail-migration",
    "voicemail-cores",
];
const BELOW_ENGINE: &[&str] =
    &["voicemail-api", "voicemail-model", "voicemail-store", "voicemail-audio", "voicemail-telemetry"];
const BELOW_MAILER: &[&str] = &[
    "voicemail-api",
    "voicemail-model",
    "voicemail-store",
    "voicemail-telemetry",
    "voicemail-email",
    "voicemail-engine",
];
const BELOW_SERVER: &[&str] = &[
    "voicemail-api",
    "voicemail-model",
    "voicemail-store",
    "voicemail-audio",
    "voicemail-telemetry",
    "voicemail-engine",
    "voicemail-mailer",
];
const BELOW_SIMULATION: &[&str] = &[
    "voicemail-api",
    "voicemail-model",
    "voicemail-store",
    "voicemail-audio",
    "voicemail-telemetry",
    "voicemail-engine",
    "voicemail-email",
    "voicemail-mailer",
    "voicemail-test-machine",
    "voicemail-test-stores",
];

/// Libraries that a crate may not link, and those that would bring them.
const NOT_LINKED: [(&str, &[&str]); 6] = [
    ("voicemail-api", &["tokio", "reqwest", "object_store", "axum", "kube"]),
    ("voicemail-client", &["object_store", "axum", "argon2", "multer", "kube"]),
    ("voicemail-model", &["tokio", "reqwest", "object_store", "axum", "kube"]),
    ("voicemail-gdpr", &["object_store", "axum", "argon2", "multer", "kube"]),
    ("voicemail-telephony", &["object_store", "argon2", "multer", "kube", "openssl", "ring"]),
    ("voicemail-operator", &["object_store", "argon2", "multer", "opentelemetry"]),
];

/// A crate of the workspace.
pub(crate) struct Package {
    pub name: String,
    folder: PathBuf,
    /// Crates of the workspace that it links; without those that only its tests need.
    links: BTreeSet<String>,
}

impl Package {
    pub(crate) fn sources(&self) -> PathBuf {
        self.folder.join("src")
    }

    /// The end-to-end suites stand on top and may know all.
    fn is_on_top(&self) -> bool {
        self.name == "voicemail-tests"
    }
}

/// All crates, as cargo lists them.
pub(crate) fn workspace() -> Vec<Package> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version=1"])).unwrap();
    let packages: Vec<Package> = metadata["packages"].as_array().unwrap().iter().map(package).collect();
    assert!(packages.len() >= 3, "cargo lists {} crates", packages.len());
    packages
}

fn package(described: &Value) -> Package {
    let manifest = Path::new(described["manifest_path"].as_str().unwrap());
    let dependencies = described["dependencies"].as_array().unwrap().iter();
    let ours =
        dependencies.filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev");
    Package {
        name: described["name"].as_str().unwrap().to_owned(),
        folder: manifest.parent().unwrap().canonicalize().unwrap(),
        links: ours.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect(),
    }
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(workspace_path("")).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_crate_knows_only_the_floors_below_it() {
    let mut faults = Vec::new();
    for package in workspace().into_iter().filter(|package| !package.is_on_top()) {
        let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == package.name) else {
            faults
                .push(format!("{} has no floor: add it to FLOORS and to docs/architecture.md", package.name));
            continue;
        };
        let above = package.links.iter().filter(|name| !allowed.contains(&name.as_str()));
        faults.extend(above.map(|name| format!("{} may not know {name}", package.name)));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_crate_links_nothing_that_it_has_no_use_for() {
    let mut faults = Vec::new();
    let mut seen = 0;
    let there: BTreeSet<String> = workspace().into_iter().map(|package| package.name).collect();
    for (name, forbidden) in NOT_LINKED.iter().filter(|(name, _)| there.contains(*name)) {
        let tree =
            cargo(&["tree", "--package", name, "--edges", "normal", "--prefix", "none", "--target", "all"]);
        let linked: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        seen += linked.len();
        let found = forbidden.iter().filter(|library| linked.contains(**library));
        faults.extend(
            found.map(|library| format!("{name} links {library}: `cargo tree -p {name} -i {library}`")),
        );
    }
    assert!(seen > 50, "{seen}");
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A change of a store, of a call or of the engine is tested without the operator being compiled.
#[test]
fn tests_of_the_data_plane_compile_no_operator() {
    let mut faults = Vec::new();
    let of_data_plane = |package: &Package| {
        ["voicemail-core", "telephony"]
            .iter()
            .any(|folder| package.folder.starts_with(workspace_path(folder).canonicalize().unwrap()))
    };
    for package in workspace().into_iter().filter(of_data_plane) {
        let tree = cargo(&["tree", "--package", &package.name, "--edges", "all", "--prefix", "none"]);
        let compiled: BTreeSet<&str> =
            tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(compiled.contains(package.name.as_str()), "{tree}");
        let of_others = ["voicemail-operator", "voicemail-resources", "voicemail-tests", "kube"];
        let found = of_others.iter().filter(|name| compiled.contains(**name));
        faults.extend(found.map(|name| format!("{} with its tests compiles {name}", package.name)));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_crate_is_longer_than_a_person_can_read() {
    let mut faults = Vec::new();
    for package in workspace() {
        let count = |file: &PathBuf| std::fs::read_to_string(file).unwrap().lines().count();
        let lines: usize = rust_files(&package.sources()).iter().map(count).sum();
        let longer = LONGER.iter().find(|(name, _)| *name == package.name).map(|(_, most)| *most);
        if lines > longer.unwrap_or(MOST_LINES) {
            faults.push(format!("{} has {lines} lines of src", package.name));
        }
        if longer.is_some() && lines <= MOST_LINES {
            faults.push(format!("{} has {lines} lines of src and can leave LONGER", package.name));
        }
    }
    let known: BTreeSet<String> = workspace().into_iter().map(|package| package.name).collect();
    faults.extend(
        LONGER
            .iter()
            .filter(|(name, _)| !known.contains(*name))
            .map(|(name, _)| format!("{name} is gone and can leave LONGER")),
    );
    assert!(faults.is_empty(), "{faults:#?}");
}
