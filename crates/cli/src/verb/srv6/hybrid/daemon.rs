//! One end: its packets spread, its links measured, weights and holds set by that.

use super::{
    config::{Compensation, Config, Link},
    departure::Departure,
    meter::{Decision, Meter, SCALE, decide},
    spread::{LINKS, Sent, Spread},
};
use crate::{
    failure::Failure,
    verb::srv6::{
        delay::{Kind, Measured, Receiver, Transmitter},
        installed::Installed,
        prefix::MAIN,
    },
};
use alveary::kernel::{
    attach::Device,
    netlink::srv6::{Encap, Endpoint, Next, RouteKey, SteeredRoute},
};
use alveary_diag::Diagnostic;
use std::{
    net::{Ipv6Addr, UdpSocket},
    time::{Duration, Instant},
};

/// `SEG6_LOCAL_ACTION_END_DT6`.
const END_DT6: u32 = 7;
/// What measures a link goes to one of these addresses, of a prefix for what is discarded (RFC 6666): by their routes it
/// gets its headers. Its last number is the link's.
const DISCARD: [u16; 8] = [0x100, 0, 0, 0, 0, 0, 0x5352, 0];
const PORT: u16 = 9;
/// How often is decided anew.
const DECIDED: Duration = Duration::from_millis(100);
/// Longest wait for something to happen.
const TURN: Duration = Duration::from_millis(5);

/// Somebody who can hold a link's packets: the link's number, how long.
pub(in super::super) type Hold<'a> = &'a (dyn Fn(usize, Duration) + Sync);

/// Who holds packets.
enum Holder<'a> {
    Nobody,
    Somebody(Hold<'a>),
    Kernel(Departure),
}

/// An end, as long as somebody takes turns.
pub(in super::super) struct Daemon<'a> {
    spread: Spread,
    links: Vec<Running>,
    holder: Holder<'a>,
    begun: Instant,
    decided: Instant,
    compared: Instant,
}

struct Running {
    config: Link,
    device: Device,
    meter: Meter,
    decision: Decision,
    transmitter: Transmitter,
    monitor: Receiver,
    _decapsulation: Installed,
    socket: UdpSocket,
    interval: Duration,
    sent: u64,
}

/// What is known of a link.
#[derive(Clone, Debug, serde::Serialize)]
pub(in super::super) struct Known {
    pub(in super::super) name: String,
    pub(in super::super) alive: bool,
    /// Nanoseconds; `None`: nothing has come back.
    pub(in super::super) round_trip: Option<u64>,
    /// The way there, in nanoseconds by two clocks, without its hold.
    pub(in super::super) there: Option<i64>,
    pub(in super::super) loss: f64,
    pub(in super::super) weight: f64,
    /// How long its packets are held, in nanoseconds.
    pub(in super::super) hold: u64,
    pub(in super::super) sent: Sent,
}

impl Known {
    pub(in super::super) fn new(link: &Link, meter: &Meter, decision: Decision, now: u64, sent: Sent) -> Known {
        Known {
            name: link.name.get_ref().clone(),
            alive: meter.alive(now),
            round_trip: meter.there().map(|_| meter.round_trip()),
            there: meter.there(),
            loss: meter.loss(),
            weight: f64::from(decision.weight) / f64::from(SCALE),
            hold: decision.hold,
            sent,
        }
    }
}

impl<'a> Daemon<'a> {
    /// Begins; `hold` is who holds packets in the kernel's place, if anybody does.
    pub(in super::super) fn new(config: &Config, hold: Option<Hold<'a>>) -> Result<Daemon<'a>, Failure> {
        let begun = Instant::now();
        let interval = Duration::from_secs(1) / *config.probes.get_ref();
        let links: Vec<Running> = (0..)
            .zip(&config.link)
            .map(|(number, link)| Running::new(number, link.get_ref(), config, interval))
            .collect::<Result<_, Failure>>()?;
        let device = links.first().map_or(0, |link| link.device.index);
        let weights: Vec<_> =
            links.iter().map(|link| (&**link.config.segments.get_ref(), link.decision.weight)).collect();
        let to = config.to.get_ref().0;
        let spread = Spread::new((to.address, to.bits), config.table.0, device, &weights)?;
        let holder = match (hold, config.compensation) {
            (Some(hold), _) => Holder::Somebody(hold),
            (None, Compensation::None) => Holder::Nobody,
            (None, Compensation::Edt) => {
                let devices: Vec<_> = links.iter().map(|link| link.device.clone()).collect();
                Holder::Kernel(Departure::new(&devices)?)
            }
        };
        Ok(Daemon { spread, links, holder, begun, decided: begun, compared: begun })
    }

    /// Sends what is due, reads what came back, decides when it is time; returns soon.
    pub(in super::super) fn turn(&mut self) -> Result<(), Failure> {
        let begun = self.begun;
        let mut wait = TURN;
        for link in &mut self.links {
            wait = wait.min(link.send(begun));
        }
        for link in &mut self.links {
            let meter = &mut link.meter;
            link.monitor.wait(std::mem::take(&mut wait), |report| {
                let there = report.there().unwrap_or(0);
                meter.came(begun.elapsed().as_nanos() as u64, report.sequence, there, report.delay());
            })?;
        }
        if self.decided.elapsed() >= DECIDED {
            self.decided = Instant::now();
            self.decide()?;
        }
        if self.compared.elapsed() >= Duration::from_secs(1) {
            self.compared = Instant::now();
            self.links.iter().try_for_each(|link| link.transmitter.set_clock().and(link.monitor.set_clock()))?;
        }
        Ok(())
    }

    fn decide(&mut self) -> Result<(), Failure> {
        let meters: Vec<_> = self.links.iter().map(|link| (&link.meter, *link.config.weight.get_ref())).collect();
        let decisions = decide(&meters, self.begun.elapsed().as_nanos() as u64);
        for (number, (link, decision)) in self.links.iter_mut().zip(decisions).enumerate() {
            if decision.weight != link.decision.weight {
                self.spread.set(number as u32, link.config.segments.get_ref(), decision.weight)?;
            }
            link.decision.weight = decision.weight;
            if decision.hold == link.decision.hold {
                continue;
            }
            let longer = Duration::from_nanos(decision.hold);
            match &self.holder {
                Holder::Nobody => continue,
                Holder::Somebody(hold) => hold(number, longer),
                Holder::Kernel(departure) => departure.hold(link.device.index, longer)?,
            }
            link.meter.held(link.sent, decision.hold);
            link.decision.hold = decision.hold;
        }
        Ok(())
    }

    /// What is known of the links.
    pub(in super::super) fn known(&self) -> Result<Vec<Known>, Failure> {
        let now = self.begun.elapsed().as_nanos() as u64;
        let sent = self.spread.sent()?;
        let known = |(link, sent): (&Running, Sent)| Known::new(&link.config, &link.meter, link.decision, now, sent);
        Ok(self.links.iter().zip(sent).map(known).collect())
    }

    /// Packets that no link got.
    pub(in super::super) fn nowhere(&self) -> Result<Sent, Failure> {
        Ok(self.spread.sent()?.get(LINKS).copied().unwrap_or_default())
    }
}

/// Where what measures a link goes to.
pub(in super::super) fn target(number: u16) -> Ipv6Addr {
    let mut target = DISCARD;
    target[7] = number;
    target.into()
}

/// How a link is measured: over it to the other end, and back to this end's monitor.
pub(in super::super) fn measured(number: u16, link: &Link, source: Ipv6Addr, device: u32) -> Measured {
    Measured {
        path: u32::from(number),
        to: (target(number).into(), 128),
        table: MAIN,
        device,
        gateway: None,
        source,
        segments: vec![link.far_monitor, link.monitor, link.monitor],
        kind: Kind { two_way: true, probe: true },
        every: 1,
    }
}

impl Running {
    fn new(number: u16, link: &Link, config: &Config, interval: Duration) -> Result<Running, Failure> {
        let named = Device::named(link.dev.get_ref()).map_err(|why| {
            Diagnostic::new("srv6", why.message.clone(), config.at(link.dev.span()))
                .help("`ip link` shows the devices that there are")
        })?;
        let device = named.index;
        let target = target(number);
        let key = RouteKey { destination: link.decapsulate.into(), prefix: 128, table: MAIN, metric: 0 };
        let endpoint = Endpoint { action: END_DT6, table: Some(MAIN), ..Endpoint::default() };
        let next = Next { device, gateway: None, encap: Some(Encap::Endpoint(endpoint)), weight: 0 };
        let decapsulation = Installed::new(SteeredRoute { key, next: vec![next] })?;
        let monitor = Receiver::new((link.monitor.into(), 128), device)?;
        let transmitter = Transmitter::new(&measured(number, link, *config.source.get_ref(), device))?;
        let socket = UdpSocket::bind((*config.source.get_ref(), 0)).and_then(|socket| {
            socket.connect((target, PORT))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let socket = socket.map_err(|why| {
            let source = &config.source;
            Diagnostic::new("srv6", format!("nothing can be sent from {}", source.get_ref()), config.at(source.span()))
                .expected("an address of this machine")
                .found(why.to_string())
        })?;
        Ok(Running {
            config: link.clone(),
            device: named,
            meter: Meter::new(interval, 0),
            decision: Decision { weight: link.weight.get_ref().saturating_mul(SCALE), hold: 0 },
            transmitter,
            monitor,
            _decapsulation: decapsulation,
            socket,
            interval,
            sent: 0,
        })
    }

    /// Sends what is due; gives how long nothing is.
    fn send(&mut self, begun: Instant) -> Duration {
        let due = |sent: u64| self.interval.saturating_mul(sent as u32).saturating_sub(begun.elapsed());
        // What was missed is not sent all at once.
        if due(self.sent).is_zero() && self.socket.send(b"alveary").is_ok() {
            self.sent += 1;
        }
        due(self.sent)
    }
}
