//! Calls by sipp, a telephone that follows a scenario: what it says is a file of µ-law samples, 20 ms a packet.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

use super::ports::find_free_port;
use crate::debian::ensure_program;

/// One step of a call after the answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// Waits.
    Wait(Duration),
    /// Says the samples of that file, and waits until they are said.
    Say(Vec<u8>),
    /// Sends an INFO with that key.
    Press(char),
    /// Waits for the other side's BYE; hangs up itself otherwise.
    AwaitBye,
}

/// A call to a number.
#[derive(Clone, Debug)]
pub struct Call {
    /// The number.
    pub to: String,
    /// Who calls: a number.
    pub from: String,
    /// Lines of the INVITE's header.
    pub headers: Vec<String>,
    /// What is done after the answer.
    pub steps: Vec<Step>,
    /// The port that the other side's audio is sent to; its own when absent.
    pub listener: Option<u16>,
    /// The status that is expected instead of an answer.
    pub refused: Option<u16>,
    /// What carries it.
    pub over: Over,
    /// A user and the password, by which a challenge is answered.
    pub user: Option<(String, String)>,
}

/// What carries SIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// Datagrams.
    #[default]
    Udp,
    /// One connection.
    Tcp,
}

impl Call {
    /// That calls, waits for the beep, says this, and hangs up.
    pub fn message(to: &str, samples: &[u8]) -> Self {
        let steps = vec![Step::Wait(Duration::from_millis(1_200)), Step::Say(samples.to_vec())];
        Self {
            to: to.into(),
            from: "+442079460001".into(),
            headers: Vec::new(),
            steps,
            listener: None,
            refused: None,
            over: Over::Udp,
            user: None,
        }
    }

    /// Makes the call and waits until it is over.
    pub async fn make(&self, front: SocketAddr) -> Result<()> {
        let (folder, child) = self.begin(front)?;
        let output = child.wait_with_output().await?;
        let errors = std::fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
        ensure!(output.status.success(), "sipp ended with {}: {errors}", output.status);
        Ok(())
    }

    /// Begins the call; it ends when the process does.
    pub fn begin(&self, front: SocketAddr) -> Result<(tempfile::TempDir, Child)> {
        let folder = tempfile::Builder::new().prefix("sipp-").tempdir()?;
        let scenario = self.scenario(folder.path())?;
        let child = follow(&scenario, &self.to, front, folder.path(), self.over)?;
        Ok((folder, child))
    }

    fn scenario(&self, folder: &Path) -> Result<String> {
        let mut text = String::from("<?xml version=\"1.0\"?><scenario name=\"call\">\n");
        text.push_str(&self.invite(1, ""));
        let invites = if let Some((user, password)) = &self.user {
            text.push_str("<recv response=\"100\" optional=\"true\"/><recv response=\"401\" auth=\"true\"/>");
            text.push_str(&request("ACK", 1, "", ""));
            let proof = format!("[authentication username={user} password={password}]\n");
            text.push_str(&self.invite(2, &proof));
            2
        } else {
            1
        };
        if let Some(status) = self.refused {
            write!(text, "<recv response=\"100\" optional=\"true\"/><recv response=\"{status}\"/>")?;
            text.push_str(&request("ACK", invites, "", ""));
            return Ok(text + "</scenario>\n");
        }
        text.push_str("<recv response=\"100\" optional=\"true\"/><recv response=\"200\" rrs=\"true\"/>");
        text.push_str(&request("ACK", invites, "", ""));
        let (mut number, mut hangs_up) = (invites + 1, true);
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Wait(time) => writeln!(text, "<pause milliseconds=\"{}\"/>", time.as_millis())?,
                Step::Say(samples) => {
                    let file = format!("said-{at}.ulaw");
                    std::fs::write(folder.join(&file), samples)?;
                    writeln!(
                        text,
                        "<nop><action><exec rtp_stream=\"{file},1,0,PCMU/8000\"/></action></nop>"
                    )?;
                    writeln!(text, "<pause milliseconds=\"{}\"/>", samples.len() / 8 + 100)?;
                }
                Step::Press(key) => {
                    let body = format!("Signal={key}\nDuration=160\n");
                    text.push_str(&request("INFO", number, "Content-Type: application/dtmf-relay\n", &body));
                    text.push_str("<recv response=\"200\"/>");
                    number += 1;
                }
                Step::AwaitBye => {
                    text.push_str("<recv request=\"BYE\"/>");
                    text.push_str("<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>");
                    hangs_up = false;
                }
            }
        }
        if hangs_up {
            text.push_str(&request("BYE", number, "", ""));
            text.push_str("<recv response=\"200\"/>");
        }
        Ok(text + "</scenario>\n")
    }

    fn invite(&self, number: u32, proof: &str) -> String {
        let headers: String = self.headers.iter().map(|line| format!("{line}\n")).collect();
        let port = self.listener.map_or("[rtpstream_audio_port]".into(), |port| port.to_string());
        let sdp = format!(
            "v=0\no=user1 53655765 2353687637 IN IP[media_ip_type] [media_ip]\ns=-\nc=IN IP[media_ip_type] [media_ip]\nt=0 0\n\
             m=audio {port} RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
        );
        format!(
            "<send retrans=\"500\"><![CDATA[\nINVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
             From: \"Bob\" <sip:{}@[local_ip]:[local_port]>;tag=[call_number]\n\
             To: <sip:[service]@[remote_ip]:[remote_port]>\nCall-ID: [call_id]\nCSeq: {number} INVITE\n\
             Contact: <sip:bob@[local_ip]:[local_port]>\nMax-Forwards: 70\n{proof}{headers}\
             Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp}]]></send>\n",
            self.from
        )
    }
}

/// The address of this machine that those who answer from there are to send to.
pub fn own_address(front: SocketAddr) -> Result<IpAddr> {
    let any: IpAddr =
        if front.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(front)?;
    Ok(socket.local_addr()?.ip())
}

/// Begins to follow a scenario in a folder.
fn follow(scenario: &str, to: &str, front: SocketAddr, folder: &Path, over: Over) -> Result<Child> {
    let program = ensure_program("sip-tester", "sipp")?;
    std::fs::write(folder.join("call.xml"), scenario)?;
    let mut command = Command::new(program);
    let own = own_address(front)?.to_string();
    command.arg(front.to_string()).args(["-sf", "call.xml", "-m", "1", "-nostdin", "-i", &own]);
    command.args(["-mi", &own, "-s", to, "-timeout", "60", "-timeout_error"]);
    command.args([
        "-trace_msg",
        "-message_file",
        "messages",
        "-trace_err",
        "-error_file",
        "errors",
        "-default_behaviors",
        "all,-bye",
    ]);
    // What a challenge is answered for, beside its method.
    command.args(["-auth_uri", &format!("{to}@{front}")]);
    if over == Over::Tcp {
        // The usual port waits for a while after each connection.
        let port = find_free_port(own_address(front)?)?.port();
        command.args(["-t", "t1", "-p", &port.to_string()]);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().context("cannot start sipp")
}

/// A phone that watches a mailbox's MWI.
#[derive(Clone, Debug)]
pub struct MwiPhone {
    /// The mailbox asked for.
    pub of: String,
    /// Who asks.
    pub from: String,
    /// The event package.
    pub event: String,
    /// Seconds that are asked for.
    pub expires: u32,
    /// The status of the answer.
    pub answer: u16,
    /// What notifications must hold, one after another; after them the phone unsubscribes.
    pub told: Vec<String>,
    /// What carries it.
    pub over: Over,
}

impl MwiPhone {
    /// A phone that watches its own mailbox.
    pub fn own(mailbox: &str, told: &[&str]) -> Self {
        let told = told.iter().map(|&text| text.to_owned()).collect();
        let (of, event) = (mailbox.to_owned(), "message-summary".into());
        Self { from: of.clone(), of, event, expires: 600, answer: 200, told, over: Over::Udp }
    }

    /// Watches until all was told; gives what each notification said.
    pub async fn watch(&self, front: SocketAddr) -> Result<Vec<String>> {
        let folder = tempfile::Builder::new().prefix("sipp-").tempdir()?;
        let child = follow(&self.scenario()?, &self.of, front, folder.path(), self.over)?;
        let output = child.wait_with_output().await?;
        let errors = std::fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
        ensure!(output.status.success(), "sipp ended with {}: {errors}", output.status);
        let messages = std::fs::read_to_string(folder.path().join("messages")).unwrap_or_default();
        Ok(read_summaries(&messages))
    }

    fn scenario(&self) -> Result<String> {
        let mut text = String::from("<?xml version=\"1.0\"?><scenario name=\"phone_mwi\">\n");
        text.push_str(&self.subscribe(1, self.expires, ""));
        writeln!(text, "<recv response=\"{}\"/>", self.answer)?;
        if self.answer == 200 {
            for told in &self.told {
                text.push_str(&notified(told, "body"));
            }
            text.push_str(&self.subscribe(2, 0, "[peer_tag_param]"));
            text.push_str("<recv response=\"200\"/>");
            text.push_str(&notified("terminated", "msg"));
            text.push_str("<Reference variables=\"1\"/>");
        }
        Ok(text + "</scenario>\n")
    }

    fn subscribe(&self, number: u32, expires: u32, tag: &str) -> String {
        let Self { from, event, .. } = self;
        format!(
            "<send retrans=\"500\"><![CDATA[\nSUBSCRIBE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
             From: <sip:{from}@[local_ip]:[local_port]>;tag=[call_number]\n\
             To: <sip:[service]@[remote_ip]:[remote_port]>{tag}\nCall-ID: [call_id]\nCSeq: {number} SUBSCRIBE\n\
             Contact: <sip:{from}@[local_ip]:[local_port]>\nMax-Forwards: 70\nEvent: {event}\n\
             Expires: {expires}\nContent-Length: 0\n\n]]></send>\n"
        )
    }
}

/// The bodies of notifications, of what sipp wrote down.
pub(super) fn read_summaries(messages: &str) -> Vec<String> {
    let bodies = messages.split("Messages-Waiting:").skip(1);
    let lines = |body: &str| {
        let lines =
            body.lines().map(str::trim).take_while(|line| !line.is_empty() && !line.starts_with("---"));
        format!("Messages-Waiting: {}", lines.collect::<Vec<_>>().join("\n"))
    };
    bodies.map(lines).collect()
}

/// A NOTIFY that must hold this, and its answer.
fn notified(told: &str, place: &str) -> String {
    format!(
        "<recv request=\"NOTIFY\"><action><ereg regexp=\"{told}\" search_in=\"{place}\" check_it=\"true\" \
         assign_to=\"1\"/></action></recv>\n<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n\
         [last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>\n"
    )
}

/// A request within the call, whose tag is the last answer's: that of a refusal before was another one.
fn request(method: &str, number: u32, headers: &str, body: &str) -> String {
    let retrans = if method == "ACK" { "" } else { " retrans=\"500\"" };
    format!(
        "<send{retrans}><![CDATA[\n{method} [next_url] SIP/2.0\n\
         Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
         From: \"Bob\" <sip:bob@[local_ip]:[local_port]>;tag=[call_number]\n\
         [last_To:]\nCall-ID: [call_id]\n\
         CSeq: {number} {method}\nMax-Forwards: 70\n{headers}Content-Length: [len]\n\n{body}]]></send>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::read_summaries;

    #[test]
    fn what_notifications_said_is_read_from_what_sipp_wrote_down() {
        let messages = "NOTIFY sip:a SIP/2.0\r\n\r\nMessages-Waiting: yes\r\nVoice-Message: 1/0 (0/0)\r\n\r\n-----\nSIP/2.0 200 OK\n";
        assert_eq!(read_summaries(messages), ["Messages-Waiting: yes\nVoice-Message: 1/0 (0/0)"]);
    }
}
