//! Whether a request that begins something comes from a user of its trunk, where the trunk has users.
//!
//! Requests within a dialogue aren't asked again: its tags are known to those alone who began it.

use super::call::other;
use super::validate::{Refusal, values};
use super::{Shared, refuse};
use crate::config::{DigestConfig, Trunk};
use crate::signalling::digest::{Denied, NoRandomness, Nonces, Question};
use crate::transport::{Refused, Why};
use rsipstack::sip::StatusCode;
use rsipstack::transaction::transaction::Transaction;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Nonces of this process, and their clock.
pub(super) struct Admission {
    nonces: Nonces,
    begun: Instant,
    refused: Arc<Refused>,
}

impl Admission {
    pub(super) fn new(refused: Arc<Refused>) -> Result<Self, NoRandomness> {
        Ok(Self { nonces: Nonces::new()?, begun: Instant::now(), refused })
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Lets a request in, or refuses it. One of no trunk is refused later.
pub(super) async fn is_admitted(
    shared: &Shared,
    transaction: &mut Transaction,
    headers: &[(String, String)],
) -> bool {
    let Some(digest) =
        shared.trunk_of(transaction.connection.as_ref()).and_then(|trunk: &Trunk| trunk.digest.clone())
    else {
        return true;
    };
    let Ok(users) = tokio::fs::read_to_string(&digest.users).await.map(Zeroizing::new) else {
        tracing::error!("the users of a trunk can't be read");
        refuse(transaction, &Refusal::status(500)).await;
        return false;
    };
    let denied = {
        let (method, uri) = (transaction.original.method.to_string(), transaction.original.uri.to_string());
        let question = question(shared, &digest, &method, &uri);
        let answers = values(headers, "Authorization");
        let Admission { nonces, refused, .. } = &shared.admission;
        match question.check(answers, &users, nonces, shared.admission.now()) {
            Ok(()) => return true,
            Err(denied) => {
                if denied == Denied::Wrong {
                    refused.count(Why::Credentials);
                }
                question.challenge(nonces, denied, shared.admission.now())
            }
        }
    };
    let challenges = denied.into_iter().map(|challenge| other("WWW-Authenticate", challenge)).collect();
    if transaction.reply_with(StatusCode::Unauthorized, challenges, None).await.is_err() {
        tracing::debug!("a request couldn't be answered");
    }
    false
}

fn question<'a>(shared: &'a Shared, digest: &'a DigestConfig, method: &'a str, uri: &'a str) -> Question<'a> {
    Question { method, uri, realm: shared.config.realm(), algorithms: &digest.algorithms }
}
