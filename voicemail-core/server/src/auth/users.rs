//! The file of users with passwords: a line `USER:HASH:ROLES[:ACTS-AS]` for each. Pure.
//!
//! ```text
//! # comments and empty lines count for nothing
//! t2026\default:$argon2id$v=19$m=19456,t=2,p=1$…$…:privacy
//! desk:$2y$10$…:agent,admin:alice
//! ```
//!
//! `USER:HASH` is what `htpasswd -nB USER` prints. Roles are separated by commas. `ACTS-AS` is the user whose
//! mailboxes an agent opens. Several backslashes in a row count as one: the old script's examples double them.

use super::passwords::PasswordHash;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::config::Role;
use voicemail_model::UserId;

/// Largest number of users.
const MOST: usize = 10_000;

/// One user.
#[derive(Clone)]
pub(super) struct User {
    pub(super) hash: PasswordHash,
    pub(super) roles: BTreeSet<Role>,
    pub(super) acts_as: Option<UserId>,
}

/// All users by name.
#[derive(Default)]
pub(super) struct Users(BTreeMap<String, User>);

impl Users {
    /// Reads the file's text. The error names the line and the rule, nothing of what is written there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut users = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, user) = parse_line(line).map_err(|rule| format!("line {}: {rule}", number + 1))?;
            if users.insert(name, user).is_some() {
                return Err(format!("line {}: the user is there already", number + 1));
            }
        }
        if users.len() > MOST { Err(format!("write at most {MOST} users")) } else { Ok(Self(users)) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&User> {
        self.0.get(&normalise(name))
    }

    /// A hash that stands in for an unknown user's, the same one each time, so that time tells nothing.
    pub(super) fn stand_in(&self, name: &str) -> Option<&PasswordHash> {
        let number = name.bytes().fold(7_usize, |sum, b| sum.wrapping_mul(31).wrapping_add(usize::from(b)));
        let number = number.checked_rem(self.0.len())?;
        self.0.values().nth(number).map(|user| &user.hash)
    }
}

/// `TENANT\place` however often the backslash is doubled.
pub(super) fn normalise(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if c != '\\' || !normal.ends_with('\\') {
            normal.push(c);
        }
    }
    normal
}

fn parse_line(line: &str) -> Result<(String, User), &'static str> {
    const FORM: &str = "write USER:HASH:ROLES or USER:HASH:ROLES:ACTS-AS";
    // The name of somebody who is acted for is an issuer's, and may hold colons.
    let parts: Vec<&str> = line.splitn(4, ':').collect();
    let (name, hash, roles, acts_as) = match *parts.as_slice() {
        [name, hash, roles] => (name, hash, roles, None),
        [name, hash, roles, acts_as] => (name, hash, roles, Some(acts_as)),
        _ => return Err(FORM),
    };
    if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
        return Err("write a user's name of 1 to 256 characters");
    }
    let hash = PasswordHash::parse(hash)?;
    let roles = roles.split(',').map(|role| parse_role(role.trim())).collect::<Result<BTreeSet<_>, _>>()?;
    let acts_as = acts_as.map(str::parse).transpose().map_err(|_| "ACTS-AS: use 1 to 512 characters")?;
    Ok((normalise(name), User { hash, roles, acts_as }))
}

fn parse_role(role: &str) -> Result<Role, &'static str> {
    match role {
        "telephony" => Ok(Role::Telephony),
        "agent" => Ok(Role::Agent),
        "admin" => Ok(Role::Admin),
        "privacy" => Ok(Role::Privacy),
        _ => Err("ROLES: write telephony, agent, admin or privacy, separated by commas"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$04$abcdefghijklmnopqrstuuWWVZn4HDBKfMOGMNxCHH0CfcWLxJ0b2";

    #[test]
    fn a_user_has_a_hash_roles_and_perhaps_somebody_they_act_as() {
        let users = Users::parse(&format!(
            "# ours\n\nt2026\\default:{BCRYPT}:privacy\r\ndesk:{BCRYPT}:agent, admin:alice"
        ));
        let users = users.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(users.get("t2026\\\\default").unwrap().roles, BTreeSet::from([Role::Privacy]));
        assert_eq!(users.get("desk").unwrap().acts_as.as_ref().unwrap().as_str(), "alice");
        let users = Users::parse(&format!("desk:{BCRYPT}:agent:CORP\\alice smith:2")).map_err(drop).unwrap();
        assert_eq!(users.get("desk").unwrap().acts_as.as_ref().unwrap().as_str(), "CORP\\alice smith:2");
        assert!(users.get("Desk").is_none());
        assert!(users.stand_in("nobody").is_some());
        assert!(Users::default().stand_in("nobody").is_none());
    }

    #[test]
    fn a_line_that_breaks_a_rule_is_named_and_not_repeated() {
        for line in [
            "desk".to_owned(),
            format!("desk:{BCRYPT}"),
            format!(":{BCRYPT}:agent"),
            format!("desk:{BCRYPT}:root"),
            format!("desk:{BCRYPT}:"),
            format!("desk:{BCRYPT}:agent:"),
            "desk:secret:agent".to_owned(),
            "desk:$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA:agent".to_owned(),
            "desk:$2y$99$abcdefghijklmnopqrstuuWWVZn4HDBKfMOGMNxCHH0CfcWLxJ0b2:agent".to_owned(),
            format!("desk:{BCRYPT}:agent\ndesk:{BCRYPT}:admin"),
        ] {
            let error = Users::parse(&line).map(drop).unwrap_err();
            assert!(error.starts_with("line ") && !error.contains("desk:"), "{line}: {error}");
        }
    }
}
