//! Deposits that run while something happens to the system, and what was promised about each.
//!
//! Flow: [`Deposits::start`] has some clients leave messages one after the other, each repeated under its key until it
//! is acknowledged; [`Deposits::stop`] ends them and returns what was acknowledged; [`check_promises`] plays it all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use tokio::task::JoinHandle;
use voicemail_model::MessageId;

use super::{Api, Deposit};

/// A message is given up after that time.
const PATIENCE: Duration = Duration::from_secs(150);

/// A message that was acknowledged.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Where it is.
    pub mailbox: String,
    /// Its id.
    pub id: MessageId,
    /// The deposited recording.
    pub audio: Bytes,
}

/// Observations of the clients.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The acknowledged messages.
    pub promises: Vec<Promise>,
    /// Attempts that failed and were repeated.
    pub failed: u32,
    /// The longest time from a message's first attempt to its acknowledgement.
    pub longest: Duration,
}

/// Clients that leave messages until they are told to stop.
#[derive(Debug)]
pub struct Deposits {
    clients: Vec<JoinHandle<Result<Report>>>,
    acknowledged: Arc<AtomicU32>,
    over: Arc<AtomicBool>,
}

impl Deposits {
    /// So many clients, each with one message at a time in this mailbox and at most so many in all.
    pub fn start(caller: &Api, mailbox: &str, audio: &Bytes, clients: usize, at_most: usize) -> Self {
        let (acknowledged, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |number: usize| {
            let (caller, mailbox, audio) = (caller.clone(), mailbox.to_owned(), audio.clone());
            let (acknowledged, over) = (Arc::clone(&acknowledged), Arc::clone(&over));
            tokio::spawn(async move {
                let mut report = Report::default();
                while !over.load(Ordering::SeqCst) && report.promises.len() < at_most {
                    let spoken = Deposit::new(&mailbox, &number_of(number), &audio);
                    deposit_until_acknowledged(&caller, spoken, PATIENCE, &mut report).await?;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                    // As callers do: they don't all speak at once.
                    voicemail_store::real_world().back_off(9).await;
                }
                Ok(report)
            })
        };
        Self { clients: (0..clients).map(client).collect(), acknowledged, over }
    }

    /// How many messages have been acknowledged so far.
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until so many more have been acknowledged.
    pub async fn wait_for_more(&self, count: u32) -> Result<()> {
        let (wanted, end, world) =
            (self.acknowledged() + count, Instant::now() + PATIENCE, voicemail_store::real_world());
        while self.acknowledged() < wanted {
            ensure!(Instant::now() < end, "only {} of {wanted} messages in time", self.acknowledged());
            world.back_off(4).await;
        }
        Ok(())
    }

    /// Lets messages under way end and returns what was seen.
    pub async fn stop(self) -> Result<Report> {
        self.over.store(true, Ordering::SeqCst);
        let mut all = Report::default();
        for report in try_join_all(self.clients).await? {
            let report = report?;
            all.promises.extend(report.promises);
            all.failed += report.failed;
            all.longest = all.longest.max(report.longest);
        }
        Ok(all)
    }
}

/// The caller's number of a client.
fn number_of(client: usize) -> String {
    format!("+4416329600{client:02}")
}

/// Repeats one message under its key until it is acknowledged, and notes that in the report; an error when that takes
/// longer than `patience`.
pub async fn deposit_until_acknowledged(
    caller: &Api,
    message: Deposit,
    patience: Duration,
    report: &mut Report,
) -> Result<()> {
    let (world, begin) = (voicemail_store::real_world(), Instant::now());
    let id = MessageId::new(world.now(), &world.random());
    let deposit = Deposit { key: Some(id), ..message };
    let answer = loop {
        match caller.deposit(&deposit).await {
            Ok(answer) => break answer,
            Err(error) => ensure!(begin.elapsed() < patience, "never acknowledged: {error:#}"),
        }
        report.failed += 1;
        world.back_off(7).await;
    };
    ensure!(answer.id == id, "the message is called {} instead of {id}", answer.id);
    report.longest = report.longest.max(begin.elapsed());
    report.promises.push(Promise { mailbox: deposit.mailbox, id, audio: deposit.audio });
    Ok(())
}

/// Each promise is listed and plays the bytes that were deposited.
pub async fn check_promises(agent: &Api, promises: &[Promise]) -> Result<()> {
    let mailboxes: BTreeSet<&str> = promises.iter().map(|promise| promise.mailbox.as_str()).collect();
    for mailbox in mailboxes {
        let listed: BTreeSet<MessageId> =
            agent.list(mailbox).await?.into_iter().map(|message| message.id).collect();
        for promise in promises.iter().filter(|promise| promise.mailbox == mailbox) {
            ensure!(listed.contains(&promise.id), "{} was acknowledged and isn't listed", promise.id);
            let audio = agent.audio(mailbox, promise.id).await?;
            ensure!(audio == promise.audio, "{} plays other bytes", promise.id);
        }
    }
    Ok(())
}
