//! Debian's Chromium in front of a demonstration: what `web/e2e` does there.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use voicemail_server::demonstration::{self, Demonstration, Options};
use voicemail_tests::servers::browser::Browser;
use voicemail_tests::stage::workspace_path;

/// How long a demonstration may take to begin on a machine with much to do.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);
/// Writes the documentation's pictures.
const WRITE_PICTURES: &str = "WRITE_PICTURES";

async fn demonstrate(data: &Path, stop: &CancellationToken) -> Demonstration {
    voicemail_tests::install_crypto();
    let (told, ready) = oneshot::channel();
    let options = Options { data: data.to_owned(), listen: "127.0.0.1:0".parse().unwrap() };
    let (world, stop) = (voicemail_store::real_world(), stop.clone());
    tokio::spawn(async move {
        let ready = |demonstration| drop(told.send(demonstration));
        demonstration::run(&options, world, stop, ready).await.unwrap();
    });
    tokio::time::timeout(BEGINS_WITHIN, ready).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_work_in_their_inbox_by_mouse_and_by_keys_and_the_browser_keeps_nothing() {
    let (data, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let browser = tokio::task::spawn_blocking(Browser::install).await.unwrap().unwrap();
    let shown = demonstrate(data.path(), &stop).await;
    let people: Map<String, Value> =
        shown.people.iter().map(|(name, password, _)| (name.clone(), password.clone().into())).collect();
    let variables = [
        ("URL", format!("http://localhost:{}", shown.address.port())),
        ("PEOPLE", Value::Object(people).to_string()),
        (
            "RECORDING",
            workspace_path("voicemail-core/server/src/demonstration/clips/delivery.wav")
                .display()
                .to_string(),
        ),
        (
            "PICTURES",
            std::env::var_os(WRITE_PICTURES)
                .map_or(String::new(), |_| workspace_path("docs/pictures").display().to_string()),
        ),
    ];
    let run = move || {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.run("inbox.test.mjs", &variables)
    };
    let printed = tokio::task::spawn_blocking(run).await.unwrap().unwrap_or_else(|error| panic!("{error:#}"));
    assert!(printed.contains("fail 0") && !printed.contains("pass 0"), "{printed}");
    stop.cancel();
}
