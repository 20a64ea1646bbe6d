//! Random acts of provisioning: users are given mailboxes and groups, or removed; groups come and go.

use super::Play;
use crate::people::{Act, GROUPS, USERS, UnderWay};
use crate::tenant::{BOXES, mailbox};
use voicemail_model::{Group, User};

impl Play {
    /// Something of provisioning.
    pub(super) fn begin_provisioning(&mut self) {
        match self.draw(|dice| dice.below(6)) {
            0..=2 => self.begin_give(),
            3 => self.begin_remove(),
            4 => self.begin_group(),
            _ => self.begin_ungroup(),
        }
    }

    fn begin_give(&mut self) {
        let user = self.draw(|dice| dice.pick(&USERS));
        let boxes: Vec<&str> = BOXES.into_iter().filter(|_| self.draw(|dice| dice.chance(0.5))).collect();
        let groups: Vec<&str> = GROUPS.into_iter().filter(|_| self.draw(|dice| dice.chance(0.3))).collect();
        let places = boxes.iter().map(|&name| name.to_owned());
        let places = places.chain(groups.iter().map(|name| format!("group/{name}"))).collect();
        let under_way = UnderWay::begin(&self.provisioning, Act::Give { user, places });
        let replica = self.replica();
        self.scheduler.spawn(format!("give {user}"), async move {
            let new = User {
                mailboxes: boxes.iter().map(|name| mailbox(name)).collect(),
                groups: groups.iter().map(|name| name.parse().unwrap()).collect(),
                ..User::default()
            };
            if replica.directory.put_user(&user.parse().unwrap(), new).await.is_ok() {
                under_way.done();
            }
        });
    }

    fn begin_remove(&mut self) {
        let user = self.draw(|dice| dice.pick(&USERS));
        let under_way = UnderWay::begin(&self.provisioning, Act::Remove { user });
        let replica = self.replica();
        self.scheduler.spawn(format!("remove {user}"), async move {
            if replica.directory.delete_user(&user.parse().unwrap()).await.is_ok() {
                under_way.done();
            }
        });
    }

    fn begin_group(&mut self) {
        let (group, name) = self.draw(|dice| (dice.pick(&GROUPS), dice.pick(&BOXES)));
        let replica = self.replica();
        self.scheduler.spawn(format!("group {group}"), async move {
            let _ = replica.directory.put_group(&group.parse().unwrap(), Group::sharing(mailbox(name))).await;
        });
    }

    fn begin_ungroup(&mut self) {
        let group = self.draw(|dice| dice.pick(&GROUPS));
        let under_way = UnderWay::begin(&self.provisioning, Act::End { place: format!("group/{group}") });
        let replica = self.replica();
        self.scheduler.spawn(format!("ungroup {group}"), async move {
            if replica.directory.delete_group(&group.parse().unwrap()).await.is_ok() {
                under_way.done();
            }
        });
    }
}
