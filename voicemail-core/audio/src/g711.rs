//! A-law and µ-law (ITU-T G.711), to and from 16 bits.

/// A sample of A-law.
pub(super) fn from_a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, part) = (code >> 4 & 7, i16::from(code & 15) << 4);
    let size = if segment == 0 { part + 8 } else { (part + 0x108) << (segment - 1) };
    if code & 0x80 == 0 { -size } else { size }
}

/// The nearest code of A-law.
pub(super) fn to_a_law(sample: i16) -> u8 {
    let (size, mask) = if sample < 0 { (!sample, 0x55) } else { (sample, 0xD5) };
    let size = size.unsigned_abs();
    let code = if size < 256 { size >> 4 } else { segmented(size) };
    u8::try_from(code).unwrap_or(0x7F) ^ mask
}

/// A sample of µ-law.
pub(super) fn from_mu_law(code: u8) -> i16 {
    let code = !code;
    let size = (((i16::from(code & 15) << 3) + BIAS) << (code >> 4 & 7)) - BIAS;
    if code & 0x80 == 0 { size } else { -size }
}

/// The nearest code of µ-law.
pub(super) fn to_mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let size = sample.unsigned_abs().min(32_635) + BIAS.unsigned_abs();
    !(sign | u8::try_from(segmented(size)).unwrap_or(0x7F))
}

const BIAS: i16 = 0x84;

/// Three bits of a size's magnitude and the four bits that follow its first one.
fn segmented(size: u16) -> u16 {
    let segment = (15 - size.leading_zeros().min(15)).saturating_sub(7);
    let part = size >> (segment + 3) & 15;
    u16::try_from(segment).unwrap_or(7) << 4 | part
}
