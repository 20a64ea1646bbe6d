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
use std::fmt;
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

/// A demonstration that can be used.
pub struct Demonstration {
    /// Where it listens.
    pub address: SocketAddr,
    /// Name, password and what they do, of each person.
    pub people: Vec<(String, String, String)>,
    data: PathBuf,
    pages: usize,
}

/// Serves until told to stop; `ready` is told once it can be used.
///
/// # Errors
/// See [`DemonstrationError`].
pub async fn run(
    options: &Options,
    world: World,
    stop: CancellationToken,
    ready: impl FnOnce(Demonstration),
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
                    ready(Demonstration::new(address, &options.data, people));
                }
                serving.await?;
                return made;
            }
        }
        () = stop.cancelled() => {}
    }
    Ok(serving.await?)
}

impl Demonstration {
    /// People with pages first.
    fn new(address: SocketAddr, data: &Path, people: Vec<Person>) -> Self {
        let pages = people.iter().filter(|person| person.opens_pages()).count();
        let (open, call): (Vec<_>, Vec<_>) = people.into_iter().partition(Person::opens_pages);
        let view = |person: Person| (person.name.to_owned(), person.password, person.does.to_owned());
        let people = open.into_iter().chain(call).map(view).collect();
        Self { address, people, data: data.to_owned(), pages }
    }

    fn password(&self, name: &str) -> &str {
        self.people.iter().find(|(known, ..)| known == name).map_or("", |(_, password, _)| password)
    }
}

impl fmt::Display for Demonstration {
    /// What to open and what to call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (base, data) = (format!("http://localhost:{}", self.address.port()), &self.data);
        let intro = "A demonstration of voicemail, for this machine alone: no service.";
        writeln!(f, "{intro} Its data are in {}; Ctrl-C ends it.\n", data.display())?;
        writeln!(f, "Open {base}/ui and sign in as one of these:")?;
        for (at, (name, password, does)) in self.people.iter().enumerate() {
            if at == self.pages {
                writeln!(f, "\nThese call the API:")?;
            }
            writeln!(f, "  {name:<9} {password}   {does}")?;
        }
        let example = data.join(files::EXAMPLE);
        writeln!(f, "\nFor example, leave a message and see the count change:")?;
        writeln!(
            f,
            "  curl -u media:{} -F caller='+44 20 7946 0958' -F audio=@{} {base}/api/v1/mailboxes/1001/messages",
            self.password("media"),
            example.display()
        )?;
        write!(f, "  curl -u admin:{} {base}/api/v1/mailboxes/1001", self.password("admin"))
    }
}
