//! The life of one subscription: its state at once, then each change, at most one a second; renewals; the end.

use super::summary::{State, summary};
use crate::signalling::Subscriber;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use voicemail_api::telephony::Counts;

/// Between two notifications (RFC 3842, 3.7).
const APART: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time was over, or the subscriber ended it.
    TimedOut,
    /// This process ends.
    Deactivated,
    /// The subscriber is gone, or knows nothing of it.
    Gone,
}

impl Ended {
    /// For metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TimedOut => "expired",
            Self::Deactivated => "deactivated",
            Self::Gone => "gone",
        }
    }
}

/// Serves it to its end. Its time is zero for one who only asks once.
pub async fn serve(
    mut subscriber: Box<dyn Subscriber>,
    time: Duration,
    account: &str,
    mut counts: watch::Receiver<Option<Counts>>,
    mut draining: watch::Receiver<bool>,
    count: impl Fn(&'static str),
) -> Ended {
    if subscriber.accept().await.is_err() {
        return Ended::Gone;
    }
    let mut until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let state = match (left.is_zero(), *draining.borrow()) {
            (true, _) => State::TimedOut,
            (_, true) => State::Deactivated,
            _ => State::Active(left),
        };
        let body = summary(account, counts.borrow_and_update().unwrap_or_default());
        if subscriber.notify(&state.header(), &body).await.is_err() {
            count("failed");
            return Ended::Gone;
        }
        count("sent");
        match state {
            State::TimedOut => return Ended::TimedOut,
            State::Deactivated => return Ended::Deactivated,
            State::Active(_) => {}
        }
        let next = Instant::now() + APART;
        tokio::select! {
            renewed = subscriber.renewed() => match renewed {
                Some(time) => until = Instant::now() + time,
                None => return Ended::Gone,
            },
            () = changed(&mut counts, next) => {}
            () = tokio::time::sleep_until(until) => {}
            Ok(_) = draining.wait_for(|draining| *draining) => {}
        }
    }
}

/// Waits for a change, and until one may be told.
async fn changed(counts: &mut watch::Receiver<Option<Counts>>, next: Instant) {
    if counts.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(next).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signalling::SipError;
    use async_trait::async_trait;
    use tokio::sync::mpsc;

    struct Phone {
        told: mpsc::UnboundedSender<String>,
        renewals: mpsc::UnboundedReceiver<Duration>,
        gone: bool,
    }

    #[async_trait]
    impl Subscriber for Phone {
        async fn accept(&mut self) -> Result<(), SipError> {
            Ok(())
        }

        async fn refuse(self: Box<Self>, _: u16) {}

        async fn notify(&mut self, state: &str, body: &str) -> Result<(), SipError> {
            let line = body.lines().last().unwrap();
            self.told.send(format!("{state} {line}")).unwrap();
            if self.gone { Err(SipError::Over) } else { Ok(()) }
        }

        async fn renewed(&mut self) -> Option<Duration> {
            self.renewals.recv().await
        }
    }

    struct Scene {
        told: mpsc::UnboundedReceiver<String>,
        renew: mpsc::UnboundedSender<Duration>,
        counts: watch::Sender<Option<Counts>>,
        drain: watch::Sender<bool>,
        task: tokio::task::JoinHandle<Ended>,
    }

    fn open(seconds: u64, gone: bool) -> Scene {
        let (told_by, told) = mpsc::unbounded_channel();
        let (renew, renewals) = mpsc::unbounded_channel();
        let (counts, watched) = watch::channel(Some(Counts::default()));
        let (drain, draining) = watch::channel(false);
        let phone = Box::new(Phone { told: told_by, renewals, gone });
        let time = Duration::from_secs(seconds);
        let task =
            tokio::spawn(async move { serve(phone, time, "sip:a@b", watched, draining, |_| ()).await });
        Scene { told, renew, counts, drain, task }
    }

    fn new(count: u32) -> Option<Counts> {
        Some(Counts { new: count, ..Counts::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn the_state_comes_at_once_and_changes_at_most_once_a_second() {
        let mut scene = open(60, false);
        assert_eq!(scene.told.recv().await.unwrap(), "active;expires=60 Voice-Message: 0/0 (0/0)");
        scene.counts.send(new(1)).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        scene.counts.send(new(2)).unwrap();
        assert_eq!(scene.told.recv().await.unwrap(), "active;expires=59 Voice-Message: 2/0 (0/0)");
        assert!(scene.told.try_recv().is_err());
        assert!(scene.told.recv().await.unwrap().starts_with("terminated;reason=timeout"));
        assert_eq!(scene.task.await.unwrap(), Ended::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_gets_the_state_again_and_nought_ends_it() {
        let mut scene = open(60, false);
        scene.told.recv().await.unwrap();
        scene.renew.send(Duration::from_secs(600)).unwrap();
        assert!(scene.told.recv().await.unwrap().starts_with("active;expires=600"));
        scene.renew.send(Duration::ZERO).unwrap();
        assert!(scene.told.recv().await.unwrap().starts_with("terminated;reason=timeout"));
        assert_eq!(scene.task.await.unwrap(), Ended::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_once_is_told_once() {
        let mut scene = open(0, false);
        assert!(scene.told.recv().await.unwrap().starts_with("terminated;reason=timeout"));
        assert_eq!(scene.task.await.unwrap(), Ended::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopping_process_sends_phones_elsewhere_and_a_phone_that_is_gone_ends_it() {
        let mut scene = open(60, false);
        scene.told.recv().await.unwrap();
        scene.drain.send(true).unwrap();
        assert!(scene.told.recv().await.unwrap().starts_with("terminated;reason=deactivated"));
        assert_eq!(scene.task.await.unwrap(), Ended::Deactivated);
        assert_eq!(open(60, true).task.await.unwrap(), Ended::Gone);
    }
}
