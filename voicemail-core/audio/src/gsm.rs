//! GSM 06.10 full rate, as WAVE tag 49 packs it: a block of 65 bytes is two frames, 320 samples.
//!
//! Pure, and written after ETSI EN 300 961: clause 5.3 (decoder), tables 5.1 to 5.6; arithmetic of 16 bits that
//! saturates. Whatever the bits are, a frame has 160 samples: nothing can go wrong here but the sound.

/// Samples of a frame.
pub(super) const FRAME: usize = 160;
/// Samples of a quarter of a frame.
const QUARTER: usize = 40;
/// Pulses of a quarter.
const PULSES: usize = 13;
/// How far back a quarter may refer.
const LONGEST_LAG: usize = 120;
/// Bits of a frame.
const BITS: usize = 260;

/// Of each log-area ratio: its bits, and its decoding (tables 5.1 and 5.3: MIC, B, INVA).
const RATIOS: [(usize, i16, i16, i16); 8] = [
    (6, -32, 0, 13_107),
    (6, -32, 0, 13_107),
    (5, -16, 2_048, 13_107),
    (5, -16, -2_560, 13_107),
    (4, -8, 94, 19_223),
    (4, -8, -1_792, 17_476),
    (3, -4, -341, 31_454),
    (3, -4, -1_144, 29_708),
];
/// Gain of what is referred to (table 5.3b, QLB).
const GAINS: [i16; 4] = [3_277, 11_469, 21_299, 32_767];
/// Mantissas of a quarter's largest pulse (table 5.6, FAC).
const MANTISSAS: [i16; 8] = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];

/// Decoder state between two frames.
pub(super) struct Gsm {
    /// The last 120 samples of the excitation.
    history: [i16; LONGEST_LAG],
    lag: usize,
    ratios: [i16; 8],
    lattice: [i16; 9],
    emphasis: i16,
}

impl Gsm {
    pub(super) fn new() -> Self {
        Self { history: [0; LONGEST_LAG], lag: 40, ratios: [0; 8], lattice: [0; 9], emphasis: 0 }
    }

    /// The samples of a block; of its first frame alone, if only that is whole.
    pub(super) fn block(&mut self, block: &[u8]) -> Vec<i16> {
        let mut bits = Bits { bytes: block, at: 0 };
        let frames = (block.len() * 8 / BITS).min(2);
        (0..frames).flat_map(|_| self.frame(&mut bits)).collect()
    }

    fn frame(&mut self, bits: &mut Bits<'_>) -> [i16; FRAME] {
        let coded = RATIOS.map(|(width, ..)| bits.take(width));
        let mut excitation = [0; FRAME];
        for quarter in excitation.chunks_exact_mut(QUARTER) {
            self.excite(bits, quarter);
        }
        let ratios = decode_ratios(coded);
        let mut samples = excitation;
        for (range, ratios) in interpolate(self.ratios, ratios) {
            let reflections = ratios.map(reflection);
            for sample in samples.iter_mut().take(range.end).skip(range.start) {
                *sample = self.synthesise(&reflections, *sample);
            }
        }
        self.ratios = ratios;
        samples.map(|sample| self.finish(sample))
    }

    /// A quarter's excitation: pulses on a grid of three samples, and what was heard a lag ago.
    fn excite(&mut self, bits: &mut Bits<'_>, quarter: &mut [i16]) {
        let (lag, gain, grid, largest) = (bits.take(7), bits.take(2), bits.take(2), bits.take(6));
        if (40..=120).contains(&lag) {
            self.lag = usize::from(lag.unsigned_abs());
        }
        let gain = GAINS.get(usize::from(gain.unsigned_abs())).copied().unwrap_or_default();
        for (place, pulse) in pulses(largest, bits).into_iter().enumerate() {
            if let Some(sample) = quarter.get_mut(usize::from(grid.unsigned_abs()) + 3 * place) {
                *sample = pulse;
            }
        }
        for (place, sample) in quarter.iter_mut().enumerate() {
            let before = self.history.get(LONGEST_LAG - self.lag + place).copied().unwrap_or_default();
            *sample = sample.saturating_add(times(gain, before));
        }
        self.history.copy_within(QUARTER.., 0);
        self.history[LONGEST_LAG - QUARTER..].copy_from_slice(quarter);
    }

    fn synthesise(&mut self, reflections: &[i16; 8], excitation: i16) -> i16 {
        let mut sample = excitation;
        for (stage, reflection) in reflections.iter().enumerate().rev() {
            sample = sample.saturating_sub(times(*reflection, self.lattice[stage]));
            self.lattice[stage + 1] = self.lattice[stage].saturating_add(times(*reflection, sample));
        }
        self.lattice[0] = sample;
        sample
    }

    /// De-emphasis, and the 13 bits that there are.
    fn finish(&mut self, sample: i16) -> i16 {
        self.emphasis = sample.saturating_add(times(self.emphasis, 28_180));
        self.emphasis.saturating_add(self.emphasis) & !7
    }
}

/// Bits of a block, the lowest of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, width: usize) -> i16 {
        (0..width).fold(0, |value, place| {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or_default();
            let bit = i16::from(byte >> (self.at % 8) & 1);
            self.at += 1;
            value | bit << place
        })
    }
}

/// A product of two fractions of 15 bits, rounded.
fn times(left: i16, right: i16) -> i16 {
    let product = (i32::from(left) * i32::from(right) + 16_384) >> 15;
    i16::try_from(product).unwrap_or(i16::MAX)
}

/// The pulses of a quarter, from the largest one's logarithm and the others' parts of it.
fn pulses(largest: i16, bits: &mut Bits<'_>) -> [i16; PULSES] {
    let (exponent, mantissa) = split(largest);
    let factor = MANTISSAS.get(usize::from(mantissa.unsigned_abs())).copied().unwrap_or_default();
    let shift = 6 - exponent;
    let half = if shift > 0 { 1i16 << (shift - 1) } else { 0 };
    std::array::from_fn(|_| {
        let part = ((bits.take(3) << 1) - 7) << 12;
        times(factor, part).saturating_add(half) >> shift
    })
}

fn split(largest: i16) -> (i16, i16) {
    let mut exponent = if largest > 15 { (largest >> 3) - 1 } else { 0 };
    let mut mantissa = largest - (exponent << 3);
    if mantissa == 0 {
        return (-4, 7);
    }
    while mantissa <= 7 {
        mantissa = mantissa << 1 | 1;
        exponent -= 1;
    }
    (exponent, mantissa - 8)
}

fn decode_ratios(coded: [i16; 8]) -> [i16; 8] {
    std::array::from_fn(|place| {
        let (_, lowest, offset, inverse) = RATIOS[place];
        let scaled = ((coded[place] + lowest) << 10).saturating_sub(offset << 1);
        let ratio = times(inverse, scaled);
        ratio.saturating_add(ratio)
    })
}

/// The first samples pass from the last frame's ratios to this one's.
fn interpolate(old: [i16; 8], new: [i16; 8]) -> [(std::ops::Range<usize>, [i16; 8]); 4] {
    let mix = |weigh: fn(i16, i16) -> i16| std::array::from_fn(|place| weigh(old[place], new[place]));
    [
        (0..13, mix(|old, new| (old >> 2).saturating_add(new >> 2).saturating_add(old >> 1))),
        (13..27, mix(|old, new| (old >> 1).saturating_add(new >> 1))),
        (27..40, mix(|old, new| (old >> 2).saturating_add(new >> 2).saturating_add(new >> 1))),
        (40..FRAME, new),
    ]
}

/// A reflection coefficient from its log-area ratio, in three pieces.
fn reflection(ratio: i16) -> i16 {
    let size = ratio.saturating_abs();
    let found = match size {
        ..11_059 => size << 1,
        11_059..20_070 => size + 11_059,
        _ => (size >> 2).saturating_add(26_112),
    };
    if ratio < 0 { -found } else { found }
}
