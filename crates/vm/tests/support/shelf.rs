//! A store of native code that tests look into.

use alveary_vm::{Cache, Jit, Settings, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Keeps images in memory, and counts.
#[derive(Clone, Default)]
pub struct Shelf(pub Arc<Mutex<Kept>>);

#[derive(Default)]
pub struct Kept {
    pub secret: [u8; 32],
    pub images: BTreeMap<String, Vec<u8>>,
    puts: usize,
}

impl Store for Shelf {
    fn secret(&self) -> Option<[u8; 32]> {
        Some(self.0.lock().expect("no test panics with it").secret)
    }

    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().expect("no test panics with it").images.get(name).cloned()
    }

    fn put(&self, name: &str, image: &[u8]) {
        let mut kept = self.0.lock().expect("no test panics with it");
        kept.puts += 1;
        kept.images.insert(name.to_owned(), image.to_vec());
    }
}

impl Shelf {
    pub fn puts(&self) -> usize {
        self.0.lock().expect("no test panics with it").puts
    }

    /// A compiler that knows nothing but what is kept here.
    pub fn jit(&self, settings: Settings) -> Arc<Jit> {
        Jit::cached(settings, Cache::new(Box::new(self.clone()))).expect("there is one for this machine")
    }

    pub fn change(&self, change: impl Fn(&mut Vec<u8>)) {
        self.0.lock().expect("no test panics with it").images.values_mut().for_each(change);
    }
}
