//! RTP packets (RFC 3550): the fixed header, what may follow it, and the payload. Pure.

/// A packet's header and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Payload type.
    pub payload_type: u8,
    /// Begins a talk spurt, or an event.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in samples.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// What it carries.
    pub payload: &'a [u8],
}

const HEADER: usize = 12;

impl<'a> Packet<'a> {
    /// Reads a datagram; `None` for what is no RTP, or is cut.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, _) = bytes.split_at_checked(HEADER)?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let mut begin = HEADER + 4 * usize::from(head[0] & 0x0f);
        if head[0] & 0x10 != 0 {
            let extension = bytes.get(begin..begin + 4)?;
            begin += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        let mut end = bytes.len();
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*bytes.last()?);
            end = end.checked_sub(padding).filter(|_| padding > 0)?;
        }
        Some(Self {
            payload_type: head[1] & 0x7f,
            marker: head[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            payload: bytes.get(begin..end)?,
        })
    }

    /// Writes it as a datagram.
    pub fn write(&self, into: &mut Vec<u8>) {
        into.clear();
        into.push(0x80);
        into.push(self.payload_type & 0x7f | u8::from(self.marker) << 7);
        into.extend_from_slice(&self.sequence.to_be_bytes());
        into.extend_from_slice(&self.timestamp.to_be_bytes());
        into.extend_from_slice(&self.ssrc.to_be_bytes());
        into.extend_from_slice(self.payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn contributors_extension_and_padding_are_no_payload() {
        let mut bytes = vec![0x80 | 0x30 | 1, 0x80, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([9; 4]);
        bytes.extend([0, 0, 0, 1, 8, 8, 8, 8]);
        bytes.extend([1, 2, 3, 0, 2]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.payload, packet.marker, packet.payload_type), (&[1, 2, 3][..], true, 0));
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_none() {
        for bytes in
            [&[0x80; 11][..], &[0x40; 20], &[0x8f; 20], &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200]]
        {
            assert_eq!(Packet::parse(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payload in proptest::collection::vec(any::<u8>(), 0..200), sequence: u16,
                                   timestamp: u32, ssrc: u32, payload_type in 0_u8..128, marker: bool) {
            let packet = Packet { payload_type, marker, sequence, timestamp, ssrc, payload: &payload };
            let mut bytes = Vec::new();
            packet.write(&mut bytes);
            prop_assert_eq!(Packet::parse(&bytes), Some(packet));
        }

        #[test]
        fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Packet::parse(&bytes);
        }
    }
}
