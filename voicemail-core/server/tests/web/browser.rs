//! Debian's Chromium, and its Firefox, in front of a demonstration: what `web/e2e` does there.

use serde_json::{Map, Value};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use voicemail_test_machine::servers::browser::Browser;
use voicemail_test_machine::servers::firefox::Firefox;
use voicemail_test_machine::workspace_path;

/// Writes the documentation's pictures.
const WRITE_PICTURES: &str = "WRITE_PICTURES";

/// `voicemail dev`, and what it printed.
struct Demonstration {
    child: Child,
    /// Where the pages are, without `/ui`.
    base: String,
    /// Passwords by name.
    people: Map<String, Value>,
}

impl Demonstration {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_voicemail"));
        command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut before = lines.by_ref().take_while(|line| !line.contains("For example"));
        let (mut base, mut people) = (String::new(), Map::new());
        for line in before.by_ref() {
            if let Some(rest) = line.strip_prefix("Open ") {
                base = rest.split_once("/ui").unwrap().0.to_owned();
            } else if let Some(rest) = line.strip_prefix("  ") {
                let mut words = rest.split_whitespace();
                people.insert(words.next().unwrap().into(), words.next().unwrap().into());
            }
        }
        assert!(base.starts_with("http://localhost:") && people.len() == 6, "{base} {}", people.len());
        // What it prints further has nowhere to go, and nobody waits for it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, base, people }
    }
}

impl Drop for Demonstration {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn agents_work_in_their_inbox_by_mouse_and_by_keys_and_the_browser_keeps_nothing() {
    let browser = Browser::install().unwrap();
    let data = tempfile::tempdir().unwrap();
    let shown = Demonstration::start(data.path());
    let people = Value::Object(shown.people.clone()).to_string();
    let clip =
        workspace_path("voicemail-core/server/src/demonstration/clips/delivery.wav").display().to_string();
    let pictures =
        std::env::var_os(WRITE_PICTURES).map(|_| workspace_path("docs/pictures").display().to_string());
    let variables = [
        ("URL", shown.base.as_str()),
        ("PEOPLE", &people),
        ("RECORDING", &clip),
        ("PICTURES", pictures.as_deref().unwrap_or_default()),
    ];
    // Screens are looked at while the core answers late, too: all parts have to be there first.
    for (file, slow) in [
        ("screens.test.mjs", "400"),
        ("inbox.test.mjs", ""),
        ("settings.test.mjs", "400"),
        ("tabs.test.mjs", ""),
    ] {
        browser
            .run(file, &[&variables[..], &[("SLOW", slow)]].concat())
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[test]
fn an_agent_works_in_firefox_too() {
    let (browser, firefox) = (Browser::install().unwrap(), Firefox::install().unwrap());
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shown = Demonstration::start(data.path());
    let people = Value::Object(shown.people.clone()).to_string();
    let [program, modules, home] =
        [firefox.program.as_path(), &firefox.modules, folder.path()].map(|path| path.display().to_string());
    let variables = [
        ("URL", shown.base.as_str()),
        ("PEOPLE", &people),
        ("FIREFOX", &program),
        ("FIREFOX_MODULES", &modules),
        ("HOME", &home),
    ];
    browser.run("firefox.test.mjs", &variables).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn a_demonstration_is_for_its_machine_alone() {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_voicemail"));
    let refused = command.args(["dev", "--listen", "0.0.0.0:0", "--data"]).arg(data.path()).output().unwrap();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("0.0.0.0:0 isn't a loopback address") && told.contains("voicemail serve"),
        "{told}"
    );
}
