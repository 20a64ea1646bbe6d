//! `cargo demo`: the main job from nothing to a proven erasure, on a real Kubernetes, before the reader's eyes.
//!
//! ```text
//! cluster ▸ image ▸ operator ▸ tenant ▸ mailboxes ▸ messages ▸ playback ▸ pages ▸ export ▸ forget ▸ undo ▸ forget ▸ scan ▸ dial
//! ```
//!
//! Every step checks what it claims and ends the demo where that isn't so. What an earlier, aborted run left
//! is removed first; what this one made is removed at the end unless `--keep` is given. The local cluster
//! stays, since starting one takes a while.

mod arguments;
mod cast;
mod dialling;
mod pages;
mod privacy;
mod rooms;
mod setup;
mod tour;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use voicemail_test_machine::progress::say;
use voicemail_tests::stage::Steps;

use arguments::Arguments;
use setup::Scene;

#[tokio::main]
async fn main() -> ExitCode {
    voicemail_test_machine::install_crypto();
    let arguments = Arguments::parse();
    match play(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\nThe demo failed: {error:#}\n\n{}", tour::AFTER_FAILURE));
            ExitCode::FAILURE
        }
    }
}

async fn play(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::default();
    let scene = Scene::set(arguments, &mut steps).await?;
    let rooms = scene.open_rooms(&mut steps).await?;
    let messages = rooms.leave_messages(&mut steps).await?;
    let address = pages::open(&scene, &mut steps).await?;
    privacy::exercise_rights(&scene, &rooms, &messages, &mut steps).await?;
    dialling::dial(&scene, &rooms, &mut steps).await?;
    tour::show_resources(&scene, &mut steps).await?;
    if arguments.keep {
        steps.summarise();
        return tour::describe(&scene, &address);
    }
    scene.strike(&mut steps).await?;
    steps.summarise();
    tour::say_what_stays(&scene);
    Ok(())
}
