//! `voicemail dev`: one process on this machine alone, with a store, keys, people and spoken messages of its own, for a look
//! at the pages and the API. It is no service, and every page says so.
//!
//! ```text
//! folder made if need be: keys, users with new passwords, configuration ─▶ served on a loopback address
//!   ─▶ store open ─▶ mailboxes, people, messages (the first time) ─▶ what to open and what to call is printed
//! ```
//!
//! The store stays in the folder; passwords are new at each start and are printed, and stored as hashes alone. A request
//! for any host but this machine's is refused, so that no page of the web reaches it by a name that leads here.
//!
//! What can go wrong: the folder can't be written, or another process listens there. Each is told, and nothing is served.

mod error;
mod files;
mod messages;
mod people;

pub use error::DemonstrationError;

use crate::server::Server;
use people::{PEOPLE, Person};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use voicemail_model::clock::World;

/// Where to keep what, and where to listen.
pub struct Options {
    /// The folder.
    pub data: PathBuf,
    /// A loopback address.
    pub listen: SocketAddr,
}

/// Serves until told to stop; `ready` is given what to print once it can be used.
///
/// # Errors
/// See [`DemonstrationError`].
pub async fn run(
    options: &Options,
    world: World,
    stop: CancellationToken,
    ready: impl FnOnce(&str),
) -> Result<(), DemonstrationError> {
    if !options.listen.ip().is_loopback() {
        return Err(DemonstrationError::NotLoopback(options.listen));
    }
    let people: Vec<Person> = PEOPLE.iter().map(|known| known.with_password(&world)).collect();
    let config = files::prepare(&options.data, options.listen, &people)?;
    let server = Server::bind_demonstration(&config, world)?;
    let (address, opened) = (server.api_address(), server.opened());
    let serving = tokio::spawn(server.run(stop.clone()));
    tokio::select! {
        core = opened => {
            if let Some(core) = core {
                let made = messages::provision(&core).await;
                if made.is_err() {
                    stop.cancel();
                } else {
                    ready(&describe(address, &options.data, &people));
                }
                serving.await?;
                return made;
            }
        }
        () = stop.cancelled() => {}
    }
    Ok(serving.await?)
}

/// What to open and what to call.
fn describe(address: SocketAddr, data: &Path, people: &[Person]) -> String {
    let base = format!("http://localhost:{}", address.port());
    let mut text = format!(
        "A demonstration of voicemail, for this machine alone: no service. Its data are in {}; Ctrl-C ends it.\n\n\
         Open {base}/ui and sign in as one of these:\n",
        data.display()
    );
    let row = |text: &mut String, person: &Person| {
        // Writing into a string never fails.
        let _ = writeln!(text, "  {:<9} {}   {}", person.name, person.password, person.does);
    };
    people.iter().filter(|person| person.opens_pages()).for_each(|person| row(&mut text, person));
    text.push_str("\nThese call the API:\n");
    people.iter().filter(|person| !person.opens_pages()).for_each(|person| row(&mut text, person));
    let password =
        |name: &str| people.iter().find(|one| one.name == name).map_or("", |one| one.password.as_str());
    let _ = write!(
        text,
        "\nFor example, leave a message and see the count change:\n  \
         curl -u media:{} -F caller='+44 20 7946 0958' -F audio=@{} {base}/api/v1/mailboxes/1001/messages\n  \
         curl -u admin:{} {base}/api/v1/mailboxes/1001\n",
        password("media"),
        data.join(files::EXAMPLE).display(),
        password("admin"),
    );
    text
}
