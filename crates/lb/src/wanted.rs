//! What the data plane shall hold: a configuration, with how its reals are at the moment, as maps have it.

use crate::{
    config::{Action, Config, Forward, Hash, Policy, Protocol, Quic, Real, Remember, Table, Vip},
    maglev::{self, Member, Ring as KatranRing, Size},
    places::Places,
    wire::{self, Settings, Way, flag},
};

/// How a real of a VIP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it gets of its weight, in parts of a thousand.
    pub share: u16,
    /// Whether packets of connections that it has get there.
    pub keeps: bool,
    /// That is so because no VIP has it any more.
    pub leaves: bool,
    /// Nobody has looked at it yet: it gets nothing, but where another VIP has found it well, connections may stay.
    pub unknown: bool,
}

impl Standing {
    /// It is well.
    pub const WELL: Standing = Standing { share: 1000, keeps: true, leaves: false, unknown: false };
    /// It gets no new connections, and keeps those that it has.
    pub const DRAINING: Standing = Standing { share: 0, keeps: true, leaves: false, unknown: false };
    /// The same, since no VIP has it any more.
    pub const LEAVING: Standing = Standing { share: 0, keeps: true, leaves: true, unknown: false };
    /// It gets nothing before it was looked at.
    pub const UNKNOWN: Standing = Standing { unknown: true, ..Standing::GONE };
    /// It gets nothing.
    pub const GONE: Standing = Standing { share: 0, keeps: false, leaves: false, unknown: false };
}

/// What only the machine knows: numbers and Ethernet addresses of its devices.
pub trait Devices {
    /// The number of a device, and its Ethernet address.
    fn device(&self, name: &str) -> Option<(u32, [u8; 6])>;
}

/// What the data plane shall hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The reals, each once, whichever VIPs have it; and whether packets get there, and it is drained.
    pub reals: Vec<(wire::Real, Standing)>,
    /// The VIPs, in the order of the configuration.
    pub vips: Vec<WantedVip>,
    /// What may change at any time.
    pub settings: Settings,
}

/// A VIP.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedVip {
    /// What it is called.
    pub name: String,
    /// Its keys in `vips4` or `vips6`.
    pub keys: Vec<Vec<u8>>,
    /// Its service, without number and ring.
    pub service: wire::Service,
    /// Its own ring, and those of clients that have reals of their own.
    pub rings: Vec<WantedRing>,
    /// Those clients: address, bits, which ring.
    pub prefixes: Vec<(std::net::IpAddr, u8, usize)>,
    /// What names reals: kind, bytes, which real.
    pub ids: Vec<(u8, Vec<u8>, usize)>,
    /// Reals that are gone for this VIP, and there since another one has them.
    pub away: Vec<usize>,
}

/// A ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRing {
    /// How it is made.
    pub table: Table,
    /// Slots of it.
    pub size: Size,
    /// Who is in it: which real of [`Wanted::reals`].
    pub members: Vec<(usize, Member)>,
}

impl WantedRing {
    /// For each slot which real of [`Wanted::reals`] has it; `None` if nobody takes anything.
    #[must_use]
    pub fn compute(&self) -> Option<Vec<u32>> {
        let members = self.members.iter().map(|(_, member)| *member);
        // Katran's first ring depends on weights themselves, not on what part of the sum they are.
        let whole = |member: Member| Member { now: member.now.div_ceil(PARTS), ..member };
        let members: Vec<Member> =
            if self.table == Table::Maglev { members.collect() } else { members.map(whole).collect() };
        let mut slots = match self.table {
            Table::Maglev => maglev::table(self.size, &members),
            Table::Katran => maglev::katran(KatranRing::First, self.size, &members),
            Table::KatranV2 => maglev::katran(KatranRing::Second, self.size, &members),
        }?;
        slots.iter_mut().for_each(|slot| *slot = self.members[*slot as usize].0 as u32);
        Some(slots)
    }
}

/// Weights in tables are finer than in configurations, for those who have a part of theirs.
const PARTS: u32 = 1000;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;

/// What a configuration wants; `standing` tells how a real (number in its VIP) of a VIP (number) is. Who is behind a device
/// that there is not gets nothing.
pub fn wanted(config: &Config, standing: &dyn Fn(usize, usize) -> Standing, devices: &dyn Devices) -> Wanted {
    let mut wanted = Wanted { settings: settings(config), ..Wanted::default() };
    let mut known = Places::default();
    let mut gone = Vec::with_capacity(config.vips.len());
    for (number, vip) in config.vips.iter().enumerate() {
        let mut own = Vec::new();
        let (mut places, mut shares) = (Vec::with_capacity(vip.reals.len()), Vec::with_capacity(vip.reals.len()));
        for (index, real) in vip.reals.iter().enumerate() {
            let (made, is_here) = as_real(config, real, devices);
            let all = &mut wanted.reals;
            let place = known.find(&made, |place| all[place as usize].0).unwrap_or_else(|| {
                all.push((made, Standing::GONE));
                let new = all.len() as u32 - 1;
                known.add(new, |place| all[place as usize].0);
                new
            });
            let place = place as usize;
            let stands = if is_here { standing(number, index) } else { Standing::GONE };
            let so_far = &mut wanted.reals[place].1;
            // It is there as long as one VIP sends to it.
            let (share, keeps) = (so_far.share.max(stands.share), so_far.keeps || stands.keeps);
            *so_far = Standing { share, keeps, leaves: false, unknown: false };
            if !stands.keeps && !stands.unknown {
                own.push(place);
            }
            let weight = u32::from(real.weight) * PARTS;
            let key = match vip.table {
                Table::Maglev => maglev::key(real.address, real.port),
                Table::Katran | Table::KatranV2 => maglev::katran_key(real.address),
            };
            let member = Member { key, weight, now: u32::from(real.weight) * u32::from(stands.share) };
            places.push((place, member));
            shares.push(u32::from(stands.share));
        }
        wanted.vips.push(as_vip(config, vip, &places, &shares));
        gone.push(own);
    }
    for (vip, mut own) in wanted.vips.iter_mut().zip(gone) {
        own.retain(|place| wanted.reals[*place].1.keeps);
        vip.service.flags |= if own.is_empty() { 0 } else { flag::AWAY };
        vip.away = own;
    }
    wanted
}

fn settings(config: &Config) -> Settings {
    Settings {
        new_rate: config.rates.new_connections,
        answer_rate: config.rates.answers,
        sample: config.rates.sample,
        announce: config.sync.is_some().into(),
        nat: config.ports,
    }
}

fn as_vip(config: &Config, vip: &Vip, places: &[(usize, Member)], shares: &[u32]) -> WantedVip {
    let mut keys = Vec::new();
    for (ip, port, protocol) in vip.keys() {
        let protocol = match protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
            Protocol::Icmp => ICMP,
            Protocol::Any => 0,
        };
        keys.push(wire::vip_key(ip, port, protocol));
    }
    let mut rings = vec![WantedRing { table: vip.table, size: vip.slots, members: places.to_vec() }];
    let mut prefixes = Vec::new();
    for route in &vip.routes {
        let mut members: Vec<_> = route.reals.iter().filter_map(|real| places.get(*real).copied()).collect();
        if members.iter().all(|(_, member)| member.weight == 0) {
            // They are there for this route alone: to each other they are alike.
            for ((_, member), real) in members.iter_mut().zip(&route.reals) {
                (member.weight, member.now) = (PARTS, shares.get(*real).copied().unwrap_or_default());
            }
        }
        prefixes.extend(route.from.iter().map(|prefix| (prefix.address, prefix.bits, rings.len())));
        rings.push(WantedRing { table: vip.table, size: vip.slots, members });
    }
    let mut ids = Vec::new();
    for (real, (place, _)) in vip.reals.iter().zip(places) {
        let kinds = real.ids.iter().flat_map(|id| id_bytes(vip, *id));
        ids.extend(kinds.map(|(kind, bytes)| (kind, bytes, *place)));
    }
    WantedVip { name: vip.name.clone(), keys, service: service(config, vip), rings, prefixes, ids, away: Vec::new() }
}

/// Kinds of ids, as `enum lb_id_kind` has them, and how many bytes each has.
const QUIC_VERSIONS: [(u8, usize); 3] = [(1, 2), (2, 3), (3, 4)];
const TCP_KIND: (u8, usize) = (4, 4);
const UDP_KIND: (u8, usize) = (5, 3);
const QUIC_LB_KIND: u8 = 8;

/// An id as packets have it, most significant byte first; where it does not fit, it is not there.
pub(crate) fn id_bytes(vip: &Vip, id: u32) -> Vec<(u8, Vec<u8>)> {
    let mut kinds = Vec::new();
    match vip.quic {
        Some(Quic::Katran) => kinds.extend(QUIC_VERSIONS),
        Some(Quic::QuicLb) => {
            kinds.extend((QUIC_LB_KIND..).zip(&vip.quic_lengths).map(|(kind, length)| (kind, usize::from(*length))));
        }
        None => {}
    }
    if vip.tcp_id {
        kinds.push(TCP_KIND);
    }
    if vip.udp_id {
        kinds.push(UDP_KIND);
    }
    let fits = |(_, length): &(u8, usize)| *length >= 4 || id >> (8 * length) == 0;
    let bytes = |length: usize| {
        let id = id.to_be_bytes();
        let zeros = length.saturating_sub(4);
        let mut bytes = vec![0; zeros];
        bytes.extend(&id[4usize.saturating_sub(length)..]);
        bytes
    };
    kinds.into_iter().filter(fits).map(|(kind, length)| (kind, bytes(length))).collect()
}

fn service(config: &Config, vip: &Vip) -> wire::Service {
    let policy = |policy: Policy| match policy {
        Policy::Hash => 0,
        Policy::Pass => 1,
        Policy::Drop => 2,
    };
    let headers = if vip.address.is_ipv6() { 60 } else { 40 };
    let way = vip.reals.iter().map(|real| config.inner_mtu(real)).min();
    let mss = vip.mss.map(|said| said.unwrap_or_else(|| way.unwrap_or(config.mtu).saturating_sub(headers)));
    let mut flags = match vip.hash {
        Hash::Flow => 0,
        Hash::NoSourcePort => flag::NO_SOURCE_PORT,
        Hash::DestinationPort => flag::DESTINATION_PORT,
        Hash::Source => flag::SOURCE,
        Hash::Random => flag::RANDOM,
    };
    flags |= match vip.remember {
        Remember::All => 0,
        Remember::Cpu => flag::NO_GLOBAL,
        Remember::Nobody => flag::NO_CONNECTIONS,
    };
    for (given, bit) in [
        (vip.action == Action::Host, flag::HOST),
        (vip.action == Action::Drop, flag::DROP),
        // Katran hashes no port that its VIP does not have.
        (config.katran.is_some() && vip.ports.is_empty(), flag::NO_DESTINATION_PORT),
        (vip.quic == Some(Quic::Katran), flag::QUIC),
        (vip.quic == Some(Quic::QuicLb), flag::QUIC_LB),
        (vip.tcp_id, flag::TCP_ID),
        (vip.udp_id, flag::UDP_STABLE),
        (!vip.routes.is_empty(), flag::PREFIXES),
        (vip.echo, flag::ECHO),
        (mss.is_some(), flag::CLAMP),
        (vip.hop_limit, flag::TTL),
    ] {
        flags |= if given { bit } else { 0 };
    }
    flags |= policy(vip.fragments) << flag::FRAGMENTS | policy(vip.options) << flag::OPTIONS;
    let quic = (0..).step_by(4).zip(&vip.quic_lengths).fold(0, |all, (at, length)| all | u32::from(*length) << at);
    // Ticks are a bit more than a second.
    let idle = vip.idle.map_or(0, |idle| (idle.as_secs_f64() / 1.073_741_824).ceil().clamp(1.0, 65_535.0) as u16);
    wire::Service { flags, quic, mss: mss.unwrap_or_default(), idle, ..wire::Service::default() }
}

/// A real, and whether its device is there.
fn as_real(config: &Config, real: &Real, devices: &dyn Devices) -> (wire::Real, bool) {
    let six = real.address.is_ipv6();
    let way = match real.forward {
        Forward::Ip => Way::Ip,
        Forward::Gue => Way::Gue,
        Forward::L2 => Way::L2,
        Forward::Nat => Way::Nat,
        Forward::Local => Way::Local,
    };
    let needed = config.device_of(real).map(|name| devices.device(name));
    let (index, ethernet) = needed.flatten().unwrap_or_default();
    let is_here = needed != Some(None);
    // One without its device is not the same as one that needs none.
    let ifindex = if is_here { index } else { u32::MAX };
    let mut made = wire::Real {
        way,
        ifindex: if real.device.is_some() { ifindex } else { 0 },
        address: wire::address(real.address),
        mtu: if way == Way::Local { 0 } else { real.mtu.unwrap_or(config.mtu) },
        ..wire::Real::default()
    };
    if six {
        made.flags |= flag::REAL_V6;
    }
    let own = match config.sources {
        crate::config::Sources { v6: Some(own), .. } if six => Some(own.into()),
        crate::config::Sources { v4: Some(own), .. } if !six => Some(own.into()),
        _ => None,
    };
    if matches!(way, Way::Ip | Way::Gue | Way::Nat) {
        made.source = own.map(wire::address).unwrap_or_default();
    }
    match way {
        Way::Gue => {
            made.port = real.gue_port;
            if real.checksum {
                made.flags |= flag::REAL_CHECKSUM;
            }
        }
        Way::Nat => made.port = real.port.unwrap_or_default(),
        _ => {}
    }
    if matches!(way, Way::Ip | Way::Gue) {
        // The source's word has fewer bits of its own.
        made.entropy = u32::MAX.checked_shr(32 - u32::from(config.spread)).unwrap_or_default();
    }
    if let Some(mac) = real.mac {
        made.flags |= flag::REAL_MAC;
        made.macs[..6].copy_from_slice(&mac.0);
        made.macs[6..].copy_from_slice(&ethernet);
    }
    (made, is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Katran's first ring of these weights, whose units it takes as they are.
    #[test]
    fn katrans_rings_are_of_whole_weights() {
        let size = Size::new(101).expect("a prime number");
        let members = |unit: u32| (0..5).map(move |i: u32| Member::new(u64::from(10 * i + 3), (1 + i % 7) * unit));
        for (table, ring) in [(Table::Katran, KatranRing::First), (Table::KatranV2, KatranRing::Second)] {
            let wanted = WantedRing { table, size, members: (0..).zip(members(PARTS)).collect() };
            let whole: Vec<Member> = members(1).collect();
            assert_eq!(wanted.compute(), maglev::katran(ring, size, &whole));
        }
    }

    struct Nowhere;

    impl Devices for Nowhere {
        fn device(&self, _: &str) -> Option<(u32, [u8; 6])> {
            None
        }
    }

    #[test]
    fn reals_without_weight_are_there_for_their_routes() {
        let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\nslots = 101\n\
                    real = [{ address = \"10.0.0.1\" }, { address = \"10.0.0.2\", weight = 0 }]\n\
                    [[vip.route]]\nfrom = [\"198.51.100.0/24\"]\nreals = [\"10.0.0.2\"]\n";
        let config = Config::read("lb.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let all = wanted(&config, &|_, _| Standing::WELL, &Nowhere);
        let rings: Vec<_> = all.vips[0].rings.iter().map(WantedRing::compute).collect();
        assert_eq!(rings, [Some(vec![0; 101]), Some(vec![1; 101])]);
        let down = |_: usize, real: usize| if real == 1 { Standing::GONE } else { Standing::WELL };
        let all = wanted(&config, &down, &Nowhere);
        assert_eq!(all.vips[0].rings[1].compute(), None, "who is not well takes nothing");
    }
}
