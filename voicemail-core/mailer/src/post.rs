//! The way to the mail server: one connection, kept for several mails, opened anew with the files as they are then.

use futures::FutureExt;
use futures::future::BoxFuture;
use std::time::Duration;
use voicemail_api::config::SmtpConfig;
use voicemail_email::{Connection, Mail, Server, SmtpError};
use voicemail_model::clock::World;

/// How long an idle connection is kept: servers close them after five minutes (RFC 5321, 4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(60);

/// Why a mail has no yes of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// What the server said, or that it didn't.
    pub why: SmtpError,
    /// The server may have the mail nevertheless: its answer was lost.
    pub perhaps: bool,
}

/// Takes mails to a server.
pub trait Carrier: Send {
    /// Hands over a mail: once this says yes the server has it.
    fn carry<'a>(&'a mut self, mail: &'a Mail) -> BoxFuture<'a, Result<(), Unsent>>;
}

/// Sends mails over one connection.
pub(crate) struct Post {
    config: SmtpConfig,
    world: World,
    connection: Option<(Connection, Duration)>,
    answered: bool,
}

impl Post {
    pub(crate) fn new(config: SmtpConfig, world: World) -> Self {
        Self { config, world, connection: None, answered: false }
    }

    async fn send(&mut self, mail: &Mail) -> Result<(), Unsent> {
        let mut connection = match self.kept().await {
            Some(connection) => connection,
            None => self.connect().await.map_err(|why| Unsent { why, perhaps: false })?,
        };
        let sent = connection.send(mail).await;
        if !sent.as_ref().is_err_and(SmtpError::is_about_server) {
            self.connection = Some((connection, self.world.monotonic()));
            self.answered = true;
        }
        sent.map_err(|why| Unsent { perhaps: why.leaves_doubt(), why })
    }

    async fn connect(&self) -> Result<Connection, SmtpError> {
        Server::read(&self.config).await?.connect().await
    }

    /// Whether the server has taken up a mail since this was last asked.
    pub(crate) fn take_answered(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// The connection if it is still good.
    async fn kept(&mut self) -> Option<Connection> {
        let (mut connection, used) = self.connection.take()?;
        let fresh = self.world.monotonic().saturating_sub(used) < IDLE;
        (fresh && connection.is_good().await).then_some(connection)
    }

    /// Takes leave of a connection that isn't used any more.
    pub(crate) async fn rest(&mut self) {
        let idle =
            |(_, used): &mut (Connection, Duration)| self.world.monotonic().saturating_sub(*used) >= IDLE;
        if let Some((connection, _)) = self.connection.take_if(idle) {
            connection.close().await;
        }
    }
}

impl Carrier for Post {
    fn carry<'a>(&'a mut self, mail: &'a Mail) -> BoxFuture<'a, Result<(), Unsent>> {
        self.send(mail).boxed()
    }
}
