//! Exim from Debian: a mail server that keeps what it takes for `example.com` in maildirs, asks for TLS by an authority of its
//! own and for a login, and refuses as tests ask for.
//!
//! A test asks by a file in its folder ([`Exim::ask`]), which Exim looks at with every mail.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::daemon::Daemon;
use super::tls_tunnel::Authority;
use crate::debian::ensure_program;
use crate::poll::poll;
use crate::servers::ports::find_free_port;

/// Who may send.
pub const USER: &str = "voicemail";
/// With that password.
pub const PASSWORD: &str = "a mail server";
/// Whose mail is kept.
const READERS: [&str; 3] = ["alice", "bob", "nobody"];
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Its own logs.
const LOGS: [&str; 3] = ["log/main", "log/reject", "log/panic"];

/// What a test asks the server for.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// Nobody's mail is taken now (421 after `MAIL FROM`).
    Later,
    /// Mails for this reader aren't taken now: greylisting (450 after `RCPT TO`).
    Greylist(&'static str),
    /// Nobody has this address (550 after `RCPT TO`).
    Unknown(&'static str),
    /// No mail of more than 20 kB is taken (552).
    Small,
    /// No mail's content is taken (554 after the mail).
    Distaste,
    /// No STARTTLS is offered.
    Plain,
    /// At that step the server does that.
    At(Step, Fault),
}

/// A step of a mail's way, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The connection, before the greeting.
    Connect,
    /// `EHLO`.
    Hello,
    /// `STARTTLS`.
    Encrypt,
    /// `AUTH`.
    Login,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// The mail itself.
    Content,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Hello,
        Self::Encrypt,
        Self::Login,
        Self::Sender,
        Self::Recipient,
        Self::Data,
        Self::Content,
    ];

    /// Exim's word for it, in `acl_smtp_…`.
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Hello => "helo",
            Self::Encrypt => "starttls",
            Self::Login => "auth",
            Self::Sender => "mail",
            Self::Recipient => "rcpt",
            Self::Data => "predata",
            Self::Content => "data",
        }
    }
}

/// What goes wrong at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is put off (451).
    Later,
    /// It is refused (554).
    Refused,
    /// There is no answer for longer than a test waits.
    Silence,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Later => "later",
            Self::Refused => "refused",
            Self::Silence => "silence",
        }
    }
}

impl Ask {
    fn file(self) -> String {
        match self {
            Self::Later => "later".into(),
            Self::Greylist(reader) => format!("grey-{reader}"),
            Self::Unknown(reader) => format!("unknown-{reader}"),
            Self::Small => "small".into(),
            Self::Distaste => "distaste".into(),
            Self::Plain => "plain".into(),
            Self::At(step, fault) => format!("{}-{}", step.name(), fault.name()),
        }
    }
}

/// The server.
#[derive(Debug)]
pub struct Exim {
    daemon: Daemon,
    /// Where STARTTLS is offered.
    pub port: u16,
    /// Where TLS begins with the first byte.
    pub tls_port: u16,
}

impl Exim {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        let program = ensure_program("exim4-daemon-light", "exim4")?;
        let folder = tempfile::Builder::new().prefix("exim-").tempdir()?;
        let (port, tls_port) = (find_free_port(LOCAL)?.port(), find_free_port(LOCAL)?.port());
        write_files(folder.path(), port, tls_port)?;
        let mut command = Command::new(program);
        command.arg("-C").arg(folder.path().join("exim.conf")).arg("-bdf");
        let daemon = Daemon::start(command, folder, &LOGS, (LOCAL, port).into(), Signal::KILL).await?;
        Ok(Self { daemon, port, tls_port })
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Asks for something, or takes that back.
    pub fn ask(&self, what: Ask, wanted: bool) -> Result<()> {
        let file = self.daemon.path().join("ask").join(what.file());
        if wanted { Ok(std::fs::write(file, "")?) } else { Ok(std::fs::remove_file(file)?) }
    }

    /// The folder with a maildir for each reader.
    pub fn maildirs(&self) -> PathBuf {
        self.daemon.path().join("mail")
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.daemon.path().join("ca.crt")
    }

    /// A folder with the files `username` and `password`.
    pub fn credentials(&self) -> PathBuf {
        self.daemon.path().join("login")
    }

    /// The mails of a reader, in the order in which they came.
    pub fn mails(&self, reader: &str) -> Result<Vec<Vec<u8>>> {
        let folder = self.daemon.path().join("mail").join(reader).join("new");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut files: Vec<(u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            files.push((moment(&path).context("a file that isn't a maildir's")?, path));
        }
        files.sort();
        files.iter().map(|(_, path)| Ok(std::fs::read(path)?)).collect()
    }

    /// The mails of a reader as soon as there are so many.
    pub async fn wait_mails(&self, reader: &str, count: usize, within: Duration) -> Result<Vec<Vec<u8>>> {
        poll(within, async || {
            let mails = self.mails(reader)?;
            ensure!(
                mails.len() == count,
                "{} mails instead of {count}; the server says {}",
                mails.len(),
                self.log()
            );
            Ok(mails)
        })
        .await
    }
}

/// Maildir's name: seconds, then microseconds behind an `H`-less `M`.
fn moment(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (seconds, rest) = name.split_once('.')?;
    let micros: String = rest
        .strip_prefix('H')
        .unwrap_or(rest)
        .trim_start_matches(|c: char| c != 'M')
        .chars()
        .skip(1)
        .take_while(char::is_ascii_digit)
        .collect();
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().unwrap_or_default())
}

fn write_files(folder: &Path, port: u16, tls_port: u16) -> Result<()> {
    for name in ["spool", "log", "mail", "ask", "login"] {
        std::fs::create_dir(folder.join(name))?;
    }
    let readers: String = READERS.iter().map(|reader| format!("{reader}: {reader}\n")).collect();
    std::fs::write(folder.join("readers"), readers)?;
    std::fs::write(folder.join("login/username"), USER)?;
    std::fs::write(folder.join("login/password"), format!("{PASSWORD}\n"))?;
    let authority = Authority::new("mail authority")?;
    let server = authority.issue(&["localhost"])?;
    std::fs::write(folder.join("ca.crt"), authority.pem())?;
    std::fs::write(folder.join("tls.crt"), server.certificate)?;
    std::fs::write(folder.join("tls.key"), server.key)?;
    std::fs::write(folder.join("exim.conf"), configuration(folder, port, tls_port))?;
    open_to_exim(folder)
}

/// As root, Exim works as a user of its own, who must get at the folder.
fn open_to_exim(folder: &Path) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        crate::command::run(Command::new("chown").args(["-R", "Debian-exim:"]).arg(folder))?;
        crate::command::run(Command::new("chown").arg("root:").arg(folder.join("exim.conf")))?;
    }
    Ok(())
}

/// What a test asks for at one step, as the beginning of the step's list of rules.
fn faults_at(dir: &str, step: Step) -> String {
    let asked = |fault: Fault| format!("${{if exists{{{dir}/ask/{}-{}}}}}", step.name(), fault.name());
    let silence = asked(Fault::Silence);
    format!(
        "check_{name}:
  warn condition = {silence}
       delay = 20s
  defer message = 451 4.3.0 later
        condition = {later}
  deny message = 554 5.3.0 no
       condition = {refused}
",
        name = step.name(),
        later = asked(Fault::Later),
        refused = asked(Fault::Refused),
    )
}

fn configuration(folder: &Path, port: u16, tls_port: u16) -> String {
    let dir = &folder.display().to_string();
    let [connect, hello, encrypt, login, sender, recipient, data, content] =
        Step::ALL.map(|step| faults_at(dir, step));
    let rules: String =
        Step::ALL.iter().map(|step| format!("acl_smtp_{0} = check_{0}\n", step.name())).collect();
    let user = if rustix::process::geteuid().is_root() { "user = Debian-exim\n" } else { "" };
    format!(
        r#"primary_hostname = localhost
domainlist local_domains = example.com
spool_directory = {dir}/spool
log_file_path = {dir}/log/%s
pid_file_path = {dir}/pid
keep_environment =
disable_ipv6 = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port} : {tls_port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = ${{if exists{{{dir}/ask/plain}}{{}}{{*}}}}
tls_certificate = {dir}/tls.crt
tls_privatekey = {dir}/tls.key
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}{{}}}}
message_size_limit = ${{if exists{{{dir}/ask/small}}{{20K}}{{50M}}}}
check_spool_space = 0
host_lookup =
{rules}
begin acl
{connect}  accept
{hello}  accept
{encrypt}  accept
{login}  accept
{sender}  defer message = 4.3.0 later
        condition = ${{if exists{{{dir}/ask/later}}}}
  accept
{recipient}  deny message = 5.7.1 relaying denied
       !authenticated = *
  defer message = 4.2.0 greylisted
        condition = ${{if exists{{{dir}/ask/grey-$local_part}}}}
  deny message = 5.1.1 <$local_part@$domain> is nobody's address
       condition = ${{if exists{{{dir}/ask/unknown-$local_part}}}}
  accept domains = +local_domains
  deny message = 5.7.1 relaying denied
{data}  accept
{content}  deny message = 5.6.0 not this mail
       condition = ${{if exists{{{dir}/ask/distaste}}}}
  accept

begin routers
local:
  driver = accept
  domains = +local_domains
  # What a file says is no longer what a stranger sent: only that may name a folder.
  local_parts = lsearch;{dir}/readers
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {dir}/mail/$local_part_data
  create_directory
  {user}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
"#
    )
}
