//! What belongs to e-mails on pages: the click that ends them, and in a browser a mail, the choice of what mails tell, and the
//! page of that click.

use mail_parser::MessageParser;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use voicemail_test_machine::servers::browser::Browser;
use voicemail_test_machine::servers::exim::Exim;
use voicemail_test_machine::servers::voicemail_core::{PASSWORD, VoicemailCore};
use voicemail_test_machine::workspace_path;

use crate::emails::{CALLER, LONGER, core, put_alice};
use crate::scene::spoken;

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// The path of the click's address, as a mail program finds it: the headers stand in the mail as they are.
fn unsubscribe_path(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail).into_owned();
    assert!(
        text.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
            || text.contains("\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n"),
        "{text}"
    );
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("List-Unsubscribe: "))
        .unwrap_or_else(|| panic!("{text}"));
    let url =
        line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or_else(|| panic!("{line}"));
    url.strip_prefix("https://voicemail.example").unwrap_or_else(|| panic!("{url}")).to_owned()
}

async fn click(core: &VoicemailCore, path: &str) -> StatusCode {
    let url = format!("{}{path}", core.url().trim_end_matches("/api/v1"));
    let request = reqwest::Client::new().post(url);
    let kind = "application/x-www-form-urlencoded";
    request.header("content-type", kind).body(ONE_CLICK).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_in_a_mail_ends_the_mails_to_its_reader_and_to_nobody_else() {
    let exim = Exim::start().await.unwrap();
    let core = core(&exim, "note").await;
    put_alice(&core, json!({ "email": "alice@example.com" })).await;
    let bob = json!({ "mailboxes": ["1001"], "email": "bob@example.com" });
    core.ask("root", Method::PUT, "/users/bob", Some(bob)).await.unwrap();
    core.deposit("1001", CALLER, "Ann", spoken(2, 3)).await.unwrap();
    let mails = exim.wait_mails("alice", 1, LONGER).await.unwrap();
    exim.wait_mails("bob", 1, LONGER).await.unwrap();
    let path = unsubscribe_path(&mails[0]);
    assert_eq!(click(&core, &path).await, StatusCode::OK);
    assert_eq!(click(&core, &path).await, StatusCode::OK);
    put_alice(&core, json!({ "email": "alice@example.com", "emailContent": "note" })).await;
    core.deposit("1001", CALLER, "Ben", spoken(2, 3)).await.unwrap();
    exim.wait_mails("bob", 2, LONGER).await.unwrap();
    assert_eq!(exim.mails("alice").unwrap().len(), 1);
    let own = core.ask("alice", Method::GET, "/me/email", None).await.unwrap();
    assert_eq!((&own["content"], &own["allowed"]), (&json!("none"), &json!("note")));
    // Somebody else has the address now: what an old mail says doesn't count for them.
    core.ask("alice", Method::PUT, "/me/email", Some(json!({}))).await.unwrap();
    put_alice(&core, json!({ "email": "nobody@example.com" })).await;
    assert_eq!(click(&core, &path).await, StatusCode::GONE);
    let own = core.ask("alice", Method::GET, "/me/email", None).await.unwrap();
    assert!(own["content"].is_null(), "{own}");
    let sealed = path.rsplit('/').next().unwrap();
    let log = core.log();
    assert!(!log.contains(sealed) && !log.contains("example.com"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_the_choice_and_the_click_work_in_a_browser() {
    let exim = Exim::start().await.unwrap();
    let core = core(&exim, "link").await;
    put_alice(&core, json!({ "email": "alice@example.com" })).await;
    core.deposit("1001", CALLER, "Ada Lovelace", spoken(42, 3)).await.unwrap();
    let mails = exim.wait_mails("alice", 1, LONGER).await.unwrap();
    let mail = MessageParser::default().parse(&mails[0]).unwrap();
    let html = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(html.path(), mail.body_html(0).unwrap().as_bytes()).unwrap();
    let base = core.url().trim_end_matches("/api/v1").replace("127.0.0.1", "localhost");
    let pictures =
        std::env::var_os("WRITE_PICTURES").map(|_| workspace_path("docs/pictures").display().to_string());
    let (path, people) = (unsubscribe_path(&mails[0]), json!({ "alice": PASSWORD }));
    let run = move || {
        let variables = [
            ("URL", base.as_str()),
            ("PEOPLE", &Value::to_string(&people)),
            ("MAIL", html.path().to_str().unwrap()),
            ("UNSUBSCRIBE", &path),
            ("PICTURES", pictures.as_deref().unwrap_or_default()),
        ];
        Browser::install().unwrap().run("email.test.mjs", &variables)
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap_or_else(|error| panic!("{error:#}"));
}
