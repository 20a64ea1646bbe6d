//! Compares what is seen with what the book says must be seen.

use crate::actors::Scene;
use crate::book::{Book, Expected, Message};
use crate::random::Random;
use crate::replicas::Replicas;
use crate::sounds::{digest_of, find_in, recording};
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Recordings of what was erased are looked for until there are none: a replica that was killed leaves work to others, which look every
/// two minutes on a store whose requests cost money.
pub(crate) const ERASED_WITHIN: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(500);

/// A list as it was shown: ids, each with the digest of its recording.
pub(crate) type Listed = BTreeMap<String, String>;

/// Plays a message and holds it against the book.
pub(crate) async fn judge_audio(
    scene: &Scene,
    random: &mut Random,
    place: usize,
    message: &Message,
) -> Result<(), String> {
    let id = message.id.as_deref().unwrap_or_default();
    let path = format!("mailboxes/{}/messages/{id}/audio", message.mailbox);
    let answer =
        scene.client.ask(random, &scene.owner, |http, url| http.get(format!("{url}/{path}"))).await?;
    let book = scene.book();
    let known = &book.messages[place];
    match (answer.status, book.expect(known, answer.begun, answer.ended)) {
        (StatusCode::OK, Expected::Gone) => scene.find(&book, "a message that is gone was played", known),
        (StatusCode::OK, _) if answer.body != recording(message.sound) => {
            scene.find(&book, "a message played other bytes than were left", known);
        }
        (StatusCode::NOT_FOUND, Expected::There) => {
            scene.find(&book, "a message is lost: it can't be played", known)
        }
        (StatusCode::OK | StatusCode::NOT_FOUND, _) => {}
        (status, _) => {
            return Err(format!("playing is answered {status}: {}", String::from_utf8_lossy(&answer.body)));
        }
    }
    Ok(())
}

/// Lists a mailbox and holds the list against the book.
pub(crate) async fn judge_list(scene: &Scene, random: &mut Random, mailbox: &str) -> Result<Listed, String> {
    let begun = Instant::now();
    let listed = read_list(scene, random, mailbox).await?;
    let ended = Instant::now();
    let book = scene.book();
    for message in book.messages.iter().filter(|message| message.mailbox == mailbox) {
        let Some(id) = &message.id else { continue };
        match (listed.get(id), book.expect(message, begun, ended)) {
            (None, Expected::There) => scene.find(&book, "a message is lost: it isn't listed", message),
            (Some(_), Expected::Gone) => scene.find(&book, "a message that is gone is listed", message),
            (Some(digest), _) if *digest != digest_of(message.sound) => {
                scene.find(&book, "a message is listed with another recording", message);
            }
            _ => {}
        }
    }
    drop(book);
    Ok(listed)
}

async fn read_list(scene: &Scene, random: &mut Random, mailbox: &str) -> Result<Listed, String> {
    let (mut listed, mut cursor) = (Listed::new(), None::<String>);
    loop {
        let get = |http: &reqwest::Client, url: &str| {
            let query: Vec<_> = cursor.iter().map(|cursor| ("cursor", cursor)).collect();
            http.get(format!("{url}/mailboxes/{mailbox}/messages")).query(&query)
        };
        let answer = scene.client.ask(random, &scene.owner, get).await?;
        let page: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let messages = page["messages"].as_array().ok_or_else(|| format!("a list is answered {page}"))?;
        for message in messages {
            let [id, digest] =
                ["id", "sha256"].map(|name| message[name].as_str().unwrap_or_default().to_owned());
            if listed.insert(id.clone(), digest).is_some() {
                scene.note(format!("{id} is twice in one list of {mailbox}"));
            }
        }
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(listed),
        }
    }
}

/// When nobody acts any more: lists and recordings are what the book says; what was erased leaves the store; and none of it
/// has come back then.
pub(crate) async fn judge_end(scene: &Scene, replicas: &Replicas, erased_within: Duration) {
    let mut random = Random::of(0, 0);
    for outcome in [judge_all(scene, &mut random).await, judge_files(scene, replicas, erased_within).await] {
        if let Err(finding) = outcome {
            scene.note(finding);
        }
    }
    if let Err(finding) = judge_all(scene, &mut random).await {
        scene.note(finding);
    }
}

async fn judge_all(scene: &Scene, random: &mut Random) -> Result<(), String> {
    for mailbox in scene.mailboxes() {
        let listed = judge_list(scene, random, &mailbox).await?;
        judge_copies(scene, &mailbox, &listed);
        let messages: Vec<(usize, Message)> = {
            let book = scene.book();
            let shown = |message: &Message| message.id.as_ref().is_some_and(|id| listed.contains_key(id));
            let places = book.messages.iter().cloned().enumerate();
            places.filter(|(_, message)| message.mailbox == mailbox && shown(message)).collect()
        };
        for (place, message) in messages {
            judge_audio(scene, random, place, &message).await?;
        }
    }
    Ok(())
}

/// Of each recording no more messages than deposits and forwards that could have made them.
fn judge_copies(scene: &Scene, mailbox: &str, listed: &Listed) {
    let book = scene.book();
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for message in book.messages.iter().filter(|message| message.mailbox == mailbox) {
        *made.entry(digest_of(message.sound)).or_default() += 1;
    }
    let mut shown: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for (id, digest) in listed {
        shown.entry(digest).or_default().push(id);
    }
    for (digest, ids) in shown {
        let most = made.get(digest).copied().unwrap_or_default();
        if ids.len() > most {
            scene.note(format!(
                "{mailbox} lists {ids:?}, which have one recording that was left or forwarded {most} times"
            ));
        }
    }
}

/// What was erased isn't in any file of the store, but for what attempts left behind that were cut off; asked until it is so.
async fn judge_files(scene: &Scene, replicas: &Replicas, erased_within: Duration) -> Result<(), String> {
    let (end, files) = (Instant::now() + erased_within, replicas.files());
    let erased = find_erased(&scene.book());
    loop {
        let folder = files.clone();
        let look = tokio::task::spawn_blocking(move || find_in(&folder));
        let mut found = look.await.map_err(|error| error.to_string())?;
        let kept = found.len();
        found.retain(|sound, _| erased.contains(sound));
        let of_cut = take_cut(&scene.book(), &mut found);
        if found.is_empty() {
            println!("{}: {} recordings were erased, {kept} are in files", replicas.ground(), erased.len());
            println!("{}", describe_left(scene, "an attempt that was cut off left", &of_cut).join("\n"));
            return Ok(());
        }
        if Instant::now() > end {
            let what = "what was erased is still in the store's files";
            describe_left(scene, what, &found).into_iter().for_each(|finding| scene.note(finding));
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

type Files = BTreeMap<u64, Vec<PathBuf>>;

/// Takes those out that attempts may have left which were cut off.
fn take_cut(book: &Book, found: &mut Files) -> Files {
    let excused = |sound: &u64, files: &[PathBuf]| files.len() <= book.count_cut(*sound);
    let (of_cut, others) =
        std::mem::take(found).into_iter().partition(|(sound, files)| excused(sound, files));
    *found = others;
    of_cut
}

/// Of each recording in these files, all that is known of its messages.
fn describe_left(scene: &Scene, what: &str, left: &Files) -> Vec<String> {
    let book = scene.book();
    let messages = book.messages.iter().filter_map(|message| Some((message, left.get(&message.sound)?)));
    messages
        .map(|(message, files)| format!("{what} {files:?}: {}", book.describe(message, scene.start)))
        .collect()
}

/// Recordings of which each message must be erased.
fn find_erased(book: &Book) -> BTreeSet<u64> {
    let (erased, kept): (Vec<&Message>, Vec<&Message>) =
        book.messages.iter().partition(|message| book.is_erased(message));
    let sounds =
        |messages: Vec<&Message>| messages.iter().map(|message| message.sound).collect::<BTreeSet<_>>();
    &sounds(erased) - &sounds(kept)
}
