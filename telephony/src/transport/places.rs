//! How many connections there may be: of one source, and in all.

use super::shares::{Share, Shares};
use std::net::IpAddr;

/// Connections of one address. A PBX has few; phones behind one address share them.
const OF_ONE: usize = 64;
/// Connections in all.
const IN_ALL: usize = 1_024;

/// Connections that there are, by source.
#[derive(Debug, Default)]
pub(super) struct Places(Shares<IpAddr>);

/// A connection's place, given back when it is dropped.
pub(super) type Place = Share<IpAddr>;

impl Places {
    /// A place for one more of that source, if there is one.
    pub(super) fn take(&self, source: IpAddr) -> Option<Place> {
        self.0.take(source, OF_ONE, IN_ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u16) -> IpAddr {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])
    }

    #[test]
    fn one_source_leaves_room_for_others_and_places_come_back() {
        let places = Places::default();
        let mut own: Vec<Place> = (0..OF_ONE).filter_map(|_| places.take(source(1))).collect();
        assert_eq!(own.len(), OF_ONE);
        assert!(places.take(source(1)).is_none());
        assert!(places.take(source(2)).is_some());
        own.pop();
        assert!(places.take(source(1)).is_some());
        drop(own);
        assert!(places.0.is_empty());
    }

    #[test]
    fn there_is_an_end_in_all() {
        let places = Places::default();
        let all: Vec<Place> = (0..40)
            .flat_map(|last| (0..OF_ONE).filter_map(|_| places.take(source(last))).collect::<Vec<_>>())
            .collect();
        assert_eq!(all.len(), IN_ALL);
    }
}
