//! Argon2 digests of PINs and passwords, in memory that is kept and used again.
//!
//! Each digest fills megabytes. Memory that is freed after each stays with the allocator, in as many pieces as there were
//! threads, and a busy minute of PINs took more than a pod has. So the process has one piece, which grows to what
//! the largest digest needs and never beyond [`LARGEST_KIB`]; digests are made one after the other, each in some
//! twenty milliseconds. Callers wait on a blocking thread.
//!
//! What can go wrong: a digest that would need more. Configuration and stored documents are checked before.

use argon2::{Argon2, Block, Error};
use std::sync::{Mutex, PoisonError};

/// Most memory of one digest, in KiB.
pub const LARGEST_KIB: u32 = 64 * 1024;

static MEMORY: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Makes a digest.
///
/// # Errors
/// `MemoryTooMuch` above [`LARGEST_KIB`]; the algorithm's, for a salt or length that it doesn't take.
pub fn make(argon: &Argon2<'_>, secret: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if argon.params().m_cost() > LARGEST_KIB {
        return Err(Error::MemoryTooMuch);
    }
    let count = argon.params().block_count();
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.len() < count {
        // The smaller piece goes first: both at once would be more than either.
        *memory = Vec::new();
        memory.reserve_exact(count);
        memory.resize(count, Block::default());
    }
    argon.hash_password_into_with_memory(secret, salt, out, &mut memory[..count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{Algorithm, Params, Version};

    fn argon(memory: u32) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, 1, 1, Some(32)).unwrap())
    }

    #[test]
    fn used_memory_gives_the_digests_that_fresh_memory_gives() {
        for memory in [64, 1_024, 128, 64] {
            let (mut ours, mut fresh) = ([0; 32], [0; 32]);
            make(&argon(memory), b"739154", b"saltsalt", &mut ours).unwrap();
            argon(memory).hash_password_into(b"739154", b"saltsalt", &mut fresh).unwrap();
            assert_eq!(ours, fresh, "{memory} KiB");
        }
    }

    #[test]
    fn a_digest_that_needs_more_than_there_is_takes_nothing() {
        let mut out = [0; 32];
        assert_eq!(make(&argon(LARGEST_KIB + 8), b"x", b"saltsalt", &mut out), Err(Error::MemoryTooMuch));
    }
}
