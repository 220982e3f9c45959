//! Chance that is the same on every machine. In: a seed. Out: numbers, by integer arithmetic alone.

/// xoshiro256++ (Blackman and Vigna), seeded through splitmix64 as its authors advise.
pub struct Random([u64; 4]);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let word = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ word >> 31
        }))
    }

    pub const fn word(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let word = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        word
    }

    /// A number from `low` to below `high`, which is greater.
    pub const fn range(&mut self, low: u32, high: u32) -> u32 {
        low + (((self.word() >> 32) * (high - low) as u64) >> 32) as u32
    }

    /// True `parts` times in 65,536.
    pub const fn chance(&mut self, parts: u32) -> bool {
        (self.word() >> 48) < parts as u64
    }

    /// An exponential waiting time with mean `mean`. The logarithm is its linear approximation between powers of two, so that
    /// no mathematical library has a say; its mean is 4 % high.
    pub const fn wait(&mut self, mean: u64) -> u64 {
        const LN_2: u128 = 45_426;
        ((mean as u128 * self.log() as u128 * LN_2) >> 32) as u64
    }

    /// A number from 2 to below 4,096, half of them below 4, with a tail that falls off as the power -1.1.
    pub const fn heavy(&mut self) -> u32 {
        let power = (self.log() * 59_578) >> 16;
        let whole = power >> 16;
        if whole >= 11 {
            return 4_095;
        }
        ((2 << 16 | (power & 0xffff) << 1) << whole >> 16) as u32
    }

    /// The negative binary logarithm of a number between 0 and 1, in units of 2^-16.
    const fn log(&mut self) -> u64 {
        let word = self.word() | 1;
        let zeros = word.leading_zeros();
        let mantissa = (word << zeros << 1) >> 48;
        ((zeros as u64 + 1) << 16) - mantissa
    }
}
