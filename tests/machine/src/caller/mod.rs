//! Many telephones in one: it calls, speaks 50 packets a second in each call, and subscribes to MWI; whoever it calls, all is sent from
//! one socket of SIP and one of audio. Nothing is sent twice: what gets lost on loopback shows as a call that failed.

mod voice;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

pub use voice::Voice;

const PATIENCE: Duration = Duration::from_secs(10);

/// A message and when it came.
#[derive(Debug)]
pub struct Message {
    /// All of it.
    pub text: String,
    /// When.
    pub at: Instant,
}

/// Messages of a dialogue, in the order in which they come.
pub type Inbox = mpsc::UnboundedReceiver<Message>;
type Dialogues = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Message>>>>;

/// The telephones, before one peer.
pub struct Caller {
    sip: Arc<UdpSocket>,
    peer: SocketAddr,
    dialogues: Dialogues,
    /// Their audio.
    pub voice: Arc<Voice>,
    number: AtomicU64,
}

/// A call in progress.
pub struct Call {
    id: String,
    to: String,
    contact: String,
    inbox: Inbox,
    /// From INVITE to 200.
    pub answered: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of a header.
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &&'a str| {
        line.split_once(':').is_some_and(|(found, _)| found.trim().eq_ignore_ascii_case(name))
    };
    Some(text.lines().find(named)?.split_once(':')?.1.trim())
}

impl Caller {
    /// Telephones before that peer, on this machine.
    pub async fn open(peer: SocketAddr) -> Result<Self> {
        let sip = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let dialogues = Dialogues::default();
        tokio::spawn(read(sip.clone(), dialogues.clone()));
        Ok(Self { sip, peer, dialogues, voice: Voice::open()?, number: AtomicU64::new(1) })
    }

    /// Calls a number and begins to speak.
    pub async fn call(&self, number: &str) -> Result<Call> {
        let (id, mut inbox) = self.begin();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
            self.voice.port()
        );
        let uri = format!("sip:{number}@{}", self.peer);
        let began = Instant::now();
        self.send("INVITE", &uri, &id, &format!("<{uri}>"), 1, "Content-Type: application/sdp\r\n", &sdp)
            .await?;
        let answer = wait(&mut inbox, |text| !text.starts_with("SIP/2.0 1")).await.context("no answer")?;
        ensure!(answer.text.starts_with("SIP/2.0 200"), "{}", answer.text.lines().next().unwrap_or_default());
        let to = header(&answer.text, "To").context("no To")?.to_owned();
        let contact = header(&answer.text, "Contact").context("no Contact")?;
        let contact = contact.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
        self.send("ACK", &contact, &id, &to, 1, "", "").await?;
        let media = answer.text.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next());
        let port: u16 = media.context("no audio")?.parse()?;
        self.voice.speak(&id, SocketAddr::new(self.peer.ip(), port));
        Ok(Call { answered: answer.at - began, id, to, contact, inbox })
    }

    /// Hangs up; when the BYE went.
    pub async fn hang_up(&self, mut call: Call) -> Result<Instant> {
        self.voice.hush(&call.id);
        let at = Instant::now();
        self.send("BYE", &call.contact, &call.id, &call.to, 2, "", "").await?;
        wait(&mut call.inbox, |text| text.starts_with("SIP/2.0 200") && text.contains("2 BYE")).await?;
        lock(&self.dialogues).remove(&call.id);
        Ok(at)
    }

    /// Sends packets of silence from now on.
    pub fn fall_silent(&self, call: &Call) {
        self.voice.fall_silent(&call.id);
    }

    /// Presses a key so many times, each of one packet, as fast as they can be sent.
    pub fn storm(&self, call: &Call, presses: u32) -> Result<()> {
        self.voice.storm(&call.id, presses)
    }

    /// Waits until the peer hangs up, for so long; its BYE.
    pub async fn ended(&self, call: &mut Call, patience: Duration) -> Result<Message> {
        let bye = wait_for(&mut call.inbox, |text| text.starts_with("BYE"), patience).await;
        self.voice.hush(&call.id);
        bye.context("no BYE")
    }

    /// Subscribes to a mailbox's MWI; what comes of it.
    pub async fn subscribe(&self, mailbox: &str) -> Result<Inbox> {
        let (id, mut inbox) = self.begin();
        let uri = format!("sip:{mailbox}@{}", self.peer);
        let headers = "Event: message-summary\r\nExpires: 3600\r\n";
        self.send("SUBSCRIBE", &uri, &id, &format!("<{uri}>"), 1, headers, "").await?;
        wait(&mut inbox, |text| text.starts_with("NOTIFY")).await.context("no first NOTIFY")?;
        Ok(inbox)
    }

    fn begin(&self) -> (String, Inbox) {
        let id = format!("{}-{}", self.voice.port(), self.number.fetch_add(1, Ordering::Relaxed));
        let (into, inbox) = mpsc::unbounded_channel();
        lock(&self.dialogues).insert(id.clone(), into);
        (id, inbox)
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a request")]
    async fn send(
        &self,
        method: &str,
        uri: &str,
        id: &str,
        to: &str,
        count: u32,
        headers: &str,
        body: &str,
    ) -> Result<()> {
        let own = self.sip.local_addr()?;
        let user = uri.trim_start_matches("sip:").split('@').next().unwrap_or_default();
        // A phone watches its own mailbox.
        let from = if method == "SUBSCRIBE" { user } else { "+442079460001" };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id}-{method}\r\n\
             From: <sip:{from}@{own}>;tag={id}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {count} {method}\r\n\
             Contact: <sip:{from}@{own}>\r\nMax-Forwards: 70\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send_to(text.as_bytes(), self.peer).await?;
        Ok(())
    }
}

/// Waits for such a message.
pub async fn wait(inbox: &mut Inbox, is_it: impl Fn(&str) -> bool) -> Result<Message> {
    wait_for(inbox, is_it, PATIENCE).await
}

async fn wait_for(inbox: &mut Inbox, is_it: impl Fn(&str) -> bool, patience: Duration) -> Result<Message> {
    let found = async {
        while let Some(message) = inbox.recv().await {
            if is_it(&message.text) {
                return Ok(message);
            }
        }
        anyhow::bail!("nobody reads any more")
    };
    tokio::time::timeout(patience, found).await.with_context(|| format!("nothing came in {patience:?}"))?
}

/// Hands each message to its dialogue, and answers requests.
async fn read(sip: Arc<UdpSocket>, dialogues: Dialogues) {
    let mut bytes = vec![0; 65_536];
    while let Ok((length, from)) = sip.recv_from(&mut bytes).await {
        let at = Instant::now();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if !text.starts_with("SIP/2.0") && !text.starts_with("ACK") {
            let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            let lines = text.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
            let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
            let answer = format!("SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
            let _ = sip.send_to(answer.as_bytes(), from).await;
        }
        let into = header(&text, "Call-ID").and_then(|id| lock(&dialogues).get(id).cloned());
        if let Some(into) = into {
            let _ = into.send(Message { text, at });
        }
    }
}
