//! ADPCM in blocks, as WAVE tags 2 (Microsoft) and 17 (IMA, also DVI) lay it out.
//!
//! Pure. Each block begins with its own predictors, so that a block that is damaged costs its own samples alone. Source:
//! "New Multimedia Data Types and Data Techniques", and the IMA's "Recommended Practices for Enhancing Digital Audio
//! Compatibility".

/// Steps of IMA's quantiser.
const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88,
    97, 107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658,
    724, 796, 876, 963, 1_060, 1_166, 1_282, 1_411, 1_552, 1_707, 1_878, 2_066, 2_272, 2_499, 2_749, 3_024,
    3_327, 3_660, 4_026, 4_428, 4_871, 5_358, 5_894, 6_484, 7_132, 7_845, 8_630, 9_493, 10_442, 11_487,
    12_635, 13_899, 15_289, 16_818, 18_500, 20_350, 22_385, 24_623, 27_086, 29_794, 32_767,
];
/// How the step follows a code.
const MOVES: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];
/// Microsoft's predictors: weights of the last sample and the one before, in 256ths.
const WEIGHTS: [(i32, i32); 7] =
    [(256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232)];
/// How Microsoft's step follows a code, in 256ths.
const FACTORS: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];

/// The samples of an IMA block, all channels in turn.
pub(super) fn ima_block(block: &[u8], channels: usize) -> Vec<i16> {
    let Some((heads, rest)) = block.split_at_checked(4 * channels) else { return Vec::new() };
    let decoded: Vec<Vec<i16>> =
        (0..channels).map(|channel| ima_channel(heads, rest, channel, channels)).collect();
    in_turn(&decoded)
}

/// Words of four bytes take turns between the channels.
fn ima_channel(heads: &[u8], rest: &[u8], channel: usize, channels: usize) -> Vec<i16> {
    let head = heads.get(4 * channel..).unwrap_or_default();
    let mut value = i32::from(i16_at(head, 0));
    let mut step = head.get(2).map_or(0, |step| i32::from(*step)).clamp(0, 88);
    let mut samples = vec![clamp(value)];
    for word in rest.chunks(4).skip(channel).step_by(channels) {
        for code in word.iter().flat_map(|byte| [byte & 15, byte >> 4]) {
            value = clamp_i32(value + ima_difference(code, step));
            step = (step + MOVES[usize::from(code & 7)]).clamp(0, 88);
            samples.push(clamp(value));
        }
    }
    samples
}

fn ima_difference(code: u8, step: i32) -> i32 {
    let size = usize::try_from(step).ok().and_then(|step| STEPS.get(step)).copied().unwrap_or(7);
    let part = |bit: u8, shift: u32| if code & bit == 0 { 0 } else { size >> shift };
    let difference = (size >> 3) + part(1, 2) + part(2, 1) + part(4, 0);
    if code & 8 == 0 { difference } else { -difference }
}

/// A channel of Microsoft's.
struct MsChannel {
    weights: (i32, i32),
    step: i32,
    last: i32,
    before: i32,
}

impl MsChannel {
    fn next(&mut self, code: u8) -> i16 {
        let signed = if code & 8 == 0 { i32::from(code) } else { i32::from(code) - 16 };
        let (last, before) = self.weights;
        // Weights and samples are small: the product can't leave 32 bits.
        let foretold = (self.last * last + self.before * before) >> 8;
        let value = clamp_i32(foretold.saturating_add(signed.saturating_mul(self.step)));
        self.before = std::mem::replace(&mut self.last, value);
        let factor = FACTORS.get(usize::from(code)).copied().unwrap_or(230);
        self.step = (factor.saturating_mul(self.step) >> 8).clamp(16, i32::MAX / 768);
        clamp(value)
    }
}

/// The samples of a block of Microsoft's, all channels in turn.
pub(super) fn ms_block(block: &[u8], channels: usize) -> Vec<i16> {
    let Some((head, codes)) = block.split_at_checked(7 * channels) else { return Vec::new() };
    let field =
        |number: usize, channel: usize| i32::from(i16_at(head, channels + 2 * (number * channels + channel)));
    let mut states: Vec<MsChannel> = (0..channels)
        .map(|channel| MsChannel {
            weights: head
                .get(channel)
                .and_then(|found| WEIGHTS.get(usize::from(*found)))
                .copied()
                .unwrap_or((0, 0)),
            step: field(0, channel),
            last: field(1, channel),
            before: field(2, channel),
        })
        .collect();
    let mut samples: Vec<i16> = states.iter().map(|state| clamp(state.before)).collect();
    samples.extend(states.iter().map(|state| clamp(state.last)));
    for (place, code) in codes.iter().flat_map(|byte| [byte >> 4, byte & 15]).enumerate() {
        samples.extend(states.get_mut(place % channels.max(1)).map(|state| state.next(code)));
    }
    samples
}

fn in_turn(channels: &[Vec<i16>]) -> Vec<i16> {
    let length = channels.iter().map(Vec::len).min().unwrap_or(0);
    (0..length)
        .flat_map(|place| channels.iter().filter_map(move |channel| channel.get(place).copied()))
        .collect()
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    let found = bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    found.map_or(0, i16::from_le_bytes)
}

fn clamp_i32(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

fn clamp(value: i32) -> i16 {
    i16::try_from(clamp_i32(value)).unwrap_or_default()
}
