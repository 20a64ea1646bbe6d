//! The Inbox in a frame and the count as an element, in the pages of a desktop: one of the same site, and one of another.

use crate::login::Site;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use voicemail_test_machine::servers::browser::Browser;
use voicemail_test_machine::servers::oidc::TokenKind;
use voicemail_test_machine::servers::{find_free_port, loopback};

/// Who has a password: those who provision and leave messages, and the agent where the page isn't in a frame.
const PEOPLE: [(&str, &str); 3] = [("admin", "admin"), ("media", "telephony"), ("alice", "agent:alice")];

#[tokio::test(flavor = "multi_thread")]
async fn desktops_that_are_named_embed_the_inbox_and_the_count_and_others_can_do_neither() {
    let desktop = find_free_port(loopback()).unwrap().port();
    let hosts = [format!("http://localhost:{desktop}"), format!("http://127.0.0.1:{desktop}")];
    let users = tempfile::NamedTempFile::new().unwrap();
    let hash = bcrypt::hash("right", 4).unwrap();
    let lines = PEOPLE.map(|(name, roles)| format!("{name}:{hash}:{roles}\n"));
    std::fs::write(users.path(), lines.concat()).unwrap();
    let site = Site::start_with(|config| {
        config["auth"]["basic"] = json!({"usersFile": users.path()});
        config["browserOrigins"] = json!(hosts);
        config["web"]["embedIn"] = json!(hosts);
        config["web"]["passwords"] = json!(true);
    })
    .await;
    let token = site.issuers[0].token(TokenKind::Signed, "voicemail:agent").await.unwrap();
    let passwords: BTreeMap<&str, &str> = PEOPLE.map(|(name, _)| (name, "right")).into();
    let people: Value = json!(passwords);
    let base = site.base.clone();
    let run = move || {
        let browser = Browser::install().unwrap();
        let variables = [
            ("URL", base.as_str()),
            ("PEOPLE", &people.to_string()),
            ("DESKTOP", &desktop.to_string()),
            ("TOKEN", &token),
        ];
        browser.run("embed.test.mjs", &variables)
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap_or_else(|error| panic!("{error:#}"));
}
