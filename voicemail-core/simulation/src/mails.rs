//! Mails about new messages, played like everything else: replicas take turns, die and freeze between any two calls, and the mail
//! server loses mails and answers, while messages are heard, deleted, forgotten and brought back.
//!
//! What must hold: whoever is owed a mail gets it in the end; nothing is sent about a message that was heard, deleted or forgotten
//! before the last look; mails about a mailbox come in the order of its messages; and an erasure's run names no fewer mails
//! than went out about what it erased.

mod book;

use super::play::seeds;
use super::scheduler::{CRUEL, Fate, KIND, Scheduler, complete, leave};
use super::tenant::{BOXES, Replica, Tenant, body, mailbox, recording};
use super::world::SimWorld;
use book::Book;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use voicemail_api::gdpr::RunState;
use voicemail_email::{Mail, SmtpError, Step};
use voicemail_engine::mailbox::DepositRequest;
use voicemail_mailer::{Carrier, Unsent, testing::take_turn};
use voicemail_model::clock::Surroundings;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{CallerId, EmailChoice, MessageChange, MessageId, MessageState, User, UserId};

const READERS: [&str; 2] = ["ann", "ben"];
const BOX: &str = BOXES[0];
const MOST_TASKS: usize = 8;
const MOST_MESSAGES: usize = 30;

/// A mail server that loses mails and answers as the scheduler says, and now and then defers.
struct Postman {
    book: Arc<Mutex<Book>>,
    world: SimWorld,
    defers: f64,
    /// No answer ever arrives.
    mute: bool,
}

impl Carrier for Postman {
    fn carry<'a>(&'a mut self, mail: &'a Mail) -> BoxFuture<'a, Result<(), Unsent>> {
        async move {
            let asked = self.book.lock().unwrap().asked(mail);
            let fate = leave().await;
            let (defers, unclear) = self.world.dice(|dice| (dice.chance(self.defers), dice.chance(0.5)));
            let taken = || self.book.lock().unwrap().taken(&asked, self.world.now());
            let lost = || {
                taken();
                Err(Unsent { why: SmtpError::TimedOut(Step::Content), perhaps: true })
            };
            match fate {
                Fate::Drop => Err(Unsent { why: SmtpError::Unreachable, perhaps: unclear }),
                // The server has the mail; its answer is lost, or comes when nobody waits for it.
                Fate::LoseReply { .. } | Fate::HoldUp => lost(),
                Fate::Apply if self.mute => lost(),
                Fate::Apply if defers => {
                    Err(Unsent { why: SmtpError::Deferred(Step::Recipient, 450), perhaps: false })
                }
                Fate::Apply => {
                    taken();
                    Ok(())
                }
            }
        }
        .boxed()
    }
}

struct Play {
    tenant: Tenant,
    scheduler: Scheduler,
    book: Arc<Mutex<Book>>,
    common: Replica,
    cruel: bool,
}

impl Play {
    fn on(tenant: Tenant, cruel: bool) -> Self {
        let (scheduler, common) = (Scheduler::new(tenant.world.clone()), tenant.replica(0));
        let mut play = Self { scheduler, common, tenant, cruel, book: Arc::default() };
        play.provision();
        play
    }

    /// Readers, of whom one has messages wait for each other.
    fn provision(&mut self) {
        for (name, wait) in READERS.into_iter().zip([None, Some(10)]) {
            let directory = self.common.directory.clone();
            let user = User {
                mailboxes: vec![mailbox(BOX)],
                email: Some(format!("{name}@example.com").parse().unwrap()),
                ..User::default()
            };
            self.scheduler.spawn("provision", async move {
                let id: UserId = name.parse().unwrap();
                directory.put_user(&id, user).await.unwrap();
                let choice = EmailChoice { digest_minutes: wait, ..EmailChoice::default() };
                directory.choose_email(&id, |_| Some(choice.clone())).await.unwrap();
            });
        }
        self.scheduler.finish_all(100_000);
        // Mails are owed about messages since then, by clocks that differ.
        self.tenant.world.advance(Duration::from_secs(10));
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut super::world::Dice) -> T) -> T {
        self.tenant.world.dice(draw)
    }

    fn play(mut self) -> Result<(), String> {
        self.scheduler.cruelty = if self.cruel { CRUEL } else { KIND };
        // Where nothing is to fail, a turn ends before its time has run out.
        let pauses: &[f64] = if self.cruel { &[0.02, 0.5, 20.0, 400.0] } else { &[0.02, 0.5] };
        for _ in 0..self.draw(|dice| 150 + dice.below(450)) {
            let seconds = self.draw(|dice| dice.pick(pauses) * dice.unit());
            self.tenant.world.advance(Duration::from_secs_f64(seconds));
            if self.scheduler.tasks.len() < MOST_TASKS && self.draw(|dice| dice.chance(0.25)) {
                self.begin_something();
            }
            self.scheduler.step();
        }
        self.end()
    }

    fn end(mut self) -> Result<(), String> {
        self.quieten();
        let book = self.book.lock().unwrap();
        book.check(&self.tenant.index(BOX), &READERS, |case| self.tenant.run(case), !self.cruel)
    }

    /// A kind server, sweepers and turns alone, for some days.
    fn quieten(&mut self) {
        self.scheduler.cruelty = KIND;
        self.scheduler.finish_all(1_000_000);
        for _ in 0..40 {
            self.tenant.world.advance(Duration::from_secs(3_600));
            let replica = self.tenant.replica(0);
            self.scheduler.spawn("sweep", async move { replica.sweep().await });
            self.begin_turn(0.0);
            self.scheduler.finish_all(1_000_000);
        }
    }

    fn replica(&self) -> Replica {
        let (own, skew) = self.draw(|dice| (dice.chance(0.7), dice.below(3_000) as i64 - 1_500));
        if own { self.tenant.replica(skew) } else { self.common.clone() }
    }

    fn begin_something(&mut self) {
        match self.draw(super::world::Dice::unit) {
            x if x < 0.30 => self.begin_deposit(),
            x if x < 0.40 => self.begin_change(),
            x if x < 0.52 => self.begin_forget(),
            x if x < 0.57 => self.begin_undo(),
            x if x < 0.62 => self.begin_sweep(),
            _ => self.begin_turn(0.1),
        }
    }

    fn begin_deposit(&mut self) {
        let Some(number) = self.book.lock().unwrap().new_message(MOST_MESSAGES) else { return };
        let (replica, book) = (self.replica(), Arc::clone(&self.book));
        let id = replica.mailboxes.new_id();
        self.scheduler.spawn(format!("deposit {number}"), async move {
            deposit(&replica, &book, number, id).await;
        });
    }

    /// An acknowledged message of which nobody has done anything yet.
    fn untouched(&self) -> Option<usize> {
        let open = self.book.lock().unwrap().untouched();
        (!open.is_empty()).then(|| open[self.draw(|dice| dice.below(open.len()))])
    }

    /// Somebody hears a message, or puts it into the trash.
    fn begin_change(&mut self) {
        let Some(number) = self.untouched() else { return };
        let id = self.book.lock().unwrap().touch(number);
        let (replica, book, hears) =
            (self.replica(), Arc::clone(&self.book), self.draw(|dice| dice.chance(0.5)));
        self.scheduler.spawn(format!("change {number}"), async move {
            let read = MessageChange { state: Some(MessageState::Read), ..MessageChange::default() };
            let changed = match hears {
                true => replica.mailboxes.change(&mailbox(BOX), id, read, None).await.map(drop),
                false => replica.mailboxes.trash(&mailbox(BOX), id).await.map(drop),
            };
            if changed.is_ok() {
                book.lock().unwrap().gone(number);
            }
        });
    }

    fn begin_forget(&mut self) {
        let Some(number) = self.untouched() else { return };
        let window = self.draw(|dice| dice.pick(&[5, 60, 600, 3 * 3_600]));
        let case = self.book.lock().unwrap().begin_case(number);
        let (replica, book) = (self.replica(), Arc::clone(&self.book));
        self.scheduler.spawn(format!("forget {case}"), async move {
            let asked = body(&case, Some(&book::caller(number)), window);
            let answer = replica.gdpr.forget(asked).await;
            if answer.is_ok_and(|answer| answer.run.state == RunState::Marked) {
                book.lock().unwrap().gone(number);
            }
        });
    }

    fn begin_undo(&mut self) {
        let cases = self.book.lock().unwrap().open_cases();
        if cases.is_empty() {
            return;
        }
        let case = cases[self.draw(|dice| dice.below(cases.len()))].clone();
        self.book.lock().unwrap().undo(&case);
        let replica = self.replica();
        self.scheduler.spawn(format!("undo {case}"), async move {
            // Refused or cut off: the case goes on, which the end shows.
            let _ = replica.gdpr.undo(body(&case, None, 0)).await;
        });
    }

    fn begin_sweep(&mut self) {
        let replica = self.replica();
        self.scheduler.spawn("sweep", async move { replica.sweep().await });
    }

    fn postman(&self) -> Postman {
        let (book, world) = (Arc::clone(&self.book), self.tenant.world.clone());
        Postman { book, world, defers: 0.0, mute: false }
    }

    fn begin_turn(&mut self, defers: f64) {
        let replica = self.replica();
        // A process takes one turn after the other; turns at the same time are of different ones.
        let holder = self.draw(super::world::Dice::next).to_string();
        let mut postman = Postman { defers, ..self.postman() };
        self.scheduler.spawn("turn", async move {
            take_turn(&replica, &mut postman, &holder, &mailbox(BOX)).await;
        });
    }
}

async fn deposit(replica: &Replica, book: &Mutex<Book>, number: usize, id: MessageId) {
    let request = DepositRequest {
        mailbox: mailbox(BOX),
        id,
        caller: CallerId::new(&book::caller(number)),
        caller_name: Some(book::name(number)),
        urgent: false,
        left: None,
    };
    let Ok(admitted) = replica.mailboxes.admit(request).await else { return };
    if replica.mailboxes.deposit(admitted, recording(1)).await.is_ok() {
        book.lock().unwrap().acknowledge(number, id);
    }
}

/// The server takes a mail and its answer is lost; then the caller is forgotten.
fn lost_answer() -> Result<(), String> {
    let play = Play::on(Tenant::new(7), true);
    let (world, book, replica) = (play.tenant.world.clone(), Arc::clone(&play.book), play.common.clone());
    let mut postman = Postman { mute: true, ..play.postman() };
    complete(&world, async move {
        let number = book.lock().unwrap().new_message(1).unwrap();
        deposit(&replica, &book, number, replica.mailboxes.new_id()).await;
        take_turn(&replica, &mut postman, "one", &mailbox(BOX)).await;
        let case = book.lock().unwrap().begin_case(number);
        replica.gdpr.forget(body(&case, Some(&book::caller(number)), 5)).await.unwrap();
    });
    play.end()
}

#[test]
fn an_erasure_names_a_mail_whose_answer_was_lost() {
    assert_eq!(lost_answer(), Ok(()));
    fault_injection::switch(Some(Broken::MailNotDoubted));
    let noticed = lost_answer();
    fault_injection::switch(None);
    assert!(noticed.is_err_and(|violation| violation.contains("mails went out")));
}

fn play(seed: u64, cruel: bool) -> Result<(), String> {
    Play::on(Tenant::new(seed), cruel).play()
}

fn failures(cruel: bool, seeds: std::ops::Range<u64>) -> Vec<(u64, String)> {
    seeds.filter_map(|seed| play(seed, cruel).err().map(|violation| (seed, violation))).collect()
}

#[test]
fn mails_come_in_order_and_once_where_nothing_fails() {
    let failed = failures(false, seeds(0..20));
    assert!(failed.is_empty(), "replay with SEED=n: {failed:#?}");
}

#[test]
fn mails_come_in_order_and_erasures_name_them_in_random_schedules() {
    let failed = failures(true, seeds(0..60));
    assert!(failed.is_empty(), "replay with SEED=n: {failed:#?}");
}

fn assert_caught(mistake: Broken, words: &str) {
    fault_injection::switch(Some(mistake));
    let found = (0..400).find_map(|seed| play(seed, true).err().map(|violation| (seed, violation)));
    fault_injection::switch(None);
    assert!(found.as_ref().is_some_and(|(_, violation)| violation.contains(words)), "{mistake:?}: {found:?}");
}

#[test]
fn random_schedules_find_mails_that_are_not_noted_before_they_are_sent() {
    assert_caught(Broken::MailNotNoted, "mails went out");
}

#[test]
fn random_schedules_find_a_mail_about_what_was_heard_or_forgotten() {
    assert_caught(Broken::MailWithoutLook, "gone before");
}
