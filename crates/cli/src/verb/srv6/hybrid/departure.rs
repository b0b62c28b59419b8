//! Packets that wait where the kernel has a queue for that: a program at each device tells those with segments when to leave
//! (earliest departure time, EDT), and the device's `fq` has them wait until then. It goes with its value.

use super::spread::OBJECT;
use crate::failure::Failure;
use alveary::{
    Linux, Loaded, Loader, MapHandle, Object,
    kernel::{
        attach::{Device, Direction, Link, Place},
        netlink::discipline,
        sys::Order,
    },
};
use alveary_diag::{Diagnostic, Place as At};
use std::time::Duration;

/// The queues that look at when packets are to leave.
const QUEUE: &str = "fq";

/// The devices whose packets wait.
pub(super) struct Departure {
    /// The links first: they go before their program.
    _links: Vec<Link>,
    loaded: Loaded<Linux>,
}

impl Departure {
    pub(super) fn new(devices: &[Device]) -> Result<Departure, Failure> {
        for device in devices {
            let found = discipline(device.index).map_err(|why| {
                Diagnostic::new("srv6", format!("the queue of {} is not known", device.name), At::Nowhere)
                    .found(why.errno.to_string())
            })?;
            if found != QUEUE {
                return Err(Diagnostic::new("srv6", format!("packets cannot wait at {}", device.name), At::Nowhere)
                    .expected(format!("the queueing discipline {QUEUE}, which knows when packets are to leave"))
                    .found(if found.is_empty() { "none".to_owned() } else { format!("`{found}`") })
                    .help(format!("tc qdisc replace dev {} root {QUEUE}", device.name))
                    .help("or leave delays as they are: compensation = \"none\"")
                    .into());
            }
        }
        let loaded = load()?;
        let at = |device: &Device| {
            let place = Place::Tcx { device: device.clone(), direction: Direction::Egress, order: Order::default() };
            loaded.attach_to("hold", &place)
        };
        let links = devices.iter().map(at).collect::<Result<Vec<_>, _>>()?;
        Ok(Departure { _links: links, loaded })
    }

    /// Has packets with segments wait that long before they leave by a device.
    pub(super) fn hold(&self, device: u32, longer: Duration) -> Result<(), Failure> {
        let longer = u64::try_from(longer.as_nanos()).unwrap_or(u64::MAX);
        Ok(self.loaded.map("holds")?.update(&device.to_ne_bytes(), &longer.to_ne_bytes(), 0)?)
    }
}

fn load() -> Result<Loaded<Linux>, Failure> {
    let object = Object::parse(&OBJECT)?;
    Ok(Loader::new(Linux::builder().build()).program("hold").named("srv6-hybrid").load(&object)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alveary::kernel::sys;
    use alveary_lab::{Network, Shape};
    use alveary_testing::bpf;
    use rustix::time::{ClockId, clock_gettime};
    use std::os::fd::AsFd;

    const MS: u64 = 1_000_000;
    /// Where `struct __sk_buff` has it.
    const TSTAMP: usize = 152;
    const LOOPBACK: u32 = 1;

    fn without<T>(failed: Result<T, Failure>) -> T {
        match failed {
            Ok(value) => value,
            Err(Failure::Wrong { diagnostics, .. }) => panic!("{diagnostics:?}"),
            Err(_) => panic!("a failure"),
        }
    }

    /// When the program has a packet leave, before and after which times.
    fn leaves(departure: &Departure, next_header: u8) -> (u64, u64, u64) {
        let mut packet = [&[0; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, next_header, 64]].concat();
        packet.extend([&[0xfc; 32][..], &[59, 2, 4, 0, 0, 0, 0, 0], &[0xfc; 16]].concat());
        let now = || {
            let time = clock_gettime(ClockId::Monotonic);
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        };
        let (mut context, before) = ([0; 192], now());
        let run = sys::TestRun { data: &packet, context_out: &mut context, ..sys::TestRun::default() };
        run.run(departure.loaded.program("hold").expect("it").handle().as_fd()).expect("a run");
        let said = context[TSTAMP..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        (before, said, now())
    }

    #[test]
    fn packets_with_segments_leave_later() {
        if !bpf::permitted("packets_with_segments_leave_later") {
            return;
        }
        let departure = Departure { _links: Vec::new(), loaded: without(load()) };
        assert_eq!(leaves(&departure, 43).1, 0, "nothing is held");
        without(departure.hold(LOOPBACK, Duration::from_millis(20)));
        let (before, leaves_at, after) = leaves(&departure, 43);
        assert!((before + 20 * MS..=after + 20 * MS).contains(&leaves_at), "{before} {leaves_at} {after}");
        assert_eq!(leaves(&departure, 17).1, 0, "no routing header");
    }

    #[test]
    fn a_device_without_such_a_queue_is_named() {
        if !bpf::permitted("a_device_without_such_a_queue_is_named") {
            return;
        }
        let mut network = Network::new();
        let nodes = ["one", "other"].map(|name| network.node(name).expect("a node"));
        network.link([(nodes[0], "dsl"), (nodes[1], "dsl")], Shape::default()).expect("a link");
        let tried = network.at(nodes[0], || {
            Departure::new(&[Device::named("dsl").expect("a device")]).map(drop).map_err(|why| match why {
                Failure::Wrong { diagnostics, .. } => diagnostics,
                _ => Vec::new(),
            })
        });
        let told = tried.expect("a thread").expect_err("no queue");
        assert_eq!(told[0].message, "packets cannot wait at dsl");
    }
}
