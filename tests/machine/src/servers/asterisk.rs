//! Asterisk as a PBX before a telephone: phones call it, it sends them on by a trunk, and it shows their MWI. And Asterisk by itself, which
//! records whoever calls: what the telephone is measured beside.
//!
//! Debian's stable releases have no Asterisk, so it runs in a root of the unstable one, which `debian_root` makes once for each machine in the
//! user's cache folder; that takes root. Unstable moves: what ran is printed with its version, and what can't be had is an error.

use std::fs::Permissions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Child;

use super::loopback;
use super::ports::find_free_port;
use crate::command::run;
use crate::debian_root::prepare_root;
use crate::poll::poll;

const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Ports of its audio: for two thousand calls.
const AUDIO: (u16, u16) = (41_000, 44_999);
/// Files that it may have open.
const FILES: u32 = 32_768;

/// A PBX that serves.
#[derive(Debug)]
pub struct Asterisk {
    root: PathBuf,
    folder: TempDir,
    child: Child,
    address: SocketAddr,
}

/// A root with Asterisk in it.
///
/// # Errors
/// Debian's packages can't be had, or nobody may make a root here.
pub fn ensure_root() -> Result<PathBuf> {
    prepare_root("asterisk", "unstable", "asterisk", |_| Ok(()))
}

/// Its version, and its package's.
pub fn version(root: &Path) -> Result<String> {
    let own = run(Command::new("chroot").arg(root).args(["asterisk", "-V"]))?;
    let package = run(Command::new("chroot").arg(root).args(["dpkg-query", "-W", "asterisk"]))?;
    Ok(format!("{}, package {}", own.trim(), package.split_whitespace().last().unwrap_or_default()))
}

impl Asterisk {
    /// Starts one on that address of SIP, before that telephone.
    pub async fn start(root: &Path, address: SocketAddr, front: SocketAddr) -> Result<Self> {
        Self::set_up(root, address, EXTENSIONS, &PJSIP.replace("FRONT", &front.to_string())).await
    }

    /// Starts one that answers each call at once, records until the caller hangs up, and sends silence meanwhile.
    pub async fn record(root: &Path, address: SocketAddr) -> Result<Self> {
        Self::set_up(root, address, RECORDING, RECORDER).await
    }

    async fn set_up(root: &Path, address: SocketAddr, extensions: &str, pjsip: &str) -> Result<Self> {
        name_machine(root)?;
        let folder = tempfile::Builder::new().prefix("voicemail-").tempdir_in(root.join("var/tmp"))?;
        let inside = Path::new("/").join(folder.path().strip_prefix(root)?);
        for (name, content) in files(&inside, address, extensions, pjsip) {
            std::fs::write(folder.path().join(name), content)?;
        }
        let log = std::fs::File::create(folder.path().join("output"))?;
        let mut command = tokio::process::Command::new("chroot");
        command.arg(root).args(["asterisk", "-f", "-C"]).arg(inside.join("asterisk.conf"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start asterisk")?;
        let asterisk = Self { root: root.to_owned(), folder, child, address };
        poll(STARTS_WITHIN, async || asterisk.tell("core waitfullybooted")).await?;
        Ok(asterisk)
    }

    /// One on a free port.
    pub fn free_address() -> Result<SocketAddr> {
        find_free_port(loopback())
    }

    /// Where phones call it.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the last call has come to its end, with its recording.
    pub fn idle(&self) -> Result<()> {
        let told = self.tell("core show channels count")?;
        ensure!(told.lines().any(|line| line == "0 active channels"), "calls go on: {told}");
        Ok(())
    }

    /// How many recordings it has, and their bytes.
    pub fn recorded(&self) -> Result<(usize, u64)> {
        let mut found = (0, 0);
        for entry in std::fs::read_dir(self.folder.path())? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|kind| kind == "ulaw") {
                found = (found.0 + 1, found.1 + entry.metadata()?.len());
            }
        }
        Ok(found)
    }

    /// A command of its console; what that says.
    pub fn tell(&self, command: &str) -> Result<String> {
        let file = Path::new("/").join(self.folder.path().strip_prefix(&self.root)?).join("asterisk.conf");
        run(Command::new("chroot").arg(&self.root).args(["asterisk", "-C"]).arg(file).args(["-rx", command]))
    }

    /// What it has printed, and its log.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}\n{}", read("output"), read("full"))
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        let own = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // It may have ended by itself.
        let _ = own.map(|own| kill_process(own, Signal::KILL));
    }
}

/// Writes down this machine's name in the root: Asterisk looks it up for the SDP of each call, and would ask a name server, whose silence
/// holds up all calls for five seconds.
fn name_machine(root: &Path) -> Result<()> {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let mut hosts = tempfile::NamedTempFile::new_in(root.join("etc"))?;
    writeln!(hosts, "127.0.0.1 localhost {}", own.trim())?;
    hosts.as_file().set_permissions(Permissions::from_mode(0o644))?;
    hosts.persist(root.join("etc/hosts"))?;
    Ok(())
}

/// Its configuration. Between the lines of `docs/telephony.md` stands what a PBX has anyway: two phones, and folders.
fn files(inside: &Path, address: SocketAddr, extensions: &str, pjsip: &str) -> Vec<(&'static str, String)> {
    let own = inside.display();
    let folders = ["astetcdir", "astdbdir", "astspooldir", "astrundir", "astlogdir", "astkeydir"];
    let folders: String = folders.iter().map(|name| format!("{name} => {own}\n")).collect();
    vec![
        ("asterisk.conf", format!("[directories]\n{folders}astvarlibdir => /var/lib/asterisk\nastdatadir => /usr/share/asterisk\n[options]\ntransmit_silence=yes\nmaxfiles={FILES}\n")),
        ("modules.conf", "[modules]\nautoload=yes\nnoload=app_voicemail.so\nnoload=app_voicemail_imap.so\nnoload=app_voicemail_odbc.so\nnoload=pbx_dundi.so\n".into()),
        ("logger.conf", "[logfiles]\nfull => notice,warning,error\n".into()),
        ("rtp.conf", format!("[general]\nrtpstart={}\nrtpend={}\n", AUDIO.0, AUDIO.1)),
        ("extensions.conf", extensions.replace("FOLDER", &own.to_string())),
        ("pjsip.conf", pjsip.replace("ADDRESS", &address.to_string())),
    ]
}

/// Nobody answers at 1001; who dials 5555 is an owner.
const EXTENSIONS: &str = "[phones]
exten => _1XXX,1,Dial(PJSIP/${EXTEN}@voicemail)
exten => 5555,1,Dial(PJSIP/5555@voicemail)
";

/// A dialplan that records each caller, without a tone (`q`), until the caller hangs up, and keeps the file then (`k`).
const RECORDING: &str = "[callers]
exten => _X.,1,Answer()
 same => n,Record(FOLDER/${UNIQUEID}.ulaw,0,0,qk)
";

/// However long its queues are it takes each call: the telephones send nothing twice.
const RECORDER: &str = "[global]
type=global
taskprocessor_overload_trigger=none

[udp]
type=transport
protocol=udp
bind=ADDRESS

[caller]
type=endpoint
context=callers
disallow=all
allow=ulaw
direct_media=no

[caller]
type=identify
endpoint=caller
match=127.0.0.1
";

const PJSIP: &str = "[global]
type=global
endpoint_identifier_order=username,ip

[udp]
type=transport
protocol=udp
bind=ADDRESS

[voicemail]
type=endpoint
context=nobody
disallow=all
allow=ulaw,alaw
aors=voicemail
direct_media=no
send_diversion=yes
send_pai=yes
trust_id_outbound=yes
dtmf_mode=rfc4733
incoming_mwi_mailbox=1001@voicemail

[voicemail]
type=aor
contact=sip:FRONT

[voicemail]
type=identify
endpoint=voicemail
match=127.0.0.1

[caller](!)
type=endpoint
context=phones
disallow=all
allow=ulaw
direct_media=no
dtmf_mode=info

[outside](caller)
callerid=<+442079460001>

[alice](caller)
callerid=<1001>
aors=1001

[1001]
type=aor
max_contacts=1
mailboxes=1001@voicemail
";
