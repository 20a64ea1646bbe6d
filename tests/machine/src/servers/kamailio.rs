//! Kamailio between phones and a telephone, as an SBC stands there: phones register with it, it relays what they begin, stays in the
//! way by Record-Route, and sends what is for a phone to where that one has registered from.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::loopback;
use super::ports::find_free_port;
use crate::debian::ensure_program;

/// A proxy that serves.
#[derive(Debug)]
pub struct Kamailio {
    folder: TempDir,
    child: Child,
    address: SocketAddr,
}

impl Kamailio {
    /// Starts one before that telephone, on a port of its own. Who sends before it listens sends again.
    pub fn start(front: SocketAddr) -> Result<Self> {
        Self::listen(find_free_port(loopback())?, front)
    }

    /// The same on that port.
    pub fn listen(address: SocketAddr, front: SocketAddr) -> Result<Self> {
        let program = ensure_program("kamailio", "kamailio")?;
        let folder = tempfile::Builder::new().prefix("kamailio-").tempdir()?;
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, configuration(address, front))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(program);
        // In a group of its own, since it has processes for its timers.
        command
            .process_group(0)
            .args(["-D", "-E", "-m", "64", "-M", "8", "-Y"])
            .arg(folder.path())
            .arg("-f")
            .arg(file);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start kamailio")?;
        Ok(Self { folder, child, address })
    }

    /// Where phones register and the telephone's requests come.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        let group = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // One that has ended by itself has no group any more.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    }
}

fn configuration(address: SocketAddr, front: SocketAddr) -> String {
    let modules: String = ["tm", "sl", "rr", "pv", "maxfwd", "usrloc", "registrar", "textops", "siputils"]
        .iter()
        .map(|name| format!("loadmodule \"{name}.so\"\n"))
        .collect();
    format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
fork=no
auto_aliases=no
dns_cache_init=off
disable_tcp=yes
listen=udp:{address}
{modules}
modparam("usrloc", "db_mode", 0)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK") && t_check_trans()) {{ t_relay(); exit; }}
        if (!is_method("ACK")) {{ sl_send_reply("481", "No Such Call"); }}
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (is_method("REGISTER")) {{ save("location"); exit; }}
    record_route();
    if (is_method("NOTIFY")) {{
        if (!lookup("location")) {{ sl_send_reply("480", "Not Registered"); exit; }}
        t_relay();
        exit;
    }}
    $du = "sip:{front}";
    t_relay();
}}
"#
    )
}
