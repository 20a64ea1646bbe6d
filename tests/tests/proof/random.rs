//! Random numbers that a seed draws again (SplitMix64).

/// A source of numbers.
pub(crate) struct Random(u64);

impl Random {
    /// A seed that nobody chose.
    pub(crate) fn any_seed() -> u64 {
        u64::from(uuid::Uuid::new_v4().as_fields().0)
    }

    /// The numbers of one of many sources under a seed.
    pub(crate) fn of(seed: u64, source: u64) -> Self {
        let mut random = Self(seed ^ source.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below that.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or_default()
    }

    /// One of these.
    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
