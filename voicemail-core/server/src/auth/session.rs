//! Sessions of the pages: who has signed in, sealed into a cookie, so that no replica keeps anything and the page holds no
//! token.
//!
//! ```text
//! password, or a code of an issuer ─▶ Session (10 min at most)    ─▶ cookie of every request
//!                                  └▶ Renewal (session.lifetime) ─▶ cookie of /ui/session alone ─▶ asked again ─▶ Session
//! ```
//!
//! Whoever may no longer sign in is out when their session ends. Sessions never give the role `telephony`. Raising
//! `web.session.epoch` changes the key: no session of before is read any more.

use super::login::Attempt;
use super::{AuthError, PasswordProof};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::config::{Role, SessionConfig};
use voicemail_engine::principal::Principal;
use voicemail_model::clock::World;
use voicemail_model::{Seal, SealError, TenantKey, Time, UserId};

/// How long a session counts without being renewed.
const LIFE: Duration = Duration::from_secs(600);
/// How long one counts that can't be renewed.
const UNRENEWED: Duration = Duration::from_secs(3_600);
/// Browsers keep cookies of at most 4096 bytes, name and attributes included.
const LONGEST: usize = 3_800;

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    /// The subject, as the audit log names it.
    pub(crate) subject: String,
    /// Who vouches for it; unknown in sessions of the release before.
    #[serde(default)]
    pub(crate) authority: String,
    /// The user whose mailboxes they open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<UserId>,
    /// Their roles.
    pub(crate) roles: BTreeSet<Role>,
    /// When they last showed who they are.
    pub(crate) signed_in: Time,
    /// When the session ends unless it is renewed.
    pub(crate) ends: Time,
}

/// What a session is renewed by.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renewal {
    /// How they signed in.
    pub(crate) origin: Origin,
    /// When they did.
    pub(crate) signed_in: Time,
    /// When they must do it again.
    pub(crate) until: Time,
}

/// How somebody signed in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Origin {
    /// By name and password.
    Password(PasswordProof),
    /// At an issuer.
    OpenId {
        /// Which.
        issuer: String,
        /// Whose session it is.
        subject: String,
        /// What the issuer is asked with who they are now.
        refresh: String,
    },
}

/// Seals and reads the sessions of one tenant.
pub(crate) struct Sessions<'a> {
    key: &'a TenantKey,
    config: &'a SessionConfig,
}

impl<'a> Sessions<'a> {
    /// By the tenant's key and the configuration in force.
    pub(crate) fn new(key: &'a TenantKey, config: &'a SessionConfig) -> Self {
        Self { key, config }
    }

    /// The session of somebody who has signed in, or whose session was renewed.
    ///
    /// # Errors
    /// `Expired` when they must sign in again, `Claims` when none of their roles can be had by a session.
    pub(crate) fn begin(
        &self,
        who: &Principal,
        signed_in: Time,
        renewable: bool,
        now: Time,
    ) -> Result<Session, AuthError> {
        let roles: BTreeSet<Role> =
            who.roles.iter().copied().filter(|role| *role != Role::Telephony).collect();
        if roles.is_empty() || who.mailbox.is_some() {
            return Err(AuthError::Claims);
        }
        let life = if renewable { LIFE } else { UNRENEWED };
        let ends = now.plus(life).min(signed_in.plus(self.config.lifetime)).min(who.expires);
        if ends <= now {
            return Err(AuthError::Expired);
        }
        let (subject, authority) = (who.subject.clone(), who.authority.clone());
        Ok(Session { subject, authority, user: who.user.clone(), roles, signed_in, ends })
    }

    /// What it is renewed by.
    pub(crate) fn renewal(&self, origin: Origin, signed_in: Time) -> Renewal {
        Renewal { origin, signed_in, until: signed_in.plus(self.config.lifetime) }
    }

    /// A session as the value of a cookie.
    ///
    /// # Errors
    /// `Malformed` for one that is too long.
    pub(crate) fn seal(&self, world: &World, session: &Session) -> Result<String, AuthError> {
        Ok(self.by("session")?.seal(world, session)?)
    }

    /// A renewal as the value of a cookie.
    ///
    /// # Errors
    /// `Malformed` for one that is too long.
    pub(crate) fn seal_renewal(&self, world: &World, renewal: &Renewal) -> Result<String, AuthError> {
        Ok(self.by("session-renewal")?.seal(world, renewal)?)
    }

    /// The session in a cookie.
    ///
    /// # Errors
    /// `Malformed`, `Signature` or `Expired`.
    pub(crate) fn read(&self, cookie: &str, now: Time) -> Result<Session, AuthError> {
        let session: Session = self.by("session")?.open(cookie)?;
        if session.ends <= now { Err(AuthError::Expired) } else { Ok(session) }
    }

    /// The renewal in a cookie.
    ///
    /// # Errors
    /// `Malformed`, `Signature` or `Expired`.
    pub(crate) fn read_renewal(&self, cookie: &str, now: Time) -> Result<Renewal, AuthError> {
        let renewal: Renewal = self.by("session-renewal")?.open(cookie)?;
        if renewal.until <= now { Err(AuthError::Expired) } else { Ok(renewal) }
    }

    /// A sign-in that was begun, as the value of a cookie.
    ///
    /// # Errors
    /// `Malformed` for one that is too long.
    pub(crate) fn seal_attempt(&self, world: &World, attempt: &Attempt) -> Result<String, AuthError> {
        Ok(self.by("login")?.seal(world, attempt)?)
    }

    /// The sign-in in a cookie; whether it is late is looked at with the answer.
    ///
    /// # Errors
    /// `Malformed` or `Signature`.
    pub(crate) fn read_attempt(&self, cookie: &str) -> Result<Attempt, AuthError> {
        Ok(self.by("login")?.open(cookie)?)
    }

    fn by(&self, purpose: &str) -> Result<Seal, SealError> {
        Seal::new(self.key, purpose, &self.config.epoch.to_be_bytes(), LONGEST)
    }
}

impl From<Session> for Principal {
    fn from(session: Session) -> Self {
        let Session { subject, authority, user, roles, ends, .. } = session;
        Self { subject, authority, user, mailbox: None, roles, expires: ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::alice;

    #[test]
    fn a_session_ends_with_what_it_comes_from_and_gives_no_telephony() {
        let (key, config) = (TenantKey::new(&[7; 32]).unwrap(), SessionConfig::default());
        let sessions = Sessions::new(&key, &config);
        let (now, after) =
            (Time::from_seconds(1_000_000), |seconds: i64| Time::from_seconds(1_000_000 + seconds));
        let all = alice(&[Role::Agent, Role::Telephony], after(86_400));
        let session = sessions.begin(&all, now, true, now).unwrap();
        assert_eq!((session.roles.clone(), session.ends), (BTreeSet::from([Role::Agent]), after(600)));
        assert_eq!(sessions.begin(&all, now, false, now).unwrap().ends, after(3_600));
        let brief = alice(&[Role::Agent], after(60));
        assert_eq!(sessions.begin(&brief, now, true, now).unwrap().ends, after(60));
        let late = after(12 * 3_600 - 5);
        assert_eq!(sessions.begin(&all, now, true, late).unwrap().ends, after(12 * 3_600));
        assert_eq!(sessions.begin(&all, now, true, after(12 * 3_600)), Err(AuthError::Expired));
        let server = alice(&[Role::Telephony], after(600));
        assert_eq!(sessions.begin(&server, now, true, now), Err(AuthError::Claims));
    }

    #[test]
    fn a_cookie_is_read_by_its_tenant_for_its_purpose_and_in_its_epoch_alone() {
        let (key, other) = (TenantKey::new(&[7; 32]).unwrap(), TenantKey::new(&[8; 32]).unwrap());
        let (config, world) = (SessionConfig::default(), voicemail_store::real_world());
        let sessions = Sessions::new(&key, &config);
        let now = world.now();
        let who = alice(&[Role::Agent], now.plus(Duration::from_secs(3_600)));
        let session = sessions.begin(&who, now, true, now).unwrap();
        let cookie = sessions.seal(&world, &session).unwrap();
        assert!(!cookie.contains("alice") && cookie.bytes().all(|b| b.is_ascii_graphic()));
        assert_eq!(sessions.read(&cookie, now), Ok(session.clone()));
        assert_eq!(sessions.read(&cookie, session.ends), Err(AuthError::Expired));
        assert_eq!(Sessions::new(&other, &config).read(&cookie, now), Err(AuthError::Signature));
        assert!(matches!(sessions.read_renewal(&cookie, now), Err(AuthError::Signature)));
        let raised = SessionConfig { epoch: 2, ..config.clone() };
        assert_eq!(Sessions::new(&key, &raised).read(&cookie, now), Err(AuthError::Signature));
        for bad in ["", "x", "%", &cookie[1..], &"A".repeat(5_000)] {
            assert!(sessions.read(bad, now).is_err(), "{bad}");
        }
    }
}
