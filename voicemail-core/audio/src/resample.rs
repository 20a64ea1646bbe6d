//! Samples at another rate: a polyphase low-pass (a sinc under a Kaiser-like window), one channel.
//!
//! Pure, and the same for the same samples however they are cut: ranges of a converted file fit together.

use std::f64::consts::PI;

/// Zero crossings of the sinc on either side.
const LOBES: f64 = 12.0;
/// How much of the narrower band passes.
const PASS: f64 = 0.92;

/// From one rate to another.
pub(super) struct Resampler {
    /// Output samples for so many input samples.
    up: usize,
    down: usize,
    /// Taps on either side.
    half: usize,
    /// Taps of each phase, one after another.
    taps: Vec<f32>,
    /// Input that is still needed; the first stands for `start`, which counts `half` zeros before the file.
    kept: Vec<f32>,
    start: usize,
    made: usize,
}

impl Resampler {
    pub(super) fn new(from: u32, to: u32) -> Self {
        let common = gcd(from, to).max(1);
        let (up, down) = (whole(to / common), whole(from / common));
        let band = f64::from(to).min(f64::from(from)) / f64::from(from) * PASS;
        let half = to_usize(LOBES / band).max(1);
        let taps = (0..up).flat_map(|phase| phase_taps(phase, up, half, band)).collect();
        Self { up, down, half, taps, kept: vec![0.0; half], start: 0, made: 0 }
    }

    /// The samples that can be made now.
    pub(super) fn push(&mut self, samples: &[i16]) -> Vec<i16> {
        self.kept.extend(samples.iter().map(|sample| f32::from(*sample)));
        self.make(usize::MAX)
    }

    /// The last samples, up to so many in all.
    pub(super) fn finish(&mut self, total: usize) -> Vec<i16> {
        let missing = total.saturating_sub(self.made);
        let silence = (missing * self.down).div_ceil(self.up) + 2 * self.half + 1;
        self.kept.extend(std::iter::repeat_n(0.0, silence));
        self.make(total)
    }

    fn make(&mut self, total: usize) -> Vec<i16> {
        let mut made = Vec::new();
        while self.made < total {
            let place = self.made * self.down;
            let (at, phase) = (place / self.up - self.start, place % self.up);
            let Some(window) = self.kept.get(at + 1..at + 1 + 2 * self.half) else { break };
            let taps = self.taps.iter().skip(phase * 2 * self.half);
            let sum: f32 = window.iter().zip(taps).map(|(sample, tap)| sample * tap).sum();
            made.push(rounded(sum));
            self.made += 1;
        }
        self.forget();
        made
    }

    /// Drops input that nothing needs any more.
    fn forget(&mut self) {
        let needed = (self.made * self.down / self.up).saturating_sub(self.start).min(self.kept.len());
        self.kept.drain(..needed);
        self.start += needed;
    }
}

/// Weights of the inputs around a place between two of them.
fn phase_taps(phase: usize, up: usize, half: usize, band: f64) -> Vec<f32> {
    let offset = real(phase) / real(up);
    let weights: Vec<f64> = (0..2 * half)
        .map(|tap| {
            let distance = real(tap) + 1.0 - real(half) - offset;
            let window = (PI * distance / (2.0 * real(half))).cos().max(0.0);
            sinc(distance * band) * window * window
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    #[expect(clippy::cast_possible_truncation, reason = "weights of at most 1")]
    let taps = weights.iter().map(|weight| (weight / sum) as f32).collect();
    taps
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn rounded(value: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "it was rounded and clamped")]
    let sample = value.round().clamp(-32_768.0, 32_767.0) as i16;
    sample
}

fn gcd(left: u32, right: u32) -> u32 {
    if right == 0 { left } else { gcd(right, left % right) }
}

fn whole(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn real(value: usize) -> f64 {
    value as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
fn to_usize(value: f64) -> usize {
    value.ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| rounded((10_000.0 * (2.0 * PI * hertz * real(n) / f64::from(rate)).sin()) as f32))
            .collect()
    }

    fn resampled(from: u32, to: u32, samples: &[i16], piece: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to);
        let mut made: Vec<i16> = samples.chunks(piece).flat_map(|piece| resampler.push(piece)).collect();
        let total = samples.len() * to as usize / from as usize;
        made.extend(resampler.finish(total));
        assert_eq!(made.len(), total, "{from} to {to}");
        made
    }

    #[test]
    fn a_tone_stays_the_tone_that_it_was() {
        for (from, to) in
            [(48_000, 8_000), (44_100, 8_000), (8_000, 16_000), (16_000, 8_000), (11_025, 48_000)]
        {
            let made = resampled(from, to, &tone(from, 1_000.0, from as usize / 2), 1_000);
            let wanted = tone(to, 1_000.0, made.len());
            let middle = made.len() / 4..made.len() * 3 / 4;
            let off = made[middle.clone()].iter().zip(&wanted[middle]).map(|(a, b)| (a - b).abs()).max();
            assert!(off.unwrap() < 200, "{from} to {to}: off by {off:?}");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_left_out() {
        let made = resampled(48_000, 8_000, &tone(48_000, 9_000.0, 24_000), 777);
        assert!(made[500..3_500].iter().all(|sample| sample.abs() < 100));
    }

    #[test]
    fn however_it_is_cut_the_samples_are_the_same() {
        let samples = tone(44_100, 700.0, 5_000);
        assert_eq!(resampled(44_100, 8_000, &samples, 1), resampled(44_100, 8_000, &samples, 5_000));
    }
}
