//! Specs of the pages that rules accept and refuse.

use serde_json::{Value, json};

use crate::tables::{Row, edit, row};

const WEB: &str = "/spec/web";

/// A rule about one field: values that it accepts and refuses.
fn form(rule: &'static str, field: &str, good: &[Value], bad: &[Value]) -> Row {
    let edits = |values: &[Value]| {
        values.iter().map(|value| edit(&format!("{WEB}/{field}"), value.clone())).collect()
    };
    row(rule, vec![], edits(good), edits(bad))
}

/// Rules about who signs in, and by which host.
pub(crate) fn web_rules() -> Vec<Row> {
    let web = |field: &str, value: Value| edit(&format!("{WEB}/{field}"), value);
    let mails = |content: &str| edit("/spec/classesOfService/0/email", json!(content));
    let (none, forbidden) = (json!([]), json!("Forbidden"));
    vec![
        form(
            "host: write a host in lower case",
            "host",
            &[
                json!("localhost"),
                json!("voicemail.acme.example"),
                json!("127.0.0.1:8443"),
                json!("[::1]:8443"),
            ],
            &[
                json!("https://voicemail.acme.example"),
                json!("voicemail.acme.example/ui"),
                json!("Voicemail.example"),
                json!("voicemail.example:"),
                json!("-voicemail.example"),
            ],
        ),
        form(
            "scopes: write each scope",
            "login/0/scopes",
            &[json!(["openid", "api://voicemail/.default"])],
            &[json!(["openid profile"]), json!(["openid", "a\"b"]), json!(["openid", "ä"])],
        ),
        form(
            "embedIn: write scheme",
            "embedIn",
            &[json!(["https://desk.example", "http://[::1]:8080"])],
            &[json!(["desk.example"]), json!(["https://desk.example/"]), json!(["https://*.example"])],
        ),
        form("scopes: ask for openid", "login/0/scopes", &[json!(["openid"])], &[json!(["profile"])]),
        form(
            "lifetime: write 10m",
            "session/lifetime",
            &[json!("10m"), json!("24h")],
            &[json!("9m59s"), json!("24h1s"), json!("1d")],
        ),
        form(
            "idle: write 1m",
            "session/idle",
            &[json!("1m"), json!("24h")],
            &[json!("59s"), json!("24h1s"), json!("1d")],
        ),
        form(
            "freshLogin: write 1m",
            "freshLogin",
            &[json!("1m"), json!("24h")],
            &[json!("59s"), json!("24h1s"), json!("never")],
        ),
        row(
            "web: let people sign in",
            vec![],
            vec![web("login", none.clone()), web("login", Value::Null), web("passwords", forbidden.clone())],
            vec![
                [web("login", none), web("passwords", forbidden.clone())].concat(),
                [web("login", Value::Null), web("passwords", Value::Null)].concat(),
            ],
        ),
        row(
            "login: name issuers of spec.auth",
            vec![],
            vec![edit(WEB, Value::Null), edit("/spec/auth/issuers/0/issuer", json!("https://other.example"))],
            vec![
                web("login/0/issuer", json!("https://other.example")),
                edit("/spec/auth/issuers", Value::Null),
            ],
        ),
        row(
            "web: give the host by which browsers",
            vec![],
            vec![mails("Link"), [mails("Audio"), edit(WEB, Value::Null)].concat()],
            vec![[mails("Link"), edit(WEB, Value::Null)].concat()],
        ),
        row(
            "basic: name a Secret with users",
            vec![],
            vec![[edit("/spec/auth/basic", Value::Null), web("passwords", forbidden)].concat()],
            vec![edit("/spec/auth/basic", Value::Null)],
        ),
    ]
}
