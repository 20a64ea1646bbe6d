//! Audio in the form that somebody asks for: one channel, as 16 bits, A-law or µ-law, at the rate wanted.
//!
//! Pure: pieces of the stored audio go in, pieces of the converted file come out, and its size is known before. The same
//! audio gives the same bytes, so that entity tags and ranges hold.

use super::decode::Decoder;
use super::g711::{to_a_law, to_mu_law};
use super::resample::Resampler;
use super::{Codec, WavFormat};

/// Converts one recording.
pub struct Converter {
    channels: usize,
    decoder: Decoder,
    resampler: Option<Resampler>,
    wanted: WavFormat,
    /// Samples that the converted file has.
    total: usize,
    made: usize,
}

impl Converter {
    /// From that form, with so many bytes of audio, to another one.
    pub fn new(from: WavFormat, audio: u64, wanted: WavFormat) -> Self {
        let samples =
            from.samples(audio).saturating_mul(u64::from(wanted.rate)) / u64::from(from.rate.max(1));
        let resampler = (from.rate != wanted.rate).then(|| Resampler::new(from.rate, wanted.rate));
        let total = usize::try_from(samples).unwrap_or(usize::MAX);
        let channels = usize::from(from.channels).max(1);
        Self { channels, decoder: Decoder::new(from), resampler, wanted, total, made: 0 }
    }

    /// The converted file's header.
    pub fn header(&self) -> Vec<u8> {
        let data = self.wanted.frame().saturating_mul(self.total as u64);
        self.wanted.header(u32::try_from(data).unwrap_or(u32::MAX))
    }

    /// The converted file's size, in bytes.
    pub fn size(&self) -> u64 {
        self.header().len() as u64 + self.wanted.frame().saturating_mul(self.total as u64)
    }

    /// The piece of the new file that the next piece of audio makes.
    pub fn push(&mut self, audio: &[u8]) -> Vec<u8> {
        let samples = self.decoder.push(audio);
        self.encode(&samples)
    }

    /// The rest of the file.
    pub fn finish(&mut self) -> Vec<u8> {
        let samples = self.decoder.finish();
        let mut bytes = self.encode(&samples);
        if let Some(resampler) = &mut self.resampler {
            let rest = resampler.finish(self.total);
            bytes.extend(self.write(&rest));
        }
        // Audio that is shorter than was said: silence, since the size has been told.
        let silence = vec![0; self.total.saturating_sub(self.made)];
        bytes.extend(self.write(&silence));
        bytes
    }

    fn encode(&mut self, samples: &[i16]) -> Vec<u8> {
        let mono: Vec<i16> = samples.chunks_exact(self.channels).map(mixed).collect();
        match &mut self.resampler {
            Some(resampler) => {
                let samples = resampler.push(&mono);
                self.write(&samples)
            }
            None => self.write(&mono),
        }
    }

    fn write(&mut self, samples: &[i16]) -> Vec<u8> {
        let samples = samples.get(..samples.len().min(self.total - self.made)).unwrap_or_default();
        self.made += samples.len();
        match self.wanted.codec {
            Codec::ALaw => samples.iter().map(|sample| to_a_law(*sample)).collect(),
            Codec::MuLaw => samples.iter().map(|sample| to_mu_law(*sample)).collect(),
            _ => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
        }
    }
}

fn mixed(frame: &[i16]) -> i16 {
    let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
    i16::try_from(sum / i32::try_from(frame.len()).unwrap_or(1).max(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::g711::{from_a_law, from_mu_law};
    use super::super::{AudioLimits, WavParser};
    use super::*;

    macro_rules! vector {
        ($name:literal) => {
            (
                include_bytes!(concat!("../tests/fixtures/audio/", $name, ".wav")).as_slice(),
                include_bytes!(concat!("../tests/fixtures/audio/", $name, ".s16")).as_slice(),
            )
        };
    }

    fn parsed(file: &[u8]) -> (WavFormat, usize) {
        let mut parser = WavParser::new(AudioLimits { max_seconds: 60, max_bytes: 1 << 20 });
        parser.push(file).unwrap();
        (parser.format().unwrap(), usize::try_from(parser.audio_start().unwrap()).unwrap())
    }

    /// Decoded in pieces of an odd size.
    fn decoded(file: &[u8]) -> Vec<u8> {
        let (format, start) = parsed(file);
        let mut decoder = Decoder::new(format);
        let mut samples: Vec<i16> = file[start..].chunks(37).flat_map(|piece| decoder.push(piece)).collect();
        samples.extend(decoder.finish());
        samples.into_iter().flat_map(i16::to_le_bytes).collect()
    }

    #[test]
    fn blocks_are_decoded_as_other_programs_decode_them() {
        let vectors =
            [vector!("gsm"), vector!("ima"), vector!("ima-stereo"), vector!("ms"), vector!("ms-stereo")];
        for (file, samples) in vectors {
            assert!(decoded(file) == samples, "{:?}", parsed(file).0);
        }
    }

    #[test]
    fn a_law_and_mu_law_are_their_own_inverse() {
        for code in 0..=255u8 {
            assert_eq!(from_a_law(to_a_law(from_a_law(code))), from_a_law(code), "{code}");
            assert_eq!(from_mu_law(to_mu_law(from_mu_law(code))), from_mu_law(code), "{code}");
        }
        // G.711, tables 1a and 2a: the loudest of each.
        assert_eq!((from_a_law(0xAA), from_mu_law(0x80)), (32_256, 32_124));
        for sample in [i16::MIN, -1, 0, 1, i16::MAX] {
            assert!((i32::from(from_mu_law(to_mu_law(sample))) - i32::from(sample)).abs() < 700);
            assert!((i32::from(from_a_law(to_a_law(sample))) - i32::from(sample)).abs() < 700);
        }
    }

    #[test]
    fn every_form_is_converted_to_the_size_that_was_told() {
        let codecs = [
            (Codec::Pcm8, 1),
            (Codec::Pcm16, 2),
            (Codec::Pcm24, 1),
            (Codec::Pcm32, 2),
            (Codec::Float32, 1),
            (Codec::Float64, 2),
            (Codec::ALaw, 1),
            (Codec::MuLaw, 2),
            (Codec::Gsm, 1),
            (Codec::ImaAdpcm(256), 2),
            (Codec::MsAdpcm(256), 1),
        ];
        for (codec, channels) in codecs {
            let from = WavFormat { codec, channels, rate: 11_025 };
            let audio: Vec<u8> = (0..9_973u32).map(|n| (n * 31 % 251) as u8).collect();
            for (codec, rate) in [(Codec::Pcm16, 11_025), (Codec::ALaw, 8_000), (Codec::MuLaw, 16_000)] {
                let wanted = WavFormat { codec, channels: 1, rate };
                let mut converter = Converter::new(from, audio.len() as u64, wanted);
                let mut file = converter.header();
                audio.chunks(1_001).for_each(|piece| file.extend(converter.push(piece)));
                file.extend(converter.finish());
                assert_eq!(file.len() as u64, converter.size(), "{from:?} {wanted:?}");
                assert_eq!(parsed(&file).0, wanted);
            }
        }
    }

    #[test]
    fn wide_samples_keep_their_loudness() {
        let half = |codec, sample: &[u8]| {
            let mut decoder = Decoder::new(WavFormat { codec, channels: 1, rate: 8_000 });
            decoder.push(sample)
        };
        assert_eq!(half(Codec::Pcm8, &[192]), [16_384]);
        assert_eq!(half(Codec::Pcm24, &[0, 0, 0x40]), [16_384]);
        assert_eq!(half(Codec::Pcm32, &[0, 0, 0, 0x40]), [16_384]);
        assert_eq!(half(Codec::Float32, &0.5f32.to_le_bytes()), [16_384]);
        assert_eq!(half(Codec::Float64, &7.0f64.to_le_bytes()), [32_767]);
        assert_eq!(half(Codec::Float64, &f64::NAN.to_le_bytes()), [0]);
    }
}
