//! The one list of what stands below a tenant's prefix: families of keys, each with its scope, its kind and whom it may name.
//!
//! Every walk over a whole store (the checker, the removal of a tenant, the simulation, the scan for leaks, the pruning
//! of superseded states, the table of the protocol's page) takes the families from here. A new family is a variant:
//! every property is an exhaustive match, so that the compiler asks for all of them.

use voicemail_model::{AudioKey, DueItem, GreetingKey};

/// Keys whose first segment is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The tenant document.
    Tenant,
    /// Which of the tenant's own greetings are in force.
    Greetings,
    /// Indexes and settings.
    Mailbox,
    /// Users.
    User,
    /// Groups.
    Group,
    /// Greetings' audio.
    Greeting,
    /// Envelopes, by caller.
    Envelope,
    /// Callers' and messages' erasure markers.
    Mark,
    /// Idempotency-Keys.
    DepositKey,
    /// Runs, manifests and receipts.
    Run,
    /// The chain of receipts.
    Receipts,
    /// The chain of erasures.
    Ledger,
    /// The permanent register of runs.
    Register,
    /// Work to do at a given time.
    Due,
    /// Recordings that wait at telephones.
    Fronts,
    /// MWI states delivered to receivers of the webhook.
    Delivery,
    /// E-mails about a mailbox's messages: to whom, and what was sent.
    Mailing,
    /// Acts of the audit log.
    Audit,
    /// Seals of the audit log's hours.
    Seal,
    /// Probes' throw-away names.
    Probe,
    /// Objects that couldn't be decoded.
    Quarantine,
    /// Messages' audio.
    Audio,
    /// Whose region a folder is.
    Region,
}

/// In which regions a family stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the master region.
    Master,
    /// In every region but the master.
    Others,
    /// In every region.
    Every,
}

/// How a family is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Immutable objects alone.
    Objects,
    /// Documents, which are replaced as a whole, perhaps beside objects.
    Documents,
}

impl Family {
    /// All of them, in the order in which a whole store is walked and removed: what says whose the store is stands first and
    /// last.
    pub const ALL: [Self; 23] = [
        Self::Tenant,
        Self::Greetings,
        Self::Mailbox,
        Self::User,
        Self::Group,
        Self::Greeting,
        Self::Envelope,
        Self::Mark,
        Self::DepositKey,
        Self::Run,
        Self::Receipts,
        Self::Ledger,
        Self::Register,
        Self::Due,
        Self::Fronts,
        Self::Delivery,
        Self::Mailing,
        Self::Audit,
        Self::Seal,
        Self::Probe,
        Self::Quarantine,
        Self::Audio,
        Self::Region,
    ];

    /// The first segment of its keys.
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Greetings => "greetings",
            Self::Mailbox => "mb",
            Self::User => "user",
            Self::Group => "group",
            Self::Greeting => "greeting",
            Self::Envelope => "ca",
            Self::Mark => "mark",
            Self::DepositKey => "deposit",
            Self::Run => "gdpr",
            Self::Receipts => "receipts",
            Self::Ledger => "ledger",
            Self::Register => "register",
            Self::Due => "due",
            Self::Fronts => "fronts",
            Self::Delivery => "mwi",
            Self::Mailing => "email",
            Self::Audit => "audit",
            Self::Seal => "seal",
            Self::Probe => "probe",
            Self::Quarantine => "quarantine",
            Self::Audio => "au",
            Self::Region => "region",
        }
    }

    /// The prefix that lists its keys: a folder, which ends in `/`; for a single document its key.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Tenant | Self::Greetings | Self::Fronts | Self::Region => self.segment(),
            Self::Mailbox => "mb/",
            Self::User => "user/",
            Self::Group => "group/",
            Self::Greeting => GreetingKey::PREFIX,
            Self::Envelope => "ca/",
            Self::Mark => "mark/",
            Self::DepositKey => "deposit/",
            Self::Run => "gdpr/",
            Self::Receipts => "receipts/",
            Self::Ledger => "ledger/",
            Self::Register => "register/",
            Self::Due => DueItem::PREFIX,
            Self::Delivery => "mwi/",
            Self::Mailing => "email/",
            Self::Audit => "audit/",
            Self::Seal => "seal/",
            Self::Probe => "probe/",
            Self::Quarantine => "quarantine/",
            Self::Audio => AudioKey::PREFIX,
        }
    }

    /// Whether it is one document and no folder.
    pub const fn is_single(self) -> bool {
        matches!(self, Self::Tenant | Self::Greetings | Self::Fronts | Self::Region)
    }

    /// Where it stands.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Audio | Self::Probe => Scope::Every,
            Self::Region => Scope::Others,
            Self::Tenant
            | Self::Greetings
            | Self::Mailbox
            | Self::User
            | Self::Group
            | Self::Greeting
            | Self::Envelope
            | Self::Mark
            | Self::DepositKey
            | Self::Run
            | Self::Receipts
            | Self::Ledger
            | Self::Register
            | Self::Due
            | Self::Fronts
            | Self::Delivery
            | Self::Mailing
            | Self::Audit
            | Self::Seal
            | Self::Quarantine => Scope::Master,
        }
    }

    /// Whether it stands in a region.
    pub const fn is_in(self, master: bool) -> bool {
        match self.scope() {
            Scope::Every => true,
            Scope::Master => master,
            Scope::Others => !master,
        }
    }

    /// How it is stored.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Greeting
            | Self::Envelope
            | Self::DepositKey
            | Self::Due
            | Self::Audit
            | Self::Probe
            | Self::Quarantine
            | Self::Audio
            | Self::Region => Kind::Objects,
            Self::Tenant
            | Self::Greetings
            | Self::Mailbox
            | Self::User
            | Self::Group
            | Self::Mark
            | Self::Run
            | Self::Receipts
            | Self::Ledger
            | Self::Register
            | Self::Seal
            | Self::Mailing
            | Self::Fronts
            | Self::Delivery => Kind::Documents,
        }
    }

    /// Whether a document of it, also a superseded state of one, may name a caller or a run's subject: then superseded states
    /// are removed before an erasure counts as done.
    pub const fn history_names_callers(self) -> bool {
        match self {
            Self::Mailbox | Self::Run | Self::Mark => true,
            // The ledger's head is pruned when its newest entry has expired.
            Self::Ledger
            | Self::Tenant
            | Self::Greetings
            | Self::User
            | Self::Group
            | Self::Greeting
            | Self::Envelope
            | Self::DepositKey
            | Self::Receipts
            | Self::Register
            | Self::Due
            | Self::Fronts
            | Self::Delivery
            | Self::Mailing
            | Self::Audit
            | Self::Seal
            | Self::Probe
            | Self::Quarantine
            | Self::Audio
            | Self::Region => false,
        }
    }

    /// Whether it may hold personal data of a caller (Art. 4(1) GDPR), in a key or in bytes: a number, its hash, a name, a
    /// voice. Erasures look for a caller in all of these.
    pub const fn may_hold_callers(self) -> bool {
        match self {
            Self::Mailbox
            | Self::Envelope
            | Self::Mark
            | Self::DepositKey
            | Self::Run
            | Self::Ledger
            | Self::Due
            | Self::Quarantine
            | Self::Audio => true,
            Self::Tenant
            | Self::Greetings
            | Self::User
            | Self::Group
            | Self::Greeting
            | Self::Receipts
            | Self::Register
            | Self::Fronts
            | Self::Delivery
            | Self::Mailing
            | Self::Audit
            | Self::Seal
            | Self::Probe
            | Self::Region => false,
        }
    }

    /// The family of a listed key.
    pub fn of(key: &str) -> Option<Self> {
        let (segment, is_below) = key.split_once('/').map_or((key, false), |(segment, _)| (segment, true));
        Self::ALL.into_iter().find(|family| family.segment() == segment && family.is_single() != is_below)
    }

    /// Families that stand in a region, in order.
    pub fn in_region(master: bool) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |family| family.is_in(master))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_family_is_listed_once_and_found_again_by_a_key_of_it() {
        let all: BTreeSet<Family> = Family::ALL.into_iter().collect();
        assert_eq!(all.len(), Family::ALL.len());
        // The last variant's number tells how many there are.
        assert_eq!(Family::Region as usize + 1, Family::ALL.len());
        for family in Family::ALL {
            let key =
                if family.is_single() { family.prefix().to_owned() } else { format!("{}x", family.prefix()) };
            assert_eq!(Family::of(&key), Some(family), "{key}");
            assert!(family.is_single() || family.prefix() == format!("{}/", family.segment()));
        }
        assert_eq!(Family::of("tenant/x"), None);
        assert_eq!(Family::of("mb"), None);
        assert_eq!(Family::of("nothing/of/ours"), None);
    }

    #[test]
    fn the_protocols_page_has_a_row_for_every_family() {
        let page = include_str!("../../../docs/storage-protocol.md");
        let keys = |row: &str| {
            let cell = row.split('|').nth(1).unwrap_or_default().to_owned();
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let described: BTreeSet<Family> = rows.flat_map(keys).filter_map(|key| Family::of(&key)).collect();
        let missing: Vec<Family> =
            Family::ALL.into_iter().filter(|family| !described.contains(family)).collect();
        assert_eq!(missing, [], "docs/storage-protocol.md says nothing of these");
    }

    #[test]
    fn nobody_else_spells_a_familys_prefix() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let own = [
            "store/src/layout.rs",
            "model/src/audio_ref.rs",
            "model/src/greeting.rs",
            "model/src/due.rs",
            "model/src/run/view.rs",
        ];
        let mut found = Vec::new();
        for file in sources(&root) {
            let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            // The client and the command name paths of the API, which begin alike.
            let elsewhere =
                ["simulation/", "client/", "gdpr/", "api/"].iter().any(|folder| name.starts_with(folder));
            if own.contains(&name.as_str()) || name.contains("tests") || elsewhere {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for (number, line) in
                code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
            {
                if Family::ALL.iter().any(|family| line.contains(&format!("\"{}/", family.segment()))) {
                    found.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
        assert_eq!(found, Vec::<String>::new(), "take the prefix from Family");
    }

    fn sources(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                found.extend(sources(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path.to_string_lossy().contains("/src/")
            {
                found.push(path);
            }
        }
        found
    }
}
