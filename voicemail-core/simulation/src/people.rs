//! Provisioning in random schedules: users are made, changed and removed, groups too, while mailboxes are closed and made
//! again; one mailbox has a class with a small quota.
//!
//! Every act is recorded from its beginning to its end, whatever ended it. From the order of these times follows what people
//! must see when all is quiet, and what they must not: a mailbox or group of that name that was made since.

use super::check::Verdict;
use super::tenant::{SMALL_BOX, SMALL_QUOTA, Tenant};
use futures::FutureExt;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use voicemail_engine::mailbox::{Directory, MailboxError};

pub(super) const USERS: [&str; 2] = ["ann", "ben"];
pub(super) const GROUPS: [&str; 2] = ["desk", "sales"];

/// An act of provisioning. Mailboxes are named as they are, groups with `group/` before them.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Gives a user these mailboxes and groups, and no others.
    Give { user: &'static str, places: BTreeSet<String> },
    /// Removes a user.
    Remove { user: &'static str },
    /// Closes a mailbox, or removes a group.
    End { place: String },
}

/// An act and its times, which are numbers of events.
#[derive(Clone, Debug)]
struct Recorded {
    act: Act,
    begun: u64,
    /// None while it goes on.
    ended: Option<u64>,
    /// It was answered as done.
    done: bool,
}

impl Recorded {
    fn ended_before(&self, event: u64) -> bool {
        self.ended.is_some_and(|ended| ended < event)
    }
}

/// All acts of a schedule.
#[derive(Clone, Default)]
pub(super) struct Provisioning {
    acts: Vec<Recorded>,
    events: u64,
    /// A restore took acts back: nothing follows from their times any more.
    pub(super) restored: bool,
}

type Shared = Rc<RefCell<Provisioning>>;

/// An act under way; dropping it, when its task ends or is killed, is its end.
pub(super) struct UnderWay {
    shared: Shared,
    at: usize,
}

impl UnderWay {
    pub(super) fn begin(shared: &Shared, act: Act) -> Self {
        let mut provisioning = shared.borrow_mut();
        provisioning.events += 1;
        let begun = provisioning.events;
        provisioning.acts.push(Recorded { act, begun, ended: None, done: false });
        Self { shared: Rc::clone(shared), at: provisioning.acts.len() - 1 }
    }

    /// A closing of a mailbox.
    pub(super) fn closing(shared: &Shared, name: &str) -> Self {
        Self::begin(shared, Act::End { place: name.to_owned() })
    }

    /// It was answered as done.
    pub(super) fn done(&self) {
        self.shared.borrow_mut().acts[self.at].done = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut provisioning = self.shared.borrow_mut();
        provisioning.events += 1;
        let ended = provisioning.events;
        provisioning.acts[self.at].ended = Some(ended);
    }
}

/// When all is quiet: people see what they were given last, and nothing that was made again since.
pub(super) fn check(tenant: &Tenant, provisioning: &Provisioning) -> Verdict {
    if provisioning.restored {
        return Ok(());
    }
    USERS.into_iter().try_for_each(|user| check_user(tenant, provisioning, user))
}

fn check_user(tenant: &Tenant, provisioning: &Provisioning, user: &str) -> Verdict {
    let shown = shown_to(tenant, user)?;
    let given = |place: &str| {
        let of_user = |act: &&Recorded| matches!(&act.act, Act::Give { user: of, places } if *of == user && places.contains(place));
        provisioning.acts.iter().filter(of_user).collect::<Vec<_>>()
    };
    let ends = |place: &str| {
        let of_place = |act: &&Recorded| matches!(&act.act, Act::End { place: of } if of == place);
        provisioning.acts.iter().filter(of_place).collect::<Vec<_>>()
    };
    for place in &shown {
        let since =
            |gift: &&Recorded| !ends(place).iter().any(|end| end.done && gift.ended_before(end.begun));
        if !given(place).iter().any(since) {
            return Err(format!("{user} sees {place}, which was made again after they were given it"));
        }
    }
    let Some(last) = last_gift(provisioning, user) else { return Ok(()) };
    let Act::Give { places, .. } = &last.act else { return Ok(()) };
    let stays = |place: &&String| ends(place).iter().all(|end| end.ended_before(last.begun));
    match places.iter().filter(stays).find(|place| !shown.contains(*place)) {
        Some(place) => Err(format!("{user} was given {place} and doesn't see it")),
        None => Ok(()),
    }
}

/// The last gift to a user, if it was answered as done and nothing else about the user was under way since it began.
fn last_gift<'a>(provisioning: &'a Provisioning, user: &str) -> Option<&'a Recorded> {
    let of_user = |act: &&Recorded| match &act.act {
        Act::Give { user: of, .. } | Act::Remove { user: of } => *of == user,
        Act::End { .. } => false,
    };
    let last = provisioning.acts.iter().rfind(of_user)?;
    let others_ended = |act: &Recorded| act.begun == last.begun || act.ended_before(last.begun);
    let alone = provisioning.acts.iter().filter(of_user).all(others_ended);
    (last.done && alone).then_some(last)
}

/// Mailboxes and groups that a user has, as the service says.
fn shown_to(tenant: &Tenant, user: &str) -> Result<BTreeSet<String>, String> {
    let directory = Directory::new(tenant.plain_context());
    let name = user.parse().unwrap();
    let found = directory.get_user(&name).now_or_never().ok_or("a look at a user waits")?;
    let user = match found {
        Ok(user) => user,
        Err(MailboxError::Unknown(_)) => return Ok(BTreeSet::new()),
        Err(error) => return Err(error.to_string()),
    };
    let boxes = user.mailboxes.iter().map(ToString::to_string);
    Ok(boxes.chain(user.groups.iter().map(|group| format!("group/{group}"))).collect())
}

/// At any moment: no more messages stand in the small mailbox than its class takes. Requests that hide messages and bring them
/// back may overfill it, so schedules with one are left out.
pub(super) fn check_quota(tenant: &Tenant, requests: usize) -> Verdict {
    let listed = tenant.index(SMALL_BOX).listed();
    if requests == 0 && listed > SMALL_QUOTA as usize {
        return Err(format!("{listed} messages are in a mailbox that takes {SMALL_QUOTA}"));
    }
    Ok(())
}
