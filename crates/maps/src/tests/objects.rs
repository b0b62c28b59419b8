use super::*;
use crate::{Held, Layout, flags};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// An object that tells when it is dropped.
struct Thing {
    id: u32,
    map: Option<MapDef>,
    gone: Arc<AtomicBool>,
}

// SAFETY: nobody takes the word for anything.
unsafe impl Held for Thing {
    fn word(&self) -> u64 {
        u64::from(self.id) << 32
    }

    fn id(&self) -> u32 {
        self.id
    }

    fn map(&self) -> Option<&MapDef> {
        self.map.as_ref()
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.gone.store(true, Relaxed);
    }
}

fn thing(id: u32, map: Option<MapDef>) -> (Option<Arc<dyn Held>>, Arc<AtomicBool>) {
    let gone = Arc::new(AtomicBool::new(false));
    (Some(Arc::new(Thing { id, map, gone: gone.clone() })), gone)
}

#[test]
fn a_program_that_is_replaced_lives_while_a_cpu_may_run_it() {
    let env = env();
    let map = create(&def(MapType::PROG_ARRAY, 4, 4, 2), None, &env).unwrap();
    let slots = map.slots().unwrap();
    let key = 1u32.to_ne_bytes();
    let (first, gone) = thing(5, None);
    slots.set(&key, first, 0).unwrap();
    assert_eq!((slots.word(&key), u32s(&*map, 1)), (5 << 32, Ok(5)));
    assert_eq!(slots.get(&key).unwrap().id(), 5);

    let cpu = env.domain.reader();
    let batch = cpu.enter();
    slots.set(&key, thing(6, None).0, 0).unwrap();
    assert_eq!(slots.word(&key), 6 << 32);
    assert!(!gone.load(Relaxed));
    drop(batch);
    assert!(gone.load(Relaxed));
}

#[test]
fn entries_of_a_prog_array_come_and_go_as_in_the_kernel() {
    let map = make(&def(MapType::PROG_ARRAY, 4, 4, 2));
    let slots = map.slots().unwrap();
    assert_eq!(u32s(&*map, 0), Err(Errno::ENOENT));
    assert_eq!(slots.set(&2u32.to_ne_bytes(), thing(1, None).0, 0), Err(Errno::E2BIG));
    assert_eq!(slots.set(&[0; 4], thing(1, None).0, flags::BPF_EXIST), Err(Errno::EINVAL));
    assert_eq!(slots.set(&[0; 4], thing(1, Some(def(MapType::ARRAY, 4, 4, 1))).0, 0), Err(Errno::EINVAL));
    assert_eq!(map.remove(&[0; 4]), Err(Errno::ENOENT));
    assert_eq!(slots.set(&[0; 4], thing(1, None).0, 0), Ok(()));
    assert_eq!(map.remove(&[0; 4]), Ok(()));
    assert_eq!(slots.word(&[0; 4]), 0);
    assert_eq!(slots.word(&[9; 4]), 0);
    map.freeze();
    assert_eq!(slots.set(&[0; 4], thing(1, None).0, 0), Err(Errno::EPERM));
}

#[test]
fn an_inner_map_is_like_the_template() {
    let template = def(MapType::ARRAY, 4, 8, 4);
    for ty in [MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS] {
        let outer = def(ty, 4, 4, 2);
        let map = create(&outer, Some(&template), &env()).unwrap();
        let slots = map.slots().unwrap();
        assert_eq!(slots.set(&[0; 4], thing(1, Some(template.clone())).0, 0), Ok(()));
        for other in [def(MapType::HASH, 4, 8, 4), def(MapType::ARRAY, 4, 4, 4), def(MapType::ARRAY, 4, 8, 5)] {
            assert_eq!(slots.set(&[0; 4], thing(1, Some(other)).0, 0), Err(Errno::EINVAL));
        }
        let error = create(&outer, None, &env()).err().unwrap();
        assert_eq!(error.kernel.as_deref(), Some("-EBADF"));
        let error = create(&outer, Some(&outer), &env()).err().unwrap();
        assert_eq!(error.kernel.as_deref(), Some("-EINVAL"));
    }
}

#[test]
fn a_hash_of_maps_is_a_hash() {
    let template = def(MapType::ARRAY, 4, 8, 4);
    let map = create(&def(MapType::HASH_OF_MAPS, 8, 4, 2), Some(&template), &env()).unwrap();
    let slots = map.slots().unwrap();
    let inner = |id| thing(id, Some(template.clone())).0;
    assert_eq!(slots.set(&[1; 8], inner(1), flags::BPF_EXIST), Err(Errno::ENOENT));
    assert_eq!(slots.set(&[1; 8], inner(1), flags::BPF_NOEXIST), Ok(()));
    assert_eq!(slots.set(&[2; 8], inner(2), 0), Ok(()));
    assert_eq!(slots.set(&[3; 8], inner(3), 0), Err(Errno::E2BIG));
    let (next, gone) = thing(4, Some(template.clone()));
    assert_eq!(slots.set(&[1; 8], next, 0), Ok(()));
    assert_eq!((slots.word(&[1; 8]), slots.word(&[2; 8]), slots.word(&[3; 8])), (4 << 32, 2 << 32, 0));
    assert_eq!(keys(&*map).len(), 2);
    assert!(matches!(map.layout(), Layout::Hash { .. }));
    assert_eq!(map.remove(&[1; 8]), Ok(()));
    assert!(gone.load(Relaxed));
    assert!(slots.get(&[1; 8]).is_none());
}
