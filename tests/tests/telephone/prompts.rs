//! Prompts of a tenant's own: what callers and owners hear is what lies in the folder, byte for byte.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use voicemail_telephony::prompts::Pack;
use voicemail_test_machine::cargo::build_program;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::prompts::english_prompts;
use voicemail_test_machine::servers::listener::Listener;
use voicemail_test_machine::servers::sipp::{Call, Step};
use voicemail_test_machine::speech::wav_of;

use crate::owners::{owner, wait};
use crate::scene::{LOCAL, PATIENCE, Scene, sound};

const SAMPLES: usize = 160;

fn say_by(folder: &Path) -> String {
    format!(
        "dialogue: {{prompts: {}, ownPrompts: {}}}\n",
        english_prompts().unwrap().display(),
        folder.display()
    )
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(build_program("voicemail-sip").unwrap());
    command.args(arguments).arg(folder).output().unwrap()
}

/// What the process says of its prompts.
async fn fault(scene: &Scene) -> anyhow::Result<Option<String>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(format!("http://{}/readyz", scene.sip.sip())).send().await?;
    let told: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
    ensure!(told["ready"] == true, "{told}");
    Ok(told["message"].as_str().map(str::to_owned))
}

/// A caller who hears what comes before the beep.
async fn call(scene: &Scene) -> Listener {
    let listener = Listener::open(LOCAL).await.unwrap();
    let mut call = Call::message("1001", &sound(1, 3));
    call.listener = Some(listener.port);
    call.steps.insert(0, wait(3_000));
    call.make(scene.sip.sip()).await.unwrap();
    listener
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_hear_the_tenants_own_clip_and_the_next_ones_what_it_was_changed_to() {
    let own = tempfile::tempdir().unwrap();
    let (first, second) = (sound(1, 5), sound(1, 11));
    std::fs::write(own.path().join("after-tone.wav"), wav_of(&first)).unwrap();
    std::fs::write(own.path().join("goodbye.wav"), "no sound").unwrap();
    std::fs::write(own.path().join("welcome.wav"), wav_of(&first)).unwrap();
    let scene = Scene::open_saying(&say_by(own.path())).await;
    assert!(call(&scene).await.heard(&first), "something else was heard");
    // What can't be used is told by name, and keeps nobody away.
    let told = fault(&scene).await.unwrap().unwrap();
    assert!(told.contains("goodbye.wav: it is no WAV") && told.contains("nothing says welcome"), "{told}");
    let examined = run(&["prompts", "--folder"], own.path());
    let errors = String::from_utf8(examined.stderr).unwrap();
    assert!(
        !examined.status.success() && errors.contains("goodbye.wav: ") && errors.contains("welcome"),
        "{errors}"
    );
    std::fs::remove_file(own.path().join("welcome.wav")).unwrap();
    std::fs::write(own.path().join("goodbye.wav"), wav_of(&first)).unwrap();
    std::fs::write(own.path().join("after-tone.wav"), wav_of(&second)).unwrap();
    let settled = async || fault(&scene).await?.is_none().then_some(()).context("a fault is still told");
    poll(PATIENCE, settled).await.unwrap();
    // The last of the files may have been written after a look.
    let heard = async || call(&scene).await.heard(&second).then_some(()).context("the former clip was heard");
    poll(PATIENCE, heard).await.unwrap();
    assert!(run(&["prompts", "--folder"], own.path()).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_whose_language_cannot_be_read_are_not_heard_among_english_ones() {
    let own = tempfile::tempdir().unwrap();
    let (foreign, description) = (sound(1, 5), own.path().join("prompts.yaml"));
    std::fs::write(own.path().join("after-tone.wav"), wav_of(&foreign)).unwrap();
    std::fs::write(&description, "language: de\nclock: noon\n").unwrap();
    let english = Pack::read(&english_prompts().unwrap()).unwrap().clip("after-tone").unwrap();
    // What is said in whole packets.
    let english = &english[..english.len() / SAMPLES * SAMPLES];
    let scene = Scene::open_saying(&say_by(own.path())).await;
    let caller = call(&scene).await;
    assert!(caller.heard(english) && !caller.heard(&foreign), "the clip of another language was heard");
    let told = fault(&scene).await.unwrap().unwrap();
    assert!(
        told.contains("prompts.yaml: clock: ") && told.contains("language of the clips isn't known"),
        "{told}"
    );
    let listed = run(&["prompts", "--list", "--folder"], own.path());
    assert!(!listed.status.success(), "names of another language's clips: {listed:?}");
    // Once it can be read the clip counts.
    std::fs::write(&description, "language: en\n").unwrap();
    let settled = async || fault(&scene).await?.is_none().then_some(()).context("a fault is still told");
    poll(PATIENCE, settled).await.unwrap();
    assert!(call(&scene).await.heard(&foreign), "the tenant's own clip wasn't heard");
}

/// A clip of its own for each name: a packet for each of its bytes.
fn clip(name: &str) -> Vec<u8> {
    name.bytes().flat_map(|byte| vec![byte; SAMPLES]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_hears_a_whole_language_of_the_tenants_own_with_its_plural_forms() {
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("prompts.yaml"), "language: pl\ndate: dayMonth\nclock: 24h\n").unwrap();
    // Whoever records reads the list.
    let listed = String::from_utf8(run(&["prompts", "--list", "--folder"], own.path()).stdout).unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split('\t').next()).collect();
    assert!(names.contains(&"new-message.few.wav"), "{listed}");
    for name in &names {
        std::fs::write(own.path().join(name), wav_of(&clip(name.trim_end_matches(".wav")))).unwrap();
    }
    let agreeing = "number-1.new-message";
    std::fs::write(own.path().join(format!("{agreeing}.wav")), wav_of(&clip(agreeing))).unwrap();
    let examined = run(&["prompts", "--folder"], own.path());
    let said = String::from_utf8(examined.stdout).unwrap();
    assert!(said.contains(&format!("{} clips of the language pl", names.len() + 1)), "{said}");
    let scene = Scene::open_saying(&say_by(own.path())).await;
    assert_eq!(fault(&scene).await.unwrap(), None);
    let mut message = Call::message("1001", &sound(2, 3));
    message.steps.insert(0, wait(3_000));
    message.make(scene.sip.sip()).await.unwrap();
    scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    let sentence: Vec<u8> =
        ["you-have", agreeing, "new-message.one", "and", "no", "old-message.many", "main-menu"]
            .iter()
            .flat_map(|name| clip(name))
            .collect();
    let listener = Listener::open(LOCAL).await.unwrap();
    let mut call = owner("", &listener);
    // Who sends nothing for ten seconds is sent nothing.
    call.steps.push(Step::Wait(Duration::from_millis(5_000)));
    call.make(scene.sip.sip()).await.unwrap();
    assert!(listener.heard(&sentence), "another sentence was heard, {} samples", listener.count());
}
