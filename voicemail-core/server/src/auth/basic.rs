//! Names and passwords (HTTP Basic), for the script that came before: see [`super::users`] for the file.
//!
//! Flow: header ─▶ lax base64 ─▶ name, password ─▶ known for a minute? ─▶ attempt counted ─▶ a turn ─▶ hash compared
//!
//! Of many requests with the same right password one is looked at, and the others wait to know it.
//!
//! An unknown user costs the comparison that a known one costs. Few hashes are compared at a time, since each takes a
//! core and memory; who waits for more than five seconds is told to try again.
//!
//! What can go wrong: a file that is away means "try again"; one with a mistake is logged and the last good one stays.

use super::AuthError;
use super::fetch::read_file;
use super::lockout::{Lockout, Source};
use super::passwords::PasswordHash;
use super::users::{User, Users, normalise};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use voicemail_api::config::{BASIC, BasicConfig};
use voicemail_engine::principal::{Principal, audit_name};
use voicemail_model::clock::World;
use voicemail_store::turns::Turns;

/// Hashes compared at a time.
const TURNS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a right password is known, and how long its identity counts for a stream.
const KNOWN: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(3_600);
const MOST_KNOWN: usize = 1_000;
const LONGEST: usize = 1_024;

/// As the old script's example has it: the last character's spare bits needn't be zero, nor padding be there.
const LAX: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Users of one file.
pub(super) struct Basic {
    config: BasicConfig,
    world: World,
    users: Mutex<Loaded>,
    lockout: Lockout,
    turns: Arc<Semaphore>,
    /// Who gives the same password for the same user.
    same: Turns<[u8; 32]>,
    salt: [u8; 32],
    known: Mutex<HashMap<[u8; 32], Duration>>,
}

/// Tells whether a user's password is still the one that they signed in with; says nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PasswordProof {
    name: String,
    /// SHA-256 of the hash in the file.
    hash: String,
}

#[derive(Default)]
struct Loaded {
    text: Option<Vec<u8>>,
    users: Arc<Users>,
}

impl Basic {
    pub(super) fn new(config: &BasicConfig, world: &World) -> Self {
        Self {
            config: config.clone(),
            users: Mutex::default(),
            lockout: Lockout::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
            same: Turns::default(),
            salt: world.random(),
            known: Mutex::default(),
            world: world.clone(),
        }
    }

    /// The identity for this name and password, in base64, from that address.
    pub(super) async fn authenticate(
        &self,
        encoded: &str,
        peer: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        let (name, password) = read_pair(encoded)?;
        let users = self.load().await?;
        let user = users.get(&name).cloned();
        let fingerprint = user.as_ref().map(|user| self.digest(&[&name, user.hash.as_str(), &password]));
        let _turn = match fingerprint {
            Some(fingerprint) if !self.is_known(&fingerprint) => Some(self.same.take(fingerprint).await),
            _ => None,
        };
        if let (Some(user), Some(fingerprint)) = (&user, &fingerprint)
            && self.is_known(fingerprint)
        {
            return Ok(self.identity(&name, user));
        }
        let source: Source = (self.digest(&[&name]), peer);
        self.lockout.begin(source, self.world.monotonic()).map_err(AuthError::LockedOut)?;
        let hash = user.as_ref().map(|user| &user.hash).or_else(|| users.stand_in(&name));
        let same = match hash {
            Some(hash) => self.compare(hash.clone(), password).await?,
            None => false,
        };
        match (user, fingerprint) {
            (Some(user), Some(fingerprint)) if same => {
                self.lockout.forgive(&source);
                self.remember(fingerprint);
                Ok(self.identity(&name, &user))
            }
            _ => Err(AuthError::WrongPassword),
        }
    }

    /// The identity for this name and password from a form, and the proof for later.
    pub(super) async fn sign_in(
        &self,
        name: &str,
        password: &str,
        peer: Option<IpAddr>,
    ) -> Result<(Principal, PasswordProof), AuthError> {
        let name = normalise(name);
        // The header has no place for it.
        if name.contains(':') {
            return Err(AuthError::WrongPassword);
        }
        let identity = self.authenticate(&LAX.encode(format!("{name}:{password}")), peer).await?;
        // Whatever the file says now, not what it said when the password was looked at: a new line counts at once.
        let users = self.load().await?;
        let user = users.get(&name).ok_or(AuthError::WrongPassword)?;
        let hash = hash_digest(user);
        Ok((identity, PasswordProof { name, hash }))
    }

    /// The identity of who signed in so, as long as their line of the file has the same hash.
    pub(super) async fn still(&self, proof: &PasswordProof) -> Result<Principal, AuthError> {
        let users = self.load().await?;
        let user = users.get(&proof.name).filter(|user| hash_digest(user) == proof.hash);
        user.map(|user| self.identity(&proof.name, user)).ok_or(AuthError::WrongPassword)
    }

    fn identity(&self, name: &str, user: &User) -> Principal {
        Principal {
            subject: audit_name(BASIC, name),
            authority: BASIC.into(),
            user: user.acts_as.clone(),
            mailbox: None,
            roles: user.roles.clone(),
            expires: self.world.now().plus(LIFE),
        }
    }

    async fn compare(&self, hash: PasswordHash, password: String) -> Result<bool, AuthError> {
        let busy = || AuthError::PasswordsUnavailable("too many passwords are being checked".into());
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let work = tokio::task::spawn_blocking(move || {
            let same = hash.matches(password.as_bytes());
            drop(turn);
            same
        });
        work.await.map_err(|error| AuthError::PasswordsUnavailable(error.to_string()))
    }

    /// The users as the file has them now.
    async fn load(&self) -> Result<Arc<Users>, AuthError> {
        let text = read_file(&self.config.users_file).await.map_err(AuthError::PasswordsUnavailable)?;
        let mut loaded = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.text.as_ref() != Some(&text) {
            match Users::parse(&String::from_utf8_lossy(&text)) {
                Ok(users) => loaded.users = Arc::new(users),
                Err(rule) => {
                    tracing::error!(%rule, "the file of users can't be used; the last good one stays")
                }
            }
            loaded.text = Some(text);
        }
        Ok(Arc::clone(&loaded.users))
    }

    fn digest(&self, parts: &[&str]) -> [u8; 32] {
        let mut digest = Context::new(&SHA256);
        digest.update(&self.salt);
        for part in parts {
            digest.update(&part.len().to_le_bytes());
            digest.update(part.as_bytes());
        }
        let mut made = [0; 32];
        made.copy_from_slice(digest.finish().as_ref());
        made
    }

    fn is_known(&self, fingerprint: &[u8; 32]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(fingerprint).is_some_and(|until| self.world.monotonic() < *until)
    }

    fn remember(&self, fingerprint: [u8; 32]) {
        let now = self.world.monotonic();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, until| now < *until);
        }
        if known.len() < MOST_KNOWN {
            known.insert(fingerprint, now.saturating_add(KNOWN));
        }
    }
}

fn hash_digest(user: &User) -> String {
    hex::encode(aws_lc_rs::digest::digest(&SHA256, user.hash.as_str().as_bytes()))
}

/// Name and password; the name as [`normalise`] writes it.
fn read_pair(encoded: &str) -> Result<(String, String), AuthError> {
    if encoded.len() > LONGEST {
        return Err(AuthError::MalformedPassword);
    }
    let bytes = LAX.decode(encoded).map_err(|_| AuthError::MalformedPassword)?;
    let text = String::from_utf8(bytes).map_err(|_| AuthError::MalformedPassword)?;
    let (name, password) = text.split_once(':').ok_or(AuthError::MalformedPassword)?;
    Ok((normalise(name), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use voicemail_api::config::Role;

    /// The example of the old script: its last character has spare bits that aren't zero.
    const EXAMPLE: &str = "dDIwMjZcXGRlZmF1bHQ6cGFzc3dvbnW=";

    fn basic(text: &str) -> (Basic, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let users_file = folder.path().join("users");
        std::fs::write(&users_file, text).unwrap();
        (Basic::new(&BasicConfig { users_file }, &voicemail_store::real_world()), folder)
    }

    fn bcrypt_of(password: &str) -> String {
        bcrypt::hash(password, 4).unwrap()
    }

    fn encode(text: &str) -> String {
        LAX.encode(text)
    }

    #[tokio::test]
    async fn the_old_scripts_token_opens_what_its_line_says() {
        let (name, password) = read_pair(EXAMPLE).unwrap();
        assert_eq!(name, "t2026\\default");
        let (basic, _folder) = basic(&format!("t2026\\default:{}:privacy\n", bcrypt_of(&password)));
        let identity = basic.authenticate(EXAMPLE, None).await.unwrap();
        assert_eq!(identity.roles, BTreeSet::from([Role::Privacy]));
        assert!(!identity.subject.contains("t2026"));
        // Without its padding, too.
        assert!(basic.authenticate(EXAMPLE.trim_end_matches('='), None).await.is_ok());
    }

    #[tokio::test]
    async fn both_kinds_of_hashes_are_compared_and_nothing_else_matches() {
        use argon2::PasswordHasher;
        let params = argon2::Params::new(64, 1, 1, None).unwrap();
        let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let argon = argon.hash_password_with_salt(b"correct horse", b"somesalt").unwrap();
        let long = "x".repeat(73);
        let text = format!(
            "a:{argon}:agent:alice\nb:{}:admin\nl:{}:admin",
            bcrypt_of("staple"),
            bcrypt_of(&long[..72])
        );
        let (basic, _folder) = basic(&text);
        let alice = basic.authenticate(&encode("a:correct horse"), None).await.unwrap();
        assert_eq!(alice.user.unwrap().as_str(), "alice");
        assert!(basic.authenticate(&encode("b:staple"), None).await.is_ok());
        for wrong in ["a:correct", "b:correct horse", "c:staple", "b:", &format!("l:{long}")] {
            assert_eq!(
                basic.authenticate(&encode(wrong), None).await,
                Err(AuthError::WrongPassword),
                "{wrong}"
            );
        }
        for malformed in ["", "b", "%%", &encode("nothing")] {
            assert_eq!(
                basic.authenticate(malformed, None).await,
                Err(AuthError::MalformedPassword),
                "{malformed}"
            );
        }
    }

    #[tokio::test]
    async fn a_changed_file_counts_at_once_and_a_broken_one_leaves_the_last() {
        let (basic, folder) = basic(&format!("a:{}:agent", bcrypt_of("one")));
        assert!(basic.authenticate(&encode("a:one"), None).await.is_ok());
        let file = folder.path().join("users");
        std::fs::write(&file, "a:broken").unwrap();
        assert!(basic.authenticate(&encode("a:one"), None).await.is_ok());
        std::fs::write(&file, format!("a:{}:agent", bcrypt_of("two"))).unwrap();
        assert_eq!(basic.authenticate(&encode("a:one"), None).await, Err(AuthError::WrongPassword));
        assert!(basic.authenticate(&encode("a:two"), None).await.is_ok());
        std::fs::remove_file(&file).unwrap();
        let gone = basic.authenticate(&encode("a:two"), None).await;
        assert!(matches!(gone, Err(AuthError::PasswordsUnavailable(_))), "{gone:?}");
    }

    #[tokio::test]
    async fn two_hundred_requests_at_once_with_the_right_password_are_all_let_in_by_one_look() {
        // A look takes long enough for all of them to be there before the first is over.
        let hash = bcrypt::hash("right", 9).unwrap();
        let (basic, _folder) = basic(&format!("a:{hash}:agent"));
        let right = encode("a:right");
        let answers = futures::future::join_all((0..200).map(|_| basic.authenticate(&right, None))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 200, "{:?}", answers.last());
        // One guess many times is many guesses.
        let wrong = encode("a:wrong");
        let answers = futures::future::join_all((0..50).map(|_| basic.authenticate(&wrong, None))).await;
        let looked_at = answers.iter().filter(|answer| **answer == Err(AuthError::WrongPassword)).count();
        assert_eq!(looked_at, 10);
    }

    #[tokio::test]
    async fn two_hundred_guesses_at_once_get_ten_looks() {
        let (basic, _folder) = basic(&format!("a:{}:agent", bcrypt_of("right")));
        let guesses = (0..200).map(|n| encode(&format!("a:guess {n}"))).collect::<Vec<_>>();
        let answers =
            futures::future::join_all(guesses.iter().map(|guess| basic.authenticate(guess, None))).await;
        let looked_at = answers.iter().filter(|answer| **answer == Err(AuthError::WrongPassword)).count();
        assert_eq!(looked_at, 10);
        let locked = basic.authenticate(&encode("a:right"), None).await;
        assert!(matches!(locked, Err(AuthError::LockedOut(_))), "{locked:?}");
        assert!(basic.authenticate(&encode("a:right"), Some("192.0.2.1".parse().unwrap())).await.is_ok());
    }
}
