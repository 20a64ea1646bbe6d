//! The example's dialogue, played through the API: what a media server asks while people use 5555.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use served::{Process, Setup, speech_of};
use std::collections::BTreeMap;

const KEYS: &str = include_str!("../../../../examples/media-server/keys.yaml");
const DIALOGUE: &str = include_str!("../../../../examples/media-server/dialogue.yaml");

/// The action of a key in a menu.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    #[allow(dead_code, reason = "for readers and for prompts")]
    say: String,
    request: Option<String>,
    json: Option<Value>,
    #[serde(default)]
    audio: bool,
    then: String,
}

type Menus = BTreeMap<String, BTreeMap<String, Key>>;

/// A call, or what an administrator does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scene {
    about: String,
    mailbox: Option<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    press: Option<String>,
    digits: Option<String>,
    #[serde(rename = "as")]
    by: Option<String>,
    request: Option<String>,
    json: Option<Value>,
    audio: Option<String>,
    deposit: Option<Deposit>,
    status: Option<u16>,
    answer: Option<Value>,
    hears: Option<String>,
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deposit {
    caller: String,
    audio: String,
}

/// Recordings that can be told apart.
fn recording(name: &str) -> Vec<u8> {
    let seconds = ["greeting", "name", "disclaimer", "message"].iter().position(|known| *known == name);
    speech_of(seconds.unwrap_or_else(|| panic!("no recording {name}")) + 3)
}

struct Player {
    menus: Menus,
    api: String,
    tokens: BTreeMap<&'static str, String>,
    menu: String,
    values: BTreeMap<String, String>,
}

impl Player {
    fn fill(&self, text: &str) -> String {
        let fill =
            |text: String, (name, value): (&String, &String)| text.replace(&format!("{{{name}}}"), value);
        self.values.iter().fold(text.to_owned(), fill)
    }

    /// Turns a key into the request that it makes; `None` for one that only changes the menu.
    fn press(&mut self, step: &mut Step) -> bool {
        let Some(pressed) = step.press.clone() else { return true };
        let key = self.menus.get(&self.menu).and_then(|menu| menu.get(&pressed));
        let key = key.unwrap_or_else(|| panic!("{pressed} isn't in the menu {}", self.menu));
        assert_eq!(key.audio, step.audio.is_some(), "{pressed}");
        let (then, asks) = (key.then.clone(), key.request.is_some());
        step.request = key.request.clone();
        step.json = key.json.clone();
        step.by = Some("owner".into());
        self.menu = then;
        asks
    }

    async fn play(&mut self, mut step: Step) {
        if let Some(digits) = &step.digits {
            self.values.insert("digits".into(), digits.clone());
        }
        if !self.press(&mut step) {
            return;
        }
        let asked = self.fill(step.request.as_deref().unwrap());
        let (method, path) = asked.split_once(' ').unwrap();
        let by = step.by.as_deref().unwrap();
        let token = match by {
            "owner" => self.values.get("token").unwrap(),
            other => &self.tokens[other],
        };
        let method: Method = method.parse().unwrap();
        let mut request = Client::new().request(method, format!("{}{path}", self.api)).bearer_auth(token);
        if let Some(body) = &step.json {
            request = request.json(&serde_json::from_str::<Value>(&self.fill(&body.to_string())).unwrap());
        } else if let Some(name) = &step.audio {
            request = request.header("content-type", "audio/wav").body(recording(name));
        } else if let Some(deposit) = &step.deposit {
            let audio = reqwest::multipart::Part::bytes(recording(&deposit.audio));
            let form = reqwest::multipart::Form::new().text("caller", deposit.caller.clone());
            request = request.multipart(form.part("audio", audio));
        }
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.bytes().await.unwrap());
        assert_eq!(status, step.status.unwrap_or(200), "{asked}: {}", String::from_utf8_lossy(&body));
        if let Some(name) = &step.hears {
            assert!(body == recording(name), "{asked} isn't the {name}");
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(expected) = &step.answer {
            assert!(holds(&body, expected), "{asked}: {body} lacks something of {expected}");
        }
        for (name, pointer) in &step.keep {
            self.values.insert(name.clone(), body.pointer(pointer).unwrap().as_str().unwrap().to_owned());
        }
    }
}

/// Whether a value has all that is expected; lists have to be as long.
fn holds(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| value.get(name).is_some_and(|value| holds(value, expected))),
        (Value::Array(value), Value::Array(expected)) => {
            value.len() == expected.len()
                && value.iter().zip(expected).all(|(value, expected)| holds(value, expected))
        }
        (value, expected) => value == expected,
    }
}

#[tokio::test]
async fn the_dialogue_of_the_example_is_what_the_service_answers() {
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    let tokens = BTreeMap::from([
        ("admin", setup.token_of("root", &["admin"])),
        ("media", setup.token_of("media", &["telephony"])),
    ]);
    let menus: Menus = serde_yaml::from_str(KEYS).unwrap();
    let api = format!("{}/api/v1", process.api);
    let mut player = Player { menus, api, tokens, menu: String::new(), values: BTreeMap::new() };
    let scenes: Vec<Scene> = serde_yaml::from_str(DIALOGUE).unwrap();
    for scene in scenes {
        println!("{}", scene.about);
        player.menu = "main".into();
        if let Some(mailbox) = scene.mailbox {
            player.values.insert("mailbox".into(), mailbox);
        }
        for step in scene.steps {
            player.play(step).await;
        }
    }
    process.stop();
}

#[test]
fn every_key_of_the_example_leads_to_a_menu_and_asks_for_something_that_there_is() {
    let menus: Menus = serde_yaml::from_str(KEYS).unwrap();
    let document: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    for key in menus.values().flat_map(BTreeMap::values) {
        assert!(key.then == "end" || menus.contains_key(&key.then), "{}", key.then);
        let Some((method, path)) = key.request.as_deref().and_then(|request| request.split_once(' ')) else {
            continue;
        };
        let path = path.split('?').next().unwrap().replace("{message}", "{id}");
        let path = ["standard", "alternate", "name"]
            .iter()
            .fold(path, |path, kind| path.replace(&format!("greetings/{kind}"), "greetings/{greeting}"));
        let operation = &document["paths"][format!("/api/v1{path}")][method.to_lowercase()];
        assert_ne!(*operation, json!(null), "{method} {path}");
    }
}
