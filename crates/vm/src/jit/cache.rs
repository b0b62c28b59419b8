//! Native code that outlives its process: what was compiled is kept and linked again. What is kept names nothing by its
//! address, and is believed only with a code that none but holders of a secret can make.
//!
//! Knows nothing of files: a [`Store`] keeps bytes.

use super::Jit;
use super::plan::Rules;
use super::text::Relocatable;
use crate::stack::Stack;
use crate::{Code, Env};
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::offset_of;
use std::sync::Arc;

/// Programs of fewer slots are compiled in the time that a file takes.
const WORTH: usize = 1_000;

/// Bytes of digests and secrets.
const SIZE: usize = 32;

/// Where native code looks: the compiler of the engine decides.
const OFFSETS: [usize; 10] = [
    offset_of!(Env, stack) + Stack::USED,
    offset_of!(Env, stack) + Stack::LIMIT,
    offset_of!(Env, stack) + Stack::TOP,
    offset_of!(Env, asked),
    offset_of!(Env, called),
    offset_of!(Env, fuel),
    offset_of!(Env, arena),
    offset_of!(Env, frames),
    offset_of!(Env, cpu),
    size_of::<Env>(),
];

/// What keeps images. It need not be trusted: what it changes or makes up is not believed.
pub trait Store: Send + Sync {
    /// A secret that only those know who may make native code for this user; always the same one. `None`: nothing is kept.
    fn secret(&self) -> Option<[u8; SIZE]>;
    /// What was kept under a name, which consists of letters and digits.
    fn get(&self, name: &str) -> Option<Vec<u8>>;
    /// Keeps something, in place of what has the name.
    fn put(&self, name: &str, image: &[u8]);
}

/// Images that were compiled before, by this process or another one.
pub struct Cache {
    store: Box<dyn Store>,
}

impl Cache {
    /// Kept by `store`.
    #[must_use]
    pub fn new(store: Box<dyn Store>) -> Arc<Cache> {
        Arc::new(Cache { store })
    }

    /// The image of this key, if it is there and is what was kept.
    pub(super) fn get(&self, key: &Key) -> Option<Relocatable> {
        let secret = self.store.secret()?;
        let kept = self.store.get(&key.name())?;
        let (code, image) = kept.split_at_checked(SIZE)?;
        let differs = authentication(&secret, key, image).iter().zip(code).fold(0, |differs, (a, b)| differs | (a ^ b));
        if differs == 0 { Relocatable::read(image) } else { None }
    }

    pub(super) fn put(&self, key: &Key, image: &Relocatable) {
        let Some(secret) = self.store.secret() else { return };
        let image = image.write();
        let mut kept = authentication(&secret, key, &image).to_vec();
        kept.extend(image);
        self.store.put(&key.name(), &kept);
    }
}

/// What an image is made of and for.
pub(super) struct Key([u8; SIZE]);

impl Key {
    /// Of a program that a compiler makes native code of, if that is worth keeping.
    pub(super) fn of(jit: &Jit, code: &Code, rules: &Rules<'_>) -> Option<Key> {
        if code.insns.len() < WORTH {
            return None;
        }
        let mut hasher = Hashing(Sha256::new());
        // This engine: its sources, and where its compiler has put what native code looks into.
        let engine = (env!("CARGO_PKG_VERSION"), env!("ALVEARY_SOURCES"), cranelift_codegen::VERSION);
        (engine, OFFSETS).hash(&mut hasher);
        // This processor.
        jit.isa.triple().to_string().hash(&mut hasher);
        jit.isa.isa_flags().iter().for_each(|flag| flag.to_string().hash(&mut hasher));
        (jit.settings.passes, rules.passes, rules.arena, rules.fuel).hash(&mut hasher);
        code.hash(&mut hasher);
        Some(Key(hasher.0.finalize().into()))
    }

    fn name(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Feeds what is hashed to a digest.
struct Hashing(Sha256);

impl Hasher for Hashing {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// HMAC-SHA256 (RFC 2104) of a key and its image.
fn authentication(secret: &[u8; SIZE], key: &Key, image: &[u8]) -> [u8; SIZE] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(secret).for_each(|(byte, secret)| *byte ^= secret);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(key.0).chain_update(image).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}
