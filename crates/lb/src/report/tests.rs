//! What is told of reals that several VIPs have.

use super::*;
use crate::{
    store::prepare,
    wanted::{Devices, Standing, wanted},
};
use alveary::{MapHandle as _, Object, Target};

struct Nowhere;

impl Devices for Nowhere {
    fn device(&self, _: &str) -> Option<(u32, [u8; 6])> {
        None
    }
}

/// Names of reals are a VIP's own: of two that are called the same the second one was not counted.
#[test]
fn reals_of_one_name_are_told_together_each_once() {
    let vip = |last: u8, reals: &str| format!("[[vip]]\naddress = \"192.0.2.{last}\"\nport = 80\nreal = [{reals}]\n");
    let one = |address: &str| format!("{{ name = \"one\", address = \"{address}\" }}");
    let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[limits]\nvips = 4\nreals = 8\nslots = 1000\n\
                connections = 16\nconnections-per-cpu = 16\n[default]\nslots = 101\n"
        .to_owned()
        + &vip(1, &(one("10.0.0.1") + ", { address = \"10.0.0.2\" }"))
        + &vip(2, &one("10.0.0.1"))
        + &vip(3, &one("10.0.0.3"));
    let config = Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o");
    let mut object = Object::open(path).expect("the object");
    prepare(&mut object, &config, 1).expect("it is the balancer's");
    let loaded = object.load(Target::user()).expect("it loads");
    let mut store = Store::open(&loaded).expect("its maps");
    let wanted = wanted(&config, &|_, _| Standing::WELL, &Nowhere);
    store.apply(&wanted).expect("there is room");
    for (address, packets) in [("10.0.0.1", 1u64), ("10.0.0.2", 10), ("10.0.0.3", 100)] {
        let real = store.running.reals.iter().find(|real| real.ip().to_string() == address).expect("it is there");
        let map = store.map("real_counters");
        let mut value = [packets, 1000 * packets].map(u64::to_ne_bytes).concat();
        value.resize(map.entry_size(), 0);
        map.update(&wire::number(real.name).to_ne_bytes(), &value, 0).expect("it is counted");
    }
    let (mut control, now) = (Control::default(), Instant::now());
    control.configure(&config, now, &|_, _| false, &|_, _| false);
    let view = View { config: &config, control: &control, store: &store, wanted: &wanted, adopted: false, now };
    let text = view.metrics().expect("they are read");
    let counted: Vec<_> = text.lines().filter(|line| line.starts_with("alveary_lb_real_packets_total{")).collect();
    assert_eq!(
        counted,
        ["alveary_lb_real_packets_total{real=\"10.0.0.2\"} 10", "alveary_lb_real_packets_total{real=\"one\"} 101"]
    );
    assert!(text.contains("alveary_lb_real_bytes_total{real=\"one\"} 101000\n"), "{text}");
}
