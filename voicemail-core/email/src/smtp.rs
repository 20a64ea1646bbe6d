//! A connection to an SMTP server: encrypted before anything is said, logged in, kept for several mails.
//!
//! Each step has a deadline of its own. After an answer that is no yes to a mail, `RSET` makes the connection good for the
//! next one; a connection that fails that is closed.

use crate::refusal::{SmtpError, Step};
use futures::FutureExt;
use lettre::message::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;
use voicemail_api::config::{SmtpConfig, SmtpTls};

/// The longest wait for a connection, and for an answer to a command.
const STEP: Duration = Duration::from_secs(20);
/// The longest wait until a mail was sent and taken.
const CONTENT: Duration = Duration::from_secs(60);
/// How we name ourselves: no host name of a pod, which tells others about the cluster.
const HELLO: &str = "voicemail.invalid";

/// A server, with its files as they were read.
pub struct Server {
    host: String,
    port: u16,
    tls: SmtpTls,
    parameters: TlsParameters,
    credentials: Option<Credentials>,
    step: Duration,
    content: Duration,
}

impl Server {
    /// Reads credentials and CA.
    ///
    /// # Errors
    /// `Setup`.
    pub async fn read(config: &SmtpConfig) -> Result<Self, SmtpError> {
        let credentials = match &config.credentials_dir {
            None => None,
            Some(folder) => {
                let (user, password) =
                    (read_line(&folder.join("username")).await?, read_line(&folder.join("password")).await?);
                Some(Credentials::new(user, password))
            }
        };
        let mut builder: TlsParametersBuilder = TlsParameters::builder(config.host.clone());
        if let Some(file) = &config.ca_file {
            let certificate = Certificate::from_pem(&read(file).await?);
            let certificate = certificate
                .map_err(|_| SmtpError::Setup(format!("{}: write PEM certificates", file.display())))?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
        }
        let parameters = builder
            .build_rustls()
            .map_err(|_| SmtpError::Setup("the CA's certificates can't be used".into()))?;
        let (host, port, tls) = (config.host.clone(), config.port(), config.tls);
        Ok(Self { host, port, tls, parameters, credentials, step: STEP, content: CONTENT })
    }

    /// With other deadlines for a step and for a mail's content.
    #[must_use]
    pub fn within(self, step: Duration, content: Duration) -> Self {
        Self { step, content, ..self }
    }

    /// Connects, encrypts and logs in.
    ///
    /// # Errors
    /// See [`SmtpError`].
    pub async fn connect(&self) -> Result<Connection, SmtpError> {
        let hello = ClientId::Domain(HELLO.into());
        let wrapped = (self.tls == SmtpTls::Tls).then(|| self.parameters.clone());
        let address = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(address, Some(self.step), &hello, wrapped, None);
        let mut inner = within(Step::Connect, self.step, connecting).await?;
        if self.tls == SmtpTls::StartTls {
            if !inner.can_starttls() {
                return Err(SmtpError::NoTls);
            }
            let encrypting = inner.starttls(self.parameters.clone(), &hello);
            within(Step::Encrypt, self.step, encrypting).await?;
            refuse_what_was_slipped_in(&mut inner, self.step).await?;
        }
        if !inner.is_encrypted() {
            return Err(SmtpError::NoTls);
        }
        if let Some(credentials) = &self.credentials {
            let login = inner.auth(&[Mechanism::Plain, Mechanism::Login], credentials);
            within(Step::Login, self.step, login).await?;
        }
        Ok(Connection { inner, step: self.step, content: self.content })
    }
}

/// Answers that somebody put behind the server's yes to STARTTLS are read as if they had come encrypted, one for each command
/// from then on: the server's own would never be seen, not even that it refused a mail (RFC 3207, 6). One answer more
/// than there were commands stays in the buffer, or has taken the place of the server's answer to EHLO, which
/// has several lines and comes in the place of the next one.
async fn refuse_what_was_slipped_in(
    inner: &mut AsyncSmtpConnection,
    limit: Duration,
) -> Result<(), SmtpError> {
    if inner.read_response().now_or_never().is_some() {
        return Err(SmtpError::Intercepted);
    }
    let answer = within(Step::Encrypt, limit, inner.command(Noop)).await?;
    match answer.message().count() {
        0 | 1 => Ok(()),
        _ => Err(SmtpError::Intercepted),
    }
}

async fn within<T>(
    step: Step,
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, SmtpError> {
    let answer = timeout(limit, work).await.map_err(|_| SmtpError::TimedOut(step))?;
    answer.map_err(|error| SmtpError::of(step, &error))
}

async fn read(file: &Path) -> Result<Vec<u8>, SmtpError> {
    tokio::fs::read(file).await.map_err(|error| SmtpError::Setup(format!("{}: {error}", file.display())))
}

async fn read_line(file: &Path) -> Result<String, SmtpError> {
    let text = String::from_utf8(read(file).await?)
        .map_err(|_| SmtpError::Setup(format!("{}: write UTF-8", file.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A connection that is encrypted and logged in.
pub struct Connection {
    inner: AsyncSmtpConnection,
    step: Duration,
    content: Duration,
}

impl Connection {
    /// Whether it is still good for a mail.
    pub async fn is_good(&mut self) -> bool {
        matches!(timeout(self.step, self.inner.command(Noop)).await, Ok(Ok(_)))
    }

    /// Hands over a mail. Once this says yes the server has it. After an error that isn't about the server the connection
    /// can take another mail if [`is_good`](Self::is_good).
    ///
    /// # Errors
    /// See [`SmtpError`]. After `TimedOut(Content)` or `Unreachable` the server may have the mail.
    pub async fn send(&mut self, mail: &Message) -> Result<(), SmtpError> {
        let sent = self.try_send(mail).await;
        if sent.as_ref().is_err_and(|error| !error.is_about_server()) {
            // What it says is seen when the connection is used again.
            let _ = timeout(self.step, self.inner.command(Rset)).await;
        }
        sent
    }

    async fn try_send(&mut self, mail: &Message) -> Result<(), SmtpError> {
        let envelope = mail.envelope();
        let from = Mail::new(envelope.from().cloned(), Vec::new());
        within(Step::Sender, self.step, self.inner.command(from)).await?;
        for to in envelope.to() {
            within(Step::Recipient, self.step, self.inner.command(Rcpt::new(to.clone(), Vec::new()))).await?;
        }
        within(Step::Content, self.step, self.inner.command(Data)).await?;
        within(Step::Content, self.content, self.inner.message(&mail.formatted())).await?;
        Ok(())
    }

    /// Takes leave.
    pub async fn close(mut self) {
        // Nothing depends on the answer.
        let _ = timeout(self.step, self.inner.command(Quit)).await;
    }
}
