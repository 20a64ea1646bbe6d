//! Repair of a header in which a recorder left the size of a pipe, or none.
//!
//! Pure. A recording is stored as it came; its size fields are put right on the way out, in place, so that players
//! see its length and nothing moves.

use super::WavFormat;
use super::chunk::Head;
use voicemail_model::Mend;

/// The sizes of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// All of it, in bytes.
    pub(super) file: u64,
    /// Its audio, in bytes.
    pub(super) audio: u64,
    /// Samples of each channel.
    pub(super) samples: u64,
    /// Whether the header says rightly how long the audio is.
    pub(super) was_known: bool,
}

/// The fields that are wrong, as they should be.
pub(super) fn mends(head: &Head, format: WavFormat, sizes: Sizes) -> Vec<Mend> {
    let mut mends = Vec::new();
    if let Some(riff) = right_riff(head, sizes) {
        mends.push(Mend::new(4, &riff.to_le_bytes()));
    }
    if let Some(align) = right_align(head, format) {
        mends.push(align);
    }
    if let (Some(data), false) = (head.data_field, sizes.was_known) {
        let audio = u32::try_from(sizes.audio).unwrap_or(u32::MAX);
        mends.push(Mend::new(data, &audio.to_le_bytes()));
        let samples = u32::try_from(sizes.samples).unwrap_or(u32::MAX);
        mends.extend(head.fact.map(|(at, _)| Mend::new(at, &samples.to_le_bytes())));
    }
    if let Some((at, file, audio)) = head.ds64
        && (file.saturating_add(8) != sizes.file || audio != sizes.audio)
    {
        let right = [sizes.file.saturating_sub(8), sizes.audio, sizes.samples];
        mends.push(Mend::new(at, &right.map(u64::to_le_bytes).concat()));
    }
    mends
}

/// A file may go on behind what it says, and lack its last pad byte; but it must hold its audio and be there.
fn right_riff(head: &Head, sizes: Sizes) -> Option<u32> {
    let said = u64::from(head.riff) + 8;
    let audio_ends = head.data_field.unwrap_or(0) + 4 + sizes.audio;
    let right = (audio_ends..=sizes.file.max(audio_ends) + 1).contains(&said);
    let in_ds64 = head.ds64.is_some() && head.riff == u32::MAX;
    (!right && !in_ds64).then(|| u32::try_from(sizes.file.saturating_sub(8)).unwrap_or(u32::MAX))
}

fn right_align(head: &Head, format: WavFormat) -> Option<Mend> {
    let (at, said) = head.align?;
    let right = u16::try_from(format.frame()).ok()?;
    (said != right).then(|| Mend::new(at, &right.to_le_bytes()))
}
