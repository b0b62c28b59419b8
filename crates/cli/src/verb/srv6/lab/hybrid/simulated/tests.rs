//! What is exact in virtual time.

use super::{end::PROBE as PROBE_BYTES, *};

fn told<T>(done: Result<T, Failure>) -> T {
    match done {
        Ok(value) => value,
        Err(Failure::Wrong { diagnostics, .. }) => panic!("{diagnostics:?}"),
        Err(_) => panic!("a failure"),
    }
}

fn links(rates: [Option<u64>; 2], delays: [u64; 2]) -> Vec<Link> {
    rates.into_iter().zip(delays).map(|(rate, delay)| Link { rate, delay, ..Link::default() }).collect()
}

#[test]
fn a_measured_delay_is_exactly_what_the_link_was_given() {
    for compensated in [false, true] {
        let mut lab = told(Lab::new(&[0, 1], &links([None, None], [5 * MS, 25_123_457]), compensated));
        told(lab.measure(3000 * MS));
        for known in told(lab.known()) {
            let [dsl, lte] = &known[..] else { panic!("two links") };
            assert_eq!((dsl.there, lte.there), (Some(5 * MS as i64), Some(25_123_457)));
            assert_eq!((dsl.loss, lte.loss), (0.0, 0.0));
            assert_eq!((dsl.hold, lte.hold), (if compensated { 20_123_457 } else { 0 }, 0));
            let held = dsl.hold;
            // There and back, held both ways.
            assert_eq!((dsl.round_trip, lte.round_trip), (Some(2 * (5 * MS + held)), Some(2 * 25_123_457)));
        }
    }
    // With a rate, and the time that its bits take.
    let mut lab = told(Lab::new(&[0], &links([Some(1_000_000), None], [7 * MS, 0]), false));
    told(lab.measure(3000 * MS));
    assert_eq!(told(lab.known())[0][0].there, Some((7 * MS + PROBE_BYTES * 8 * 1000) as i64));
}

#[test]
fn one_connection_gets_the_sum_of_links_whose_delays_are_alike() {
    let goodput = |used: &'static [usize], compensated, mebibytes: u64| {
        let mut lab = told(Lab::new(used, &LINKS.map(|link| link.in_virtual_time()), compensated));
        let transfer = told(lab.transfer(mebibytes << 20));
        assert!(transfer.bytes == mebibytes << 20 && transfer.right);
        (transfer.rate() / 1e6, lab.overtaking, lab.again)
    };
    let (dsl, overtaking, again) = goodput(&[0], false, 4);
    assert!(dsl > 25.0 && dsl < 30.0 && (overtaking, again) == (0, 0), "{dsl} Mbit/s");
    let (alike, _, again) = goodput(&[0, 1], true, 24);
    assert!(alike >= 0.85 * 50.0 && again == 0, "{alike} Mbit/s, {again} sent again");
    let (apart, overtaking, again) = goodput(&[0, 1], false, 4);
    assert!(apart < 0.5 * 50.0, "{apart} Mbit/s");
    assert!(overtaking > 1000 && again > 10, "{overtaking} overtaking, {again} sent again");
    assert_eq!(goodput(&[0, 1], false, 4), (apart, overtaking, again), "every run is the same");
}

#[test]
fn a_link_that_loses_gets_less() {
    let mut shapes = links([None, None], [5 * MS, 5 * MS]);
    shapes[1].loss = 250_000;
    let mut lab = told(Lab::new(&[0, 1], &shapes, true));
    told(lab.measure(5000 * MS));
    let known = told(lab.known());
    assert_eq!(known[0][0].weight, 30.0);
    // Lost there or back.
    assert!((5.0..16.0).contains(&known[0][1].weight), "{}", known[0][1].weight);
    told(lab.measure(20_000 * MS));
    let port = lab.ends[0].node.port(device(1));
    assert!(lab.network.set_link(port, Link { loss: 1_000_000, ..shapes[1] }));
    told(lab.measure(22_000 * MS));
    let known = told(lab.known());
    assert!(known.iter().all(|links| links[1].weight == 0.0 && links[0].weight == 30.0), "{known:?}");
}
