use super::*;

fn table(regions: &[Region]) -> Regions {
    let table = Regions::default();
    regions.iter().enumerate().for_each(|(at, region)| table.set(at, *region));
    table
}

const PLAIN: Region = Region { addr: 0x1000, len: 0x100, write: true, slots: None };

#[test]
fn an_access_lies_inside_one_region_or_is_refused() {
    let regions = table(&[PLAIN, Region { addr: 0x1100, len: 8, write: false, slots: None }]);
    for (addr, len, allowed) in [
        (0x1000, 8, true),
        (0x10f8, 8, true),
        (0x10f9, 8, false),
        (0xfff, 1, false),
        (0xffc, 8, false),
        (0x1100, 8, true),
        (0x1108, 1, false),
        (u64::MAX - 3, 8, false),
        (u64::MAX, 1, false),
    ] {
        assert_eq!(regions.find(addr, len).is_some(), allowed, "{addr:#x} {len}");
    }
}

#[test]
fn values_in_a_row_are_apart_for_every_stride() {
    for stride in (1..=70).chain([127, 4096, 65_535, 1 << 20, u32::MAX]) {
        let size = stride.min(5);
        let slots = Slots { stride, size };
        let len = u64::from(stride) * 9;
        let regions = table(&[Region { addr: 0x5000, len, write: true, slots: Some(slots) }]);
        for slot in 0..9 {
            let start = 0x5000 + slot * u64::from(stride);
            let last = start + u64::from(size) - 1;
            assert_eq!(regions.find(last, 1).map(|span| span.addr), Some(start), "stride {stride}, slot {slot}");
            assert!(regions.find(start, u64::from(size)).is_some());
            assert!(regions.find(last, 2).is_none(), "stride {stride}: an access leaves value {slot}");
            assert_eq!(regions.find(last + 1, 1).is_some(), size == stride && slot < 8, "stride {stride}: padding");
        }
    }
}

#[test]
fn a_stride_of_zero_covers_nothing() {
    let slots = Some(Slots { stride: 0, size: 8 });
    assert_eq!(table(&[Region { slots, ..PLAIN }]).find(0x1000, 1), None);
}
