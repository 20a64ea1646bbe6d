//! Digest authentication of requests (RFC 7616, and RFC 8760 for SIP): the challenge, and whether an answer to it is right.
//!
//! ```text
//! request ─▶ Authorization? ─▶ right for the user's password ─▶ nonce ours, young, count not seen ─▶ taken
//!                 └─ no, or wrong ─▶ 401 with a new nonce
//! ```
//!
//! Pure but for the file of users, which the caller reads. A user that isn't known and a wrong password are told alike and
//! take alike long. No name of a user is in an error, a log or a metric.

mod nonce;
mod proof;

pub use nonce::{NoRandomness, Nonces};
pub use proof::Claim;

use super::address::Address;
use crate::config::Algorithm;
use md5::{Digest as _, Md5};
use nonce::Standing;
use std::fmt::Write as _;
use std::time::Duration;
use zeroize::Zeroizing;

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    fn hash(self, text: &str) -> Zeroizing<String> {
        match self {
            Self::Sha256 => {
                hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
            }
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
        }
    }
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        // Writing to a text can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What a request says of who sent it.
#[derive(Clone, Default, PartialEq, Eq)]
struct Answer {
    user: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Option<String>,
    client_nonce: String,
    count: String,
    quality: String,
}

/// What is asked of a request.
pub struct Question<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI, as it was sent.
    pub uri: &'a str,
    /// The realm of its trunk.
    pub realm: &'a str,
    /// What may be answered with, the best first.
    pub algorithms: &'a [Algorithm],
}

/// Why a request isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It says nothing of who sent it, as each first one.
    Unasked,
    /// Its nonce is old, or was used with this count before: the same answer may be right with a new one.
    Stale,
    /// A wrong user, password or realm, or something that isn't an answer to our challenge.
    Wrong,
}

impl Question<'_> {
    /// The challenges: a header for each algorithm.
    pub fn challenge(&self, nonces: &Nonces, denied: Denied, now: Duration) -> Vec<String> {
        let nonce = nonces.make(self.realm, now);
        let stale = if denied == Denied::Stale { ", stale=true" } else { "" };
        let of = |algorithm: &Algorithm| {
            let (realm, name) = (self.realm, algorithm.name());
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
        };
        self.algorithms.iter().map(of).collect()
    }

    /// Whether one of these headers answers a challenge of ours. `users` are lines `NAME:PASSWORD`.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn check<'h>(
        &self,
        answers: impl Iterator<Item = &'h str>,
        users: &str,
        nonces: &Nonces,
        now: Duration,
    ) -> Result<(), Denied> {
        let mut denied = Denied::Unasked;
        for answer in answers.filter_map(read).filter(|answer| answer.realm == self.realm) {
            match self.check_one(&answer, users, nonces, now) {
                Ok(()) => return Ok(()),
                Err(why) => denied = why,
            }
        }
        Err(denied)
    }

    fn check_one(&self, answer: &Answer, users: &str, nonces: &Nonces, now: Duration) -> Result<(), Denied> {
        let algorithm = self.algorithm_of(answer).ok_or(Denied::Wrong)?;
        if answer.quality != "auth" || !self.is_for(&answer.uri) || answer.client_nonce.is_empty() {
            return Err(Denied::Wrong);
        }
        let count = read_count(&answer.count).ok_or(Denied::Wrong)?;
        // One who isn't there has a password that nobody knows the answer to.
        let (known, password) = password_of(users, &answer.user);
        let right = self.response(algorithm, answer, password);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(
            right.as_bytes(),
            answer.response.to_ascii_lowercase().as_bytes(),
        );
        if same.is_err() || !known {
            return Err(Denied::Wrong);
        }
        // Only who knows a password makes us remember a count. Another pod's nonce is as good as an old one of ours.
        let good = nonces.look(&answer.nonce, self.realm, now) == Standing::Good
            && nonces.use_up(&answer.nonce, count, now);
        good.then_some(()).ok_or(Denied::Stale)
    }

    /// Whether an address is the Request-URI's: a proxy between may have written it otherwise, such as with a port.
    fn is_for(&self, uri: &str) -> bool {
        let read = |uri| Address::parse_uri(uri).map(|address| (address.user, address.host));
        uri == self.uri || read(uri).is_some_and(|address| Some(address) == read(self.uri))
    }

    fn algorithm_of(&self, answer: &Answer) -> Option<Algorithm> {
        // RFC 2617: who names none means MD5.
        let name = answer.algorithm.as_deref().unwrap_or("MD5");
        self.algorithms.iter().copied().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn response(&self, algorithm: Algorithm, answer: &Answer, password: &str) -> Zeroizing<String> {
        let secret = Zeroizing::new(format!("{}:{}:{password}", answer.user, answer.realm));
        let (first, second) =
            (algorithm.hash(&secret), algorithm.hash(&format!("{}:{}", self.method, answer.uri)));
        let Answer { nonce, count, client_nonce, quality, .. } = answer;
        let whole = format!("{}:{nonce}:{count}:{client_nonce}:{quality}:{}", *first, *second);
        algorithm.hash(&Zeroizing::new(whole))
    }
}

/// Eight digits of hex (RFC 7616, 3.4).
fn read_count(text: &str) -> Option<u32> {
    let good = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|count| good && *count > 0)
}

/// The password of a user, and whether there is such a user.
fn password_of<'a>(users: &'a str, name: &str) -> (bool, &'a str) {
    let lines = users.lines().filter_map(|line| line.split_once(':'));
    match lines.filter(|(known, _)| *known == name).map(|(_, password)| password).next() {
        Some(password) => (true, password),
        None => (false, ""),
    }
}

/// Reads a header's value; `None` for another scheme.
fn read(value: &str) -> Option<Answer> {
    let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let mut answer = Answer::default();
    for (name, value) in read_pairs(rest) {
        let place = match name.as_str() {
            "username" => &mut answer.user,
            "realm" => &mut answer.realm,
            "nonce" => &mut answer.nonce,
            "uri" => &mut answer.uri,
            "response" => &mut answer.response,
            "cnonce" => &mut answer.client_nonce,
            "nc" => &mut answer.count,
            "qop" => &mut answer.quality,
            "algorithm" => answer.algorithm.insert(String::new()),
            _ => continue,
        };
        *place = value;
    }
    Some(answer)
}

/// `name=value` or `name="value"`, apart by commas.
fn read_pairs(text: &str) -> Vec<(String, String)> {
    let (mut pairs, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = read_value(after.trim_start());
        let name = name.trim_matches(|c: char| c == ',' || c.is_whitespace());
        pairs.push((name.to_ascii_lowercase(), value));
        rest = after;
    }
    pairs
}

fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return (value.trim().to_owned(), after);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests;
