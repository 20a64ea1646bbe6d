//! The mailbox that an owner has opened, and the token that opens it.
//!
//! A token lasts ten minutes and calls up to an hour: it is renewed while the call goes on, and nobody waits for that. What can
//! go wrong: the core is away (tried again), or renews it no more; then what the token opens is refused from some time on.

use crate::core::{CoreError, Open, Voicemail};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use voicemail_api::ErrorClass;

/// How often a token is renewed, and when the core couldn't be asked.
const EVERY: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_secs(30);

/// An opened mailbox, and the renewal of its token.
#[derive(Default)]
pub(super) struct Session {
    open: Option<Open>,
    /// None once it is renewed no more.
    renew_at: Option<Instant>,
    renewal: JoinSet<Result<Open, CoreError>>,
}

impl Session {
    /// A PIN has given a token.
    pub(super) fn begin(&mut self, open: Open) {
        self.renewal.abort_all();
        (self.open, self.renew_at) = (Some(open), Some(Instant::now() + EVERY));
    }

    /// The mailbox that is open now.
    pub(super) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Renews the token in time, for ever. May be dropped and begun again.
    pub(super) async fn keep(&mut self, voicemail: &Arc<dyn Voicemail>) -> Infallible {
        loop {
            let renew_at = self.renew_at;
            let due = async move {
                match renew_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(Ok(renewed)) = self.renewal.join_next() => self.take(renewed),
                () = due => self.ask(voicemail),
            }
        }
    }

    fn ask(&mut self, voicemail: &Arc<dyn Voicemail>) {
        self.renew_at = None;
        let (Some(open), voicemail) = (self.open.clone(), Arc::clone(voicemail)) else { return };
        self.renewal.spawn(async move {
            let token = voicemail.renew(&open).await?;
            Ok(Open { token, ..open })
        });
    }

    fn take(&mut self, renewed: Result<Open, CoreError>) {
        match renewed {
            Ok(open) => self.begin(open),
            Err(error)
                if error.class() == ErrorClass::Transient
                    && !matches!(error, CoreError::Refused { status: 403 }) =>
            {
                tracing::warn!(%error, "an owner's token couldn't be renewed yet");
                self.renew_at = Some(Instant::now() + AGAIN);
            }
            Err(error) => tracing::warn!(%error, "an owner's token is renewed no more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::MemoryCore;

    fn open(token: &str) -> Open {
        Open { mailbox: "1001".into(), token: token.into() }
    }

    async fn pass(session: &mut Session, core: &Arc<dyn Voicemail>, seconds: u64) {
        // In pieces, as events of the call interrupt it.
        for _ in 0..seconds {
            let kept = tokio::time::timeout(Duration::from_secs(1), session.keep(core)).await;
            assert!(kept.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_of_an_hour_has_a_fresh_token_at_any_time() {
        let memory = Arc::new(MemoryCore::default());
        let core: Arc<dyn Voicemail> = memory.clone();
        let mut session = Session::default();
        pass(&mut session, &core, 400).await;
        assert!(session.open().is_none());
        session.begin(open("t"));
        for minutes in 1..=60 {
            pass(&mut session, &core, 60).await;
            let renewals = session.open().unwrap().token.matches('+').count();
            assert!(renewals * 5 + 6 > minutes, "{renewals} renewals in {minutes} minutes");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_core_that_is_away_is_asked_again_and_one_that_refuses_is_not() {
        let memory = Arc::new(MemoryCore::default());
        let core: Arc<dyn Voicemail> = memory.clone();
        let mut session = Session::default();
        session.begin(open("t"));
        memory.fail(Some(CoreError::Away(String::new())));
        pass(&mut session, &core, 320).await;
        memory.fail(None);
        pass(&mut session, &core, 40).await;
        assert_eq!(session.open().unwrap().token, "t+");
        memory.fail(Some(CoreError::Refused { status: 403 }));
        pass(&mut session, &core, 320).await;
        memory.fail(None);
        pass(&mut session, &core, 700).await;
        assert_eq!(session.open().unwrap().token, "t+");
    }
}
