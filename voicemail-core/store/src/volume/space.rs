//! How much of a volume is left, for what, and when that is too little. Pure.
//!
//! Three bounds, each by bytes and by inodes. Deposits stop while less than [`KeepFree`] is free, so that listening,
//! deleting and erasing never lack the room for their small files. A reserve that is really written stands for the
//! case that others fill even that. Long before either there is a warning.

use crate::Hindrance;
use voicemail_api::config::KeepFree;

const MIB: u64 = 1 << 20;
/// Inodes that stand for a mebibyte: what ext4 makes by default.
const INODES_A_MIB: u64 = 64;
/// A warning comes below a tenth of the volume, at the most this much.
const WARNING: u64 = 1 << 30;
/// The reserve is a twentieth of the volume within these bounds, and never more than a quarter of it.
const RESERVE: (u64, u64) = (512 << 10, 16 << 20);
const RESERVED_INODES: (u64, u64) = (64, 256);
/// The reserve is let go piece by piece: others that fill the volume take no more than what was let go.
pub(super) const PIECES: u64 = 16;

/// Bytes and inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) bytes: u64,
    pub(super) inodes: u64,
}

impl Amount {
    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            inodes: self.inodes.saturating_sub(other.inodes),
        }
    }

    pub(super) fn holds(self, other: Self) -> bool {
        self.bytes >= other.bytes && self.inodes >= other.inodes
    }

    fn times(self, factor: u64) -> Self {
        Self { bytes: self.bytes.saturating_mul(factor), inodes: self.inodes.saturating_mul(factor) }
    }
}

/// The file system's sizes, as it tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// In all; no inodes where the file system has no limit of them.
    pub(super) total: Amount,
    /// Free for us.
    pub(super) free: Amount,
}

impl Space {
    /// Whether that room is less than a bound; inodes count where there is a limit of them.
    fn is_below(&self, room: Amount, bound: Amount) -> bool {
        room.bytes < bound.bytes || (self.total.inodes > 0 && room.inodes < bound.inodes)
    }

    fn share(&self, percent: u64) -> Amount {
        let part = |total: u64| total / 100 * percent + total % 100 * percent / 100;
        Amount { bytes: part(self.total.bytes), inodes: part(self.total.inodes) }
    }
}

/// The bounds of one volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Room that deposits leave free.
    pub(super) keep: Amount,
    /// Room that is reserved beyond.
    pub(super) reserve: Amount,
    warning: Amount,
}

impl Bounds {
    pub(super) fn of(space: &Space, keep: KeepFree) -> Self {
        let least = u64::from(keep.mebibytes);
        let share = space.share(u64::from(keep.percent));
        let keep =
            Amount { bytes: share.bytes.min(least * MIB), inodes: share.inodes.min(least * INODES_A_MIB) };
        let (twentieth, tenth) = (space.share(5), space.share(10));
        let within =
            |value: u64, (least, most): (u64, u64), total: u64| value.clamp(least, most).min(total / 4);
        Self {
            keep,
            reserve: Amount {
                bytes: within(twentieth.bytes, RESERVE, space.total.bytes),
                inodes: within(twentieth.inodes, RESERVED_INODES, space.total.inodes),
            },
            warning: Amount {
                bytes: tenth.bytes.min(WARNING).max(2 * keep.bytes),
                inodes: tenth.inodes.min(WARNING / MIB * INODES_A_MIB).max(2 * keep.inodes),
            },
        }
    }

    /// The obstacle to deposits, while that much of the reserve is there.
    pub(super) fn judge(&self, space: &Space, reserved: Amount) -> Option<Hindrance> {
        let room = space.free.minus(self.reserve.minus(reserved));
        if space.is_below(room, self.keep) {
            return Some(Hindrance::Full(format!(
                "less than {} of the volume are free, which are kept for listening and deleting; delete messages, or \
                 let the volume grow",
                describe(self.keep, space)
            )));
        }
        space.is_below(room, self.warning).then(|| {
            Hindrance::Low(format!(
                "less than {} of the volume are free; below {} no new messages are taken",
                describe(self.warning, space),
                describe(self.keep, space)
            ))
        })
    }

    /// How much may be written before it is measured again: an eighth of what is left to deposits, since others write, too.
    pub(super) fn allowance(&self, space: &Space, reserved: Amount) -> Amount {
        let left = space.free.minus(self.reserve.minus(reserved)).minus(self.keep);
        let inodes = if space.total.inodes > 0 { left.inodes / 8 } else { u64::MAX };
        Amount { bytes: left.bytes / 8, inodes }
    }

    /// Whether there is room for what is missing of the reserve, and for half of what deposits leave besides.
    pub(super) fn may_refill(&self, space: &Space, reserved: Amount) -> bool {
        let half = Amount { bytes: self.keep.bytes / 2, inodes: self.keep.inodes / 2 };
        !space.is_below(space.free.minus(self.reserve.minus(reserved)), half)
    }

    /// The size of one piece of the reserve.
    pub(super) fn piece(&self) -> Amount {
        let part = |value: u64| value.div_ceil(PIECES);
        Amount { bytes: part(self.reserve.bytes), inodes: part(self.reserve.inodes) }
    }

    /// How many pieces there are, of those that this many are of a whole reserve.
    pub(super) fn reserved(&self, pieces: u64) -> Amount {
        let held = self.piece().times(pieces);
        Amount { bytes: held.bytes.min(self.reserve.bytes), inodes: held.inodes.min(self.reserve.inodes) }
    }
}

fn describe(amount: Amount, space: &Space) -> String {
    let bytes = match amount.bytes {
        bytes if bytes >= MIB => format!("{} MiB", bytes / MIB),
        bytes => format!("{} KiB", bytes >> 10),
    };
    match space.total.inodes {
        0 => bytes,
        _ => format!("{bytes} or {} inodes", amount.inodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn space(total: u64, free: u64, inodes: (u64, u64)) -> Space {
        Space {
            total: Amount { bytes: total, inodes: inodes.0 },
            free: Amount { bytes: free, inodes: inodes.1 },
        }
    }

    fn judge(space: &Space) -> Option<&'static str> {
        let bounds = Bounds::of(space, KeepFree::default());
        bounds.judge(space, bounds.reserve).map(|found| found.reason())
    }

    #[test]
    fn deposits_stop_below_the_smaller_of_64_mib_and_a_twentieth() {
        let full = Some("StorageFull");
        assert_eq!(judge(&space(100 * GIB, 64 * MIB - 1, (0, 0))), full);
        assert_eq!(judge(&space(100 * GIB, 64 * MIB, (0, 0))), Some("StorageLow"));
        assert_eq!(judge(&space(100 * MIB, 5 * MIB - 1, (0, 0))), full);
        assert_eq!(judge(&space(100 * MIB, 5 * MIB, (0, 0))), Some("StorageLow"));
        assert_eq!(judge(&space(100 * GIB, GIB, (0, 0))), None);
    }

    #[test]
    fn inodes_count_as_bytes_do_where_the_file_system_has_a_limit_of_them() {
        assert_eq!(judge(&space(100 * GIB, 50 * GIB, (1_000, 49))), Some("StorageFull"));
        assert_eq!(judge(&space(100 * GIB, 50 * GIB, (1_000, 50))), Some("StorageLow"));
        assert_eq!(judge(&space(100 * GIB, 50 * GIB, (1_000, 500))), None);
        assert_eq!(judge(&space(100 * GIB, 50 * GIB, (0, 0))), None);
    }

    #[test]
    fn what_was_let_go_of_the_reserve_is_no_room_for_deposits() {
        let space = space(3 * MIB, 700 << 10, (0, 0));
        let bounds = Bounds::of(&space, KeepFree::default());
        assert_eq!(bounds.reserve.bytes, 512 << 10);
        assert!(bounds.judge(&space, Amount::default()).is_some_and(|found| found.reason() == "StorageLow"));
        let fuller = Space { free: Amount { bytes: 600 << 10, inodes: 0 }, ..space };
        assert!(
            bounds.judge(&fuller, Amount::default()).is_some_and(|found| found.reason() == "StorageFull")
        );
        assert!(bounds.may_refill(&fuller, Amount::default()));
    }

    #[test]
    fn what_may_be_written_unmeasured_shrinks_to_nothing_where_deposits_stop() {
        let allowance = |free| {
            let space = space(100 * MIB, free, (0, 0));
            let bounds = Bounds::of(&space, KeepFree::default());
            bounds.allowance(&space, bounds.reserve).bytes
        };
        assert_eq!((allowance(5 * MIB), allowance(13 * MIB)), (0, MIB));
    }

    #[test]
    fn the_words_name_no_amount_that_changes() {
        let at = |free| {
            let space = space(100 * MIB, free, (0, 0));
            Bounds::of(&space, KeepFree::default())
                .judge(&space, Amount::default())
                .map(|found| found.message())
        };
        assert_eq!(at(MIB), at(2 * MIB));
    }

    proptest! {
        #[test]
        fn a_reserve_fits_every_volume_and_its_pieces_make_it_up(total in 0u64..1 << 50, inodes in 0u64..1 << 40) {
            let space = space(total, total, (inodes, inodes));
            let bounds = Bounds::of(&space, KeepFree::default());
            prop_assert!(bounds.reserve.bytes <= total / 4 && bounds.reserve.inodes <= inodes / 4);
            prop_assert_eq!(bounds.reserved(PIECES), bounds.reserve);
        }

        #[test]
        fn less_room_is_never_judged_better(total in 1u64..1 << 40, free in 0u64..1 << 40, less in 0u64..1 << 40) {
            let rank = |free: u64| {
                let space = space(total, free, (0, 0));
                match judge(&space) { Some("StorageFull") => 2, Some(_) => 1, None => 0 }
            };
            let free = free.min(total);
            prop_assert!(rank(free.saturating_sub(less)) >= rank(free));
        }
    }
}
