//! What the telephone side takes: `cargo bench -p voicemail-tests --bench telephone`, `CALLS=100,200` for other numbers of calls at once.
//!
//! The same telephones call `voicemail-sip`, before a real core on a volume, Asterisk, which records them, too, and sipp as a bare peer that
//! answers and echoes, in turn and in one run, at rising numbers of calls at once: they set up a hundred calls a second, speak for ten
//! seconds, and hang up as fast. Told are INVITE to 200, processor and memory of the process, and packets that are missing in what it recorded, each beside
//! the others'. Before that messages are left one by one: BYE to NOTIFY, beside the same deposit by HTTP. Figures of a shared machine are compared, never judged: the
//! bench fails only if a call of ours does, or a message is lost. Asterisk comes from Debian unstable, and takes root: where it can't be
//! had, or fails, the bench says so, and goes on without it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tokio::process::{Child, Command};
use voicemail_test_machine::caller::{Call, Caller, wait};
use voicemail_test_machine::cargo::build_optimised;
use voicemail_test_machine::debian::ensure_program;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::process_facts::{memory, processor};
use voicemail_test_machine::servers::asterisk::{Asterisk, ensure_root, version};
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};
use voicemail_test_machine::servers::{find_free_port, loopback};
use voicemail_test_machine::speech::wav_of;

/// So many that none gets full: it holds thirty messages.
const MAILBOXES: usize = 400;
const ROUNDS: usize = 6;
const BETWEEN_CALLS: Duration = Duration::from_millis(10);
/// Of a packet.
const SAMPLES: u64 = 160;
const SPEAKS: Duration = Duration::from_secs(10);
/// A message of this length is kept.
const SHORT: Duration = Duration::from_millis(4_500);
const PATIENCE: Duration = Duration::from_secs(600);
const STARTS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    voicemail_test_machine::install_crypto();
    let given = std::env::var("CALLS").unwrap_or_else(|_| "50,100,200,400".into());
    let levels: Vec<usize> = given.split(',').map(str::parse).collect::<Result<_, _>>().context("CALLS")?;
    build_optimised(&[("voicemail-server", "voicemail"), ("voicemail-telephony", "voicemail-sip")])?;
    let core = VoicemailCore::start().await?;
    for number in 0..MAILBOXES {
        core.ask("root", Method::PUT, &format!("/mailboxes/{}", mailbox(number)), Some(json!({}))).await?;
    }
    let most = levels.iter().max().context("CALLS is empty")?;
    let sip = VoicemailSip::set_up(&core, Setup { calls: Some(*most), ..Setup::default() }).await?;
    let mut others = vec![start_bare().await?];
    others.extend(start_asterisk().await.inspect_err(|error| println!("without Asterisk: {error:#}")));
    measure_notify(&core, &sip).await?;
    let (address, pid) = (sip.sip(), sip.pid().context("it has ended")?);
    let ours = Peer { name: "voicemail-sip", address, pid, server: Server::Telephone(&sip) };
    for calls in levels {
        let bases = measure_others(&mut others, calls).await;
        let measured = measure(&ours, calls).await?;
        bases.iter().for_each(|(name, base)| measured.compare(calls, name, base));
    }
    let began = Instant::now();
    let emptied = async || {
        let metrics = sip.metrics().await?;
        ensure!(metrics.contains("voicemail_sip_spool_files 0"), "recordings still wait");
        Ok(())
    };
    poll(PATIENCE, emptied).await?;
    println!("all recordings were at the core {:.1?} after the last call", began.elapsed());
    Ok(())
}

fn mailbox(number: usize) -> String {
    (2_000 + number % MAILBOXES).to_string()
}

/// sipp that answers each call at once and sends back what it hears.
async fn start_bare() -> Result<Peer<'static>> {
    let (sip, media) = (find_free_port(loopback())?, find_free_port(loopback())?);
    let mut command = Command::new(ensure_program("sip-tester", "sipp")?);
    command.args(["-sn", "uas", "-rtp_echo", "-nostdin", "-i", "127.0.0.1", "-mi", "127.0.0.1"]);
    command.args(["-p", &sip.port().to_string(), "-mp", &media.port().to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().context("cannot start sipp")?;
    let pid = child.id().context("sipp has ended")?;
    answers(sip).await?;
    Ok(Peer { name: "sipp", address: sip, pid, server: Server::Echo { _child: child } })
}

/// Asterisk that records each call.
async fn start_asterisk() -> Result<Peer<'static>> {
    let root = ensure_root()?;
    let asterisk = Asterisk::record(&root, Asterisk::free_address()?).await?;
    let (address, pid) = (asterisk.address(), asterisk.pid().context("Asterisk has ended")?);
    answers(address).await?;
    let recorded = async || {
        ensure!(asterisk.recorded()?.1 > 0, "it has recorded nothing: {}", asterisk.log());
        Ok(())
    };
    poll(STARTS_WITHIN, recorded).await?;
    println!("{}", version(&root)?);
    Ok(Peer { name: "Asterisk", address, pid, server: Server::Asterisk(asterisk) })
}

/// Waits until a call comes to its end.
async fn answers(address: SocketAddr) -> Result<()> {
    let caller = Caller::open(address).await?;
    let call = async || {
        let call = caller.call("1001").await?;
        tokio::time::sleep(BETWEEN_CALLS * 20).await;
        caller.hang_up(call).await
    };
    poll(STARTS_WITHIN, call).await.map(drop)
}

/// A program that the telephones call.
struct Peer<'a> {
    name: &'static str,
    address: SocketAddr,
    pid: u32,
    server: Server<'a>,
}

/// The kind of a peer, and so the way in which it tells of packets that are missing.
enum Server<'a> {
    /// It keeps nothing.
    Echo { _child: Child },
    /// Its recordings have a byte for each sample.
    Asterisk(Asterisk),
    /// It counts gaps in the numbers of packets.
    Telephone(&'a VoicemailSip),
}

impl Server<'_> {
    /// Packets that are in recordings or, with a telephone, that are missing in them: of all calls, once they have ended.
    async fn count(&self) -> Result<u64> {
        match self {
            Self::Echo { .. } => Ok(0),
            Self::Asterisk(asterisk) => {
                poll(STARTS_WITHIN, async || asterisk.idle()).await?;
                Ok(asterisk.recorded()?.1 / SAMPLES)
            }
            Self::Telephone(sip) => lost(sip).await,
        }
    }

    /// Of packets that were sent since that count.
    async fn missing(&self, counted: u64, sent: u64) -> Result<Option<u64>> {
        let more = self.count().await?.saturating_sub(counted);
        Ok(match self {
            Self::Echo { .. } => None,
            Self::Asterisk(_) => Some(sent.saturating_sub(more)),
            Self::Telephone(_) => Some(more),
        })
    }
}

/// Measures them one after the other; who fails is told, and left out from then on.
async fn measure_others(others: &mut Vec<Peer<'static>>, calls: usize) -> Vec<(&'static str, Measured)> {
    let mut found = Vec::new();
    for peer in std::mem::take(others) {
        match measure(&peer, calls).await {
            Ok(measured) => {
                found.push((peer.name, measured));
                others.push(peer);
            }
            Err(error) => println!(
                "{calls:>5} calls, {}: it failed, and is left out from here on: {error:#}",
                peer.name
            ),
        }
    }
    found
}

struct Measured {
    /// The median and the 99th of INVITE to 200, in milliseconds.
    answered: (f64, f64),
    /// Share of one processor.
    processor: f64,
    /// KiB a call.
    memory: u64,
    /// Packets that its recordings lack, and those that were sent.
    missing: (Option<u64>, u64),
}

impl Measured {
    /// Prints how many times another one's it takes.
    fn compare(&self, calls: usize, name: &str, base: &Self) {
        println!(
            "{calls:>5} calls, beside {name}: INVITE to 200 median ×{:.2}, 99th ×{:.2}; processor ×{:.2}; memory a call ×{:.2}; packets \
             missing {} beside {}",
            self.answered.0 / base.answered.0,
            self.answered.1 / base.answered.1,
            self.processor / base.processor,
            self.memory as f64 / base.memory.max(1) as f64,
            self.missing(),
            base.missing(),
        );
    }

    fn missing(&self) -> String {
        let (missing, sent) = self.missing;
        missing.map_or("(nothing is kept)".into(), |missing| format!("{missing} of {sent}"))
    }
}

async fn measure(peer: &Peer<'_>, calls: usize) -> Result<Measured> {
    let (name, pid) = (peer.name, peer.pid);
    let caller = Arc::new(Caller::open(peer.address).await?);
    let (idle, counted) = (memory(pid)?, peer.server.count().await?);
    let begun = paced((0..calls).map(|number| {
        let caller = caller.clone();
        async move { caller.call(&mailbox(number)).await }
    }))
    .await?;
    caller.voice.take_lateness();
    let ((sent, heard), used, began) = (caller.voice.counts(), processor(pid)?, Instant::now());
    tokio::time::sleep(SPEAKS).await;
    let (now_sent, now_heard) = caller.voice.counts();
    let busy = (processor(pid)? - used).as_secs_f64() / began.elapsed().as_secs_f64();
    let each = memory(pid)?.saturating_sub(idle) / calls.max(1) as u64;
    let late = caller.voice.take_lateness();
    let answered: Vec<f64> = begun.iter().map(|call| call.answered.as_secs_f64() * 1_000.0).collect();
    paced(begun.into_iter().map(|call: Call| {
        let caller = caller.clone();
        async move { caller.hang_up(call).await }
    }))
    .await?;
    let all = caller.voice.counts().0;
    let measured = Measured {
        answered: (quantile(&answered, 0.5), quantile(&answered, 0.99)),
        processor: busy,
        memory: each,
        missing: (peer.server.missing(counted, all).await?, all),
    };
    println!(
        "{calls:>5} calls, {name}: INVITE to 200 median {:.1} ms, 99th {:.1} ms; {:.1} % of a processor, {:.3} % a call; \
         {each} KiB a call; {} packets out and {} in; a round of ours was {late:.1?} late at most; packets \
         missing: {}",
        measured.answered.0,
        measured.answered.1,
        busy * 100.0,
        busy * 100.0 / calls as f64,
        now_sent - sent,
        now_heard - heard,
        measured.missing(),
    );
    Ok(measured)
}

/// One after another, a hundred a second; their results.
async fn paced<T: Send + 'static>(
    works: impl Iterator<Item = impl Future<Output = Result<T>> + Send + 'static>,
) -> Result<Vec<T>> {
    let mut begun = Vec::new();
    let mut pace = tokio::time::interval(BETWEEN_CALLS);
    for work in works {
        pace.tick().await;
        begun.push(tokio::spawn(work));
    }
    let mut done = Vec::new();
    for task in begun {
        done.push(task.await??);
    }
    Ok(done)
}

/// Messages one by one in each mailbox, and what its phone is told; then the same by HTTP.
async fn measure_notify(core: &VoicemailCore, sip: &VoicemailSip) -> Result<()> {
    let caller = Caller::open(sip.sip()).await?;
    let (mut told, mut deposited) = (Vec::new(), Vec::new());
    // Four seconds.
    let wav = wav_of(&(0..32_000_u32).map(|at| (at % 96) as u8).collect::<Vec<_>>());
    for round in 0..ROUNDS {
        for number in [350, 360, 370] {
            let mut phone = caller.subscribe(&mailbox(number)).await?;
            let call = caller.call(&mailbox(number)).await?;
            tokio::time::sleep(SHORT).await;
            let bye = caller.hang_up(call).await?;
            let notify = wait(&mut phone, |text| text.starts_with("NOTIFY")).await.context("no NOTIFY")?;
            told.push((notify.at - bye).as_secs_f64() * 1_000.0);
            let began = Instant::now();
            core.deposit(&mailbox(number + round % 3), "+442079460001", "Bob", wav.clone()).await?;
            deposited.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    let (median, last) = (quantile(&told, 0.5), quantile(&told, 0.99));
    println!(
        "BYE to NOTIFY: median {median:.1} ms, 99th {last:.1} ms of {}; a deposit by HTTP median {:.1} ms, 99th {:.1} ms: ×{:.2} \
         and ×{:.2}",
        told.len(),
        quantile(&deposited, 0.5),
        quantile(&deposited, 0.99),
        median / quantile(&deposited, 0.5),
        last / quantile(&deposited, 0.99),
    );
    Ok(())
}

async fn lost(sip: &VoicemailSip) -> Result<u64> {
    let metrics = sip.metrics().await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("voicemail_sip_rtp_lost_total "));
    line.context("no count of packets")?.parse().context("no count of packets")
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or_default()
}
