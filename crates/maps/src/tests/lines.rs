use super::*;
use crate::flags;

fn pushed(ty: MapType) -> Arc<dyn Map> {
    let map = make(&def(ty, 0, 4, 3));
    (1..=3u32).for_each(|n| map.queue().unwrap().push(&n.to_ne_bytes(), 0).unwrap());
    map
}

fn popped(map: &dyn Map) -> Vec<u32> {
    let mut out = [0; 4];
    std::iter::from_fn(|| map.queue().unwrap().pop(&mut out).ok().map(|()| u32::from_ne_bytes(out))).collect()
}

#[test]
fn a_queue_gives_the_oldest_a_stack_the_newest() {
    assert_eq!(popped(&*pushed(MapType::QUEUE)), [1, 2, 3]);
    assert_eq!(popped(&*pushed(MapType::STACK)), [3, 2, 1]);
}

#[test]
fn the_oldest_makes_room_if_asked() {
    for (ty, left) in [(MapType::QUEUE, [2, 3, 4]), (MapType::STACK, [4, 3, 2])] {
        let map = pushed(ty);
        assert_eq!(map.write(&[], &4u32.to_ne_bytes(), flags::BPF_ANY), Err(Errno::E2BIG));
        assert_eq!(map.write(&[], &4u32.to_ne_bytes(), flags::BPF_NOEXIST), Err(Errno::EINVAL));
        assert_eq!(map.write(&[], &4u32.to_ne_bytes(), flags::BPF_EXIST), Ok(()));
        assert_eq!(popped(&*map), left);
    }
}

#[test]
fn an_empty_one_gives_zeroes_and_an_error() {
    let map = make(&def(MapType::QUEUE, 0, 4, 1));
    let mut out = [1; 4];
    assert_eq!(map.queue().unwrap().pop(&mut out), Err(Errno::ENOENT));
    assert_eq!(out, [0; 4]);
}

#[test]
fn a_bloom_filter_never_says_no_to_what_is_in_it_and_seldom_yes_to_what_is_not() {
    let map = make(&MapDef { extra: 3, ..def(MapType::BLOOM_FILTER, 0, 8, 1000) });
    let queue = map.queue().unwrap();
    (0..1000u64).for_each(|n| queue.push(&n.to_ne_bytes(), 0).unwrap());
    assert!((0..1000u64).all(|n| queue.peek(&mut n.to_ne_bytes()).is_ok()));
    let wrong = (1000..11000u64).filter(|n| queue.peek(&mut n.to_ne_bytes()).is_ok()).count();
    assert!(wrong < 2000, "{wrong} of 10000 false positives");
    assert_eq!(queue.pop(&mut [0; 8]), Err(Errno::EOPNOTSUPP));
}
