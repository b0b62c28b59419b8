use super::*;

fn drained(map: &dyn Map) -> (Vec<(u32, Vec<u8>)>, u64) {
    let mut all = Vec::new();
    let lost = map.streams().unwrap().drain(&mut |event| all.push((event.cpu, event.data.to_vec())));
    (all, lost)
}

fn ring() -> Arc<dyn Map> {
    make(&def(MapType::RINGBUF, 0, 0, 4096))
}

#[test]
fn records_come_in_the_order_of_their_reservation() {
    let map = ring();
    let ring = map.streams().unwrap();
    let first = ring.reserve(4, 0).unwrap();
    ring.output(0, 0, &[b"sec", b"ond"], 0).unwrap();
    assert_eq!(drained(&*map), (vec![], 0), "the first is still busy");
    // SAFETY: the reservation is four bytes of the map.
    unsafe { first.addr.copy_from(b"1st!".as_ptr(), 4) };
    assert_eq!(ring.commit(first.addr as u64, false, 0), Ok(()));
    assert_eq!(drained(&*map).0, [(0, b"1st!".to_vec()), (0, b"second".to_vec())]);
}

#[test]
fn what_is_discarded_is_not_handed_over() {
    let map = ring();
    let ring = map.streams().unwrap();
    let record = ring.reserve(8, 0).unwrap();
    ring.commit(record.addr as u64, true, 0).unwrap();
    assert_eq!(drained(&*map), (vec![], 0));
    assert_eq!((ring.query(0), ring.query(2), ring.query(3)), (0, 16, 16));
}

#[test]
fn only_an_open_reservation_can_be_committed() {
    let map = ring();
    let ring = map.streams().unwrap();
    let record = ring.reserve(24, 0).unwrap().addr as u64;
    for wrong in [0, record - 8, record + 1, record + 8, record + 4096, u64::MAX] {
        assert_eq!(ring.commit(wrong, false, 0), Err(Errno::EINVAL));
    }
    assert_eq!(ring.commit(record, false, 0), Ok(()));
    assert_eq!(ring.commit(record, false, 0), Err(Errno::EINVAL), "twice");
}

#[test]
fn a_full_ring_refuses_and_counts() {
    let map = ring();
    let ring = map.streams().unwrap();
    assert!(ring.reserve(4096 - 8, 0).is_none(), "one byte less than the ring");
    assert!(ring.reserve(u64::MAX, 0).is_none());
    assert!(ring.reserve(8, 1).is_none(), "no flags");
    ring.output(0, 0, &[&[1; 4072]], 0).unwrap();
    assert_eq!(ring.output(0, 0, &[&[2; 8]], 0), Err(Errno::EAGAIN));
    assert_eq!(ring.output(0, 0, &[&[2; 8]], 4), Err(Errno::EINVAL));
    assert_eq!((ring.query(0), ring.query(1), ring.query(9)), (4080, 4096, 0));
    let (events, lost) = drained(&*map);
    assert_eq!((events, lost), (vec![(0, vec![1; 4072])], 3));
}

#[test]
fn records_go_on_over_the_end_of_the_ring() {
    let map = ring();
    let ring = map.streams().unwrap();
    for n in 0..1000u32 {
        let data = vec![n as u8; 1 + (n as usize * 37) % 1500];
        ring.output(0, 0, &[&data], 0).unwrap();
        assert_eq!(drained(&*map), (vec![(0, data)], 0));
    }
}

#[test]
fn an_old_busy_record_holds_the_ring_even_if_all_else_is_read() {
    let map = ring();
    let ring = map.streams().unwrap();
    let busy = ring.reserve(8, 0).unwrap();
    while ring.output(0, 0, &[&[0; 500]], 0).is_ok() {}
    assert_eq!(drained(&*map).0.len(), 0);
    ring.commit(busy.addr as u64, false, 0).unwrap();
    assert_eq!(drained(&*map).0.len(), 8);
    assert!(ring.reserve(4000, 0).is_some());
}

#[test]
fn events_of_all_cpus_come_in_the_order_they_were_sent() {
    let map = make(&def(MapType::PERF_EVENT_ARRAY, 4, 4, 4));
    let events = map.streams().unwrap();
    const CURRENT: u64 = 0xffff_ffff;
    events.output(1, CURRENT, &[b"a"], 0).unwrap();
    events.output(0, 0, &[b"b", b"c"], 0).unwrap();
    events.output(1, 1, &[b"d"], 0).unwrap();
    assert_eq!(events.output(0, 1, &[b"x"], 0), Err(Errno::EOPNOTSUPP), "another CPU's");
    assert_eq!(events.output(0, 3, &[b"x"], 0), Err(Errno::ENOENT), "no such CPU");
    assert_eq!(events.output(0, 4, &[b"x"], 0), Err(Errno::E2BIG));
    assert_eq!(drained(&*map).0, [(1, b"a".to_vec()), (0, b"bc".to_vec()), (1, b"d".to_vec())]);
    assert_eq!(map.remove(&1u32.to_ne_bytes()), Ok(()));
    assert_eq!(map.remove(&1u32.to_ne_bytes()), Err(Errno::ENOENT));
    assert_eq!(events.output(1, CURRENT, &[b"x"], 0), Err(Errno::ENOENT), "its reader is closed");
    assert_eq!(put(&*map, 1, 0, 0), Ok(()));
    assert_eq!(events.output(1, CURRENT, &[b"y"], 0), Ok(()));
}

#[test]
fn a_stream_that_nobody_reads_loses_events_and_says_how_many() {
    let map = make(&def(MapType::PERF_EVENT_ARRAY, 4, 4, 1));
    let events = map.streams().unwrap();
    let sent = (0..2000).filter(|_| events.output(0, 0, &[&[0; 1024]], 0).is_ok()).count();
    let (all, lost) = drained(&*map);
    assert_eq!((all.len(), lost), (sent, 2000 - sent as u64));
    assert!(lost > 0);
    assert_eq!(drained(&*map), (vec![], 0));
}
