//! An end of the links in virtual time: a router with the programs of `alveary srv6 hybrid run`, in the user-space kernel,
//! and what that daemon does.

use crate::{
    failure::Failure,
    verb::srv6::{
        delay::{self, Report},
        hybrid::{self, Config, Decision, Known, Link, Meter, SCALE, Sent, decide, measured, target},
    },
};
use alveary::{
    Loaded, Loader, MapHandle, Object, User, UserMap,
    net::{
        network::{Network, Node},
        router::{Behaviour, MAIN, Programs, Router, Target, Tunnel},
    },
    runtime::Clock,
};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

/// The interface to the host; links' are behind it.
pub(super) const HOST: u32 = 1;
const FIRST_LINK: u32 = 2;
/// Next headers.
const UDP: u8 = 17;

/// An end.
pub(super) struct End {
    pub(super) node: Node,
    source: Ipv6Addr,
    links: Vec<Measured>,
    spread: Loaded<User>,
    compensated: bool,
}

struct Measured {
    config: Link,
    /// The interface.
    device: u32,
    meter: Meter,
    decision: Decision,
    monitor: Loaded<User>,
    _transmitter: Loaded<User>,
    sent: u64,
}

impl End {
    /// Adds it to a network; `host` is the prefix of its host. Links are measured each `interval`.
    pub(super) fn new(
        network: &mut Network,
        config: &Config,
        host: (Ipv6Addr, u8),
        compensated: bool,
        interval: Duration,
    ) -> Result<End, Failure> {
        let source = *config.source.get_ref();
        let links: Vec<(u16, u32, &Link)> =
            (0..).zip(FIRST_LINK..).zip(&config.link).map(|((n, device), link)| (n, device, link.get_ref())).collect();
        let router = Arc::new(router(config, host, &links));
        let user = User::builder().clock(Clock::Virtual { start: 0 }).host(router.clone()).build();
        let mut progs = Vec::new();
        let mut load = |object: &Object, name: &str| -> Result<Loaded<User>, Failure> {
            let loaded = Loader::new(user.clone()).program(name).load(object)?;
            progs.push(loaded.program(name)?.handle().prog().clone());
            Ok(loaded)
        };
        let (spreads, measures) = (Object::parse(&hybrid::OBJECT)?, Object::parse(&delay::OBJECT)?);
        // In the order of the numbers by which routes know them.
        let spread = load(&spreads, "spread")?;
        let mut measured_links = Vec::new();
        for (number, device, link) in links {
            let (transmitter, monitor) = (load(&measures, "transmit")?, load(&measures, "end_dm")?);
            let settings = measured(number, link, source, device).settings();
            transmitter.map("settings")?.update(&[0; 4], &settings, 0)?;
            measured_links.push(Measured {
                config: link.clone(),
                device,
                meter: Meter::new(interval, 0),
                decision: Decision { weight: link.weight.get_ref().saturating_mul(SCALE), hold: 0 },
                monitor,
                _transmitter: transmitter,
                sent: 0,
            });
        }
        let node = network.router(router, Programs::new(user.vcpu(0)?, progs));
        let end = End { node, source, links: measured_links, spread, compensated };
        (0..).zip(&end.links).try_for_each(|(number, link)| end.tell(number, link))?;
        Ok(end)
    }

    /// Sends what measures each link.
    pub(super) fn probe(&mut self, network: &mut Network) {
        for (number, link) in (0..).zip(&mut self.links) {
            link.sent += 1;
            network.send(self.node, network.now(), datagram(self.source, target(number)));
        }
    }

    /// Reads what has come back, and decides.
    pub(super) fn decide(&mut self, network: &mut Network) -> Result<(), Failure> {
        for link in &mut self.links {
            let meter = &mut link.meter;
            let reports: &UserMap = link.monitor.map("reports")?;
            reports.events(|_, record| {
                if let Some(report) = Report::read(record) {
                    let there = report.there().unwrap_or(0);
                    meter.came(report.received, report.sequence, there, report.delay());
                }
            })?;
        }
        let meters: Vec<_> = self.links.iter().map(|link| (&link.meter, *link.config.weight.get_ref())).collect();
        let decisions = decide(&meters, network.now());
        for (number, decision) in decisions.into_iter().enumerate() {
            let link = &mut self.links[number];
            let weight = std::mem::replace(&mut link.decision.weight, decision.weight);
            if self.compensated && decision.hold != link.decision.hold {
                link.decision.hold = decision.hold;
                link.meter.held(link.sent, decision.hold);
                network.hold(self.node.port(link.device), decision.hold);
            }
            if weight != decision.weight {
                self.tell(number as u32, &self.links[number])?;
            }
        }
        Ok(())
    }

    /// What is known of the links.
    pub(super) fn known(&self, now: u64) -> Result<Vec<Known>, Failure> {
        let map = self.spread.map("sent")?;
        let known = |(number, link): (u32, &Measured)| -> Result<Known, Failure> {
            let sent = Sent::read(&map.lookup(&number.to_ne_bytes())?.unwrap_or_default());
            Ok(Known::new(&link.config, &link.meter, link.decision, now, sent))
        };
        (0..).zip(&self.links).map(known).collect()
    }

    fn tell(&self, number: u32, link: &Measured) -> Result<(), Failure> {
        let value = hybrid::value(link.config.segments.get_ref(), link.decision.weight);
        Ok(self.spread.map("links")?.update(&number.to_ne_bytes(), &value, 0)?)
    }
}

/// The interface by which a link leaves an end that uses these links.
pub(super) fn device(at: usize) -> u32 {
    FIRST_LINK + at as u32
}

/// Programs by their numbers: that which spreads, then of each link that which measures and that which reports.
fn router(config: &Config, host: (Ipv6Addr, u8), links: &[(u16, u32, &Link)]) -> Router {
    let mut router = Router::new(*config.source.get_ref());
    let by = |device| Target::Device { device, gateway: None };
    let tunnel = |device| Tunnel { device, gateway: None, input: None, output: None, xmit: None };
    let to = config.to.get_ref().0;
    router.add(MAIN, to.address, to.bits, Target::Tunnel(Tunnel { input: Some(0), ..tunnel(FIRST_LINK) }));
    router.add(MAIN, host.0, host.1, by(HOST));
    for (at, (number, device, link)) in links.iter().enumerate() {
        let [transmit, report] = [1, 2].map(|behind| 2 * at + behind);
        for segment in link.segments.get_ref().iter().chain([&link.far_monitor]) {
            router.add(MAIN, IpAddr::from(*segment), 128, by(*device));
        }
        router.add(MAIN, target(*number), 128, Target::Tunnel(Tunnel { xmit: Some(transmit), ..tunnel(*device) }));
        router.add(MAIN, link.monitor, 128, Target::Endpoint(Behaviour::EndBpf(report)));
        router.add(MAIN, link.decapsulate, 128, Target::Endpoint(Behaviour::EndDt6(MAIN)));
    }
    router
}

/// A datagram without bytes.
fn datagram(from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let udp = [0, 9, 0, 9, 0, 8, 0, 0];
    [&[0x60, 0, 0, 0, 0, udp.len() as u8, UDP, 64][..], &from.octets(), &to.octets(), &udp].concat()
}

/// Bytes of a frame that measures a link, on its way there.
#[cfg(test)]
pub(super) const PROBE: u64 = 14 + 40 + (8 + 3 * 16 + 32) + 40 + 8;
