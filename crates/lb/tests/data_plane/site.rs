//! The data plane on both targets, side by side: what is put into one's maps is put into the other's, every packet goes
//! through both, and what becomes of it must be the same, and as it is wanted.

use crate::packet::{Packet, ip};
use alveary::runtime::Vcpu;
use alveary::{Backend, Linux, Loaded, MapHandle, Object, Packet as Input, Target, User};
pub(crate) use alveary_lb::wire::Settings;
use alveary_lb::wire::{Real, Service, Way, address, flag, vip_key};
use std::net::IpAddr;

/// `enum lb_verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Verdict {
    NotIp,
    NoVip,
    Left,
    LeftFragment,
    LeftOptions,
    Local,
    Forwarded,
    Returned,
    AnsweredEcho,
    AnsweredTooBig,
    AnsweredExpired,
    MalformedEthernet,
    MalformedIp,
    MalformedExtension,
    MalformedTransport,
    MalformedIcmp,
    TooManyTags,
    Refused,
    RefusedFragment,
    RefusedOptions,
    NoProtocol,
    NoReal,
    TooBig,
    Expired,
    #[expect(dead_code, reason = "test runs have room for every header there is")]
    NoRoom,
    NoPort,
    NoFlow,
    WrongFamily,
}

const VERDICTS: u32 = 28;

impl Verdict {
    /// XDP_PASS, XDP_TX or XDP_DROP.
    fn action(self) -> i32 {
        match self as u32 {
            0..=5 => 2,
            6..=10 => 3,
            _ => 1,
        }
    }
}

/// What a packet meets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    keys: Vec<(Vec<u8>, u32)>,
    services: Vec<Service>,
    rings: Vec<u32>,
    reals: Vec<Real>,
    more: Vec<(&'static str, Vec<u8>, Vec<u8>)>,
    pub(crate) settings: Settings,
}

/// A real of a way, by its number.
pub(crate) fn real(number: u32, way: Way, to: &str) -> Real {
    let to = ip(to);
    let source = if to.is_ipv4() { ip("198.51.100.1") } else { ip("2001:db8:ff::1") };
    let flags = if to.is_ipv6() { flag::REAL_V6 } else { 0 };
    Real { name: number, way, flags, address: address(to), source: address(source), ..Real::default() }
}

impl Setup {
    /// A service for `address:port`, the whole address being `[…]:0` of protocol 0, with a ring of reals by name.
    pub(crate) fn service(mut self, at: &str, protocol: u8, flags: u32, ring: &[u32]) -> Setup {
        let at: std::net::SocketAddr = at.parse().expect("an address and port");
        let number = self.services.len() as u32 + 1;
        let (from, size) = (self.rings.len() as u32, ring.len() as u32);
        self.services.push(Service { number, flags, ring: from, ring_size: size, ..Service::default() });
        self.rings.extend(ring);
        self.keys.push((vip_key(at.ip(), at.port(), protocol), number));
        self
    }

    /// Changes the service that was named last.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut Service)) -> Setup {
        change(self.services.last_mut().expect("a service"));
        self
    }

    /// Changes each service that was named.
    pub(crate) fn each(mut self, change: impl FnMut(&mut Service)) -> Setup {
        self.services.iter_mut().for_each(change);
        self
    }

    /// A service that no key names: a ring for prefixes.
    pub(crate) fn pool(mut self, ring: &[u32]) -> Setup {
        let number = self.services.len() as u32 + 1;
        let (from, size) = (self.rings.len() as u32, ring.len() as u32);
        self.services.push(Service { number, ring: from, ring_size: size, ..Service::default() });
        self.rings.extend(ring);
        self
    }

    /// Flags that any of its services has.
    pub(crate) fn flags(&self) -> u32 {
        self.services.iter().fold(0, |flags, service| flags | service.flags)
    }

    /// Ways of its reals, and whether each is one of IPv6.
    pub(crate) fn ways(&self) -> Vec<(u8, bool)> {
        self.reals.iter().map(|real| (real.way as u8, real.flags & flag::REAL_V6 != 0)).collect()
    }

    pub(crate) fn real(mut self, real: Real) -> Setup {
        self.reals.push(real);
        self
    }

    pub(crate) fn settings(mut self, settings: Settings) -> Setup {
        self.settings = settings;
        self
    }

    /// A map's entry that has no function of its own here.
    pub(crate) fn entry(mut self, map: &'static str, key: Vec<u8>, value: Vec<u8>) -> Setup {
        self.more.push((map, key, value));
        self
    }

    /// Clients of a prefix, of the service of this number, go to the ring of that slot.
    pub(crate) fn prefix(self, number: u32, prefix: &str, length: u32, slot: u32) -> Setup {
        let prefix: IpAddr = ip(prefix);
        let mut key = (32 + length).to_ne_bytes().to_vec();
        key.extend(number.to_be_bytes());
        key.extend(crate::packet::octets(prefix));
        self.entry(if prefix.is_ipv4() { "prefixes4" } else { "prefixes6" }, key, slot.to_ne_bytes().to_vec())
    }

    /// An id of the service of this number.
    pub(crate) fn id(self, number: u32, kind: u8, id: &[u8], name: u32) -> Setup {
        let mut key = number.to_ne_bytes().to_vec();
        key.extend([kind, id.len() as u8]);
        key.extend(id);
        key.resize(24, 0);
        self.entry("ids", key, name.to_ne_bytes().to_vec())
    }
}

/// What is wanted of a packet.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) verdict: Verdict,
    /// The frame that leaves; none if it is the one that came, or is dropped.
    pub(crate) out: Option<Vec<u8>>,
}

impl Want {
    /// It leaves, and nobody asks how.
    pub(crate) fn forwarded() -> Want {
        Want { verdict: Verdict::Forwarded, out: None }
    }
}

/// Packets that come one after the other, and what is wanted of them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) setup: Setup,
    pub(crate) packets: Vec<(Vec<u8>, Want)>,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, setup: Setup) -> Case {
        Case { name: name.into(), setup, packets: Vec::new() }
    }

    /// A packet that leaves as another.
    pub(crate) fn becomes(mut self, packet: &Packet, verdict: Verdict, out: Vec<u8>) -> Case {
        self.packets.push((packet.bytes(), Want { verdict, out: Some(out) }));
        self
    }

    /// A packet that is dropped, or passes as it is.
    pub(crate) fn stays(self, packet: &Packet, verdict: Verdict) -> Case {
        self.raw(packet.bytes(), verdict)
    }

    /// A packet that is sent on, and nobody asks how.
    pub(crate) fn stays_forwarded(mut self, packet: &Packet) -> Case {
        self.packets.push((packet.bytes(), Want::forwarded()));
        self
    }

    /// A packet of a real's that is sent on to its client, and nobody asks how.
    pub(crate) fn stays_returned(mut self, packet: &Packet) -> Case {
        self.packets.push((packet.bytes(), Want { verdict: Verdict::Returned, out: None }));
        self
    }

    /// The same for bytes.
    pub(crate) fn raw(mut self, bytes: Vec<u8>, verdict: Verdict) -> Case {
        self.packets.push((bytes, Want { verdict, out: None }));
        self
    }
}

/// One target.
struct Side<B: Backend> {
    loaded: Loaded<B>,
}

impl<B: Backend> Side<B> {
    fn map(&self, name: &str) -> &B::Map {
        self.loaded.map(name).expect("a map")
    }

    fn put(&self, map: &str, key: &[u8], value: &[u8]) {
        self.map(map).update(key, value, 0).unwrap_or_else(|e| panic!("{map}: {e}"));
    }

    fn set(&self, setup: &Setup) {
        for (at, real) in (0u32..).zip(&setup.rings) {
            self.put("rings", &at.to_ne_bytes(), &real.to_ne_bytes());
        }
        for real in &setup.reals {
            self.put("reals", &(real.name & 0xfffff).to_ne_bytes(), &real.to_bytes());
        }
        for (slot, service) in (1u32..).zip(&setup.services) {
            self.put("services", &slot.to_ne_bytes(), &service.to_bytes());
        }
        for (map, key, value) in &setup.more {
            self.put(map, key, value);
        }
        self.put(".data.settings", &[0; 4], &setup.settings.to_bytes());
        for (key, slot) in &setup.keys {
            self.put(if key.len() == 8 { "vips4" } else { "vips6" }, key, &slot.to_ne_bytes());
        }
    }

    fn clear(&self) {
        let tables = ["connections4", "connections6", "nat4", "nat6"];
        let all = ["vips4", "vips6", "prefixes4", "prefixes6", "ids", "away"].into_iter().chain(tables);
        for map in all.map(|name| self.map(name)) {
            for (key, _) in map.entries().expect("entries") {
                map.delete(&key).expect("deleted");
            }
        }
        self.forget_cached();
        for number in 0u32..64 {
            self.put("reals", &number.to_ne_bytes(), &[0; Real::SIZE]);
        }
        let rates = self.map("rates").entry_size();
        self.put("rates", &[0; 4], &vec![0; rates]);
    }

    fn forget_cached(&self) {
        for (key, _) in self.map("cached").entries().expect("entries") {
            self.put("cached", &key, &[0; 64]);
        }
    }

    fn age(&self, ticks: u16) {
        self.age_cached(ticks);
        for map in ["connections4", "connections6"] {
            for (key, mut value) in self.map(map).entries().expect("entries") {
                let seen = u16::from_ne_bytes([value[6], value[7]]).wrapping_sub(ticks);
                value[6..8].copy_from_slice(&seen.to_ne_bytes());
                self.put(map, &key, &value);
            }
        }
    }

    fn age_cached(&self, ticks: u16) {
        for (key, mut set) in self.map("cached").entries().expect("entries") {
            for at in (0..64).step_by(16) {
                let seen = u16::from_ne_bytes([set[at + 14], set[at + 15]]).wrapping_sub(ticks);
                set[at + 14..at + 16].copy_from_slice(&seen.to_ne_bytes());
            }
            self.put("cached", &key, &set);
        }
    }

    fn lead(&self, name: u32, ticks: u16) {
        for map in ["connections4", "connections6"] {
            for (key, mut value) in self.map(map).entries().expect("entries") {
                let seen = u16::from_ne_bytes([value[6], value[7]]).wrapping_sub(ticks);
                value[..4].copy_from_slice(&name.to_ne_bytes());
                value[6..8].copy_from_slice(&seen.to_ne_bytes());
                self.put(map, &key, &value);
            }
        }
    }

    fn age_nat(&self, ticks: u16) {
        for map in ["nat4", "nat6"] {
            for (key, mut value) in self.map(map).entries().expect("entries") {
                let at = value.len() - 2;
                let seen = u16::from_ne_bytes([value[at], value[at + 1]]);
                let tick = (seen & 0x3fff).wrapping_sub(ticks) & 0x3fff;
                value[at..].copy_from_slice(&(seen & 0xc000 | tick).to_ne_bytes());
                self.put(map, &key, &value);
            }
        }
    }

    /// The sum over CPUs of an entry's words.
    fn counters(&self, map: &str, index: u32, words: usize) -> Vec<u64> {
        let bytes = self.map(map).lookup(&index.to_ne_bytes()).expect("read").expect("an entry");
        let mut sum = vec![0; words];
        for (at, word) in bytes.chunks(8).enumerate() {
            sum[at % words] += u64::from_ne_bytes(word.try_into().expect("8 bytes"));
        }
        sum
    }

    fn verdicts(&self) -> Vec<u64> {
        (0..VERDICTS).map(|index| self.counters("verdicts", index, 2)[0]).collect()
    }
}

/// Both targets; of Linux nothing where bpf(2) is not permitted.
pub(crate) struct Site {
    user: Side<User>,
    linux: Option<Side<Linux>>,
}

fn object(cpus: u32) -> Object {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o");
    let mut object = Object::open(path).expect("the data plane");
    object.set_variable("lb_sets", &4u32.to_ne_bytes()).expect("lb_sets");
    object.set_variable("lb_cpus", &cpus.to_ne_bytes()).expect("lb_cpus");
    for (map, entries) in [("cached", 4 * cpus), ("rings", 4096), ("services", 64), ("reals", 64)] {
        object.map_spec_mut(map).expect("a map").def.max_entries = entries;
    }
    object
}

impl Site {
    pub(crate) fn new(test: &str) -> Site {
        Site::with(test, |_| ())
    }

    /// The data plane, but for constants.
    pub(crate) fn with(test: &str, change: impl Fn(&mut Object)) -> Site {
        let load = |cpus: u32| {
            let mut object = object(cpus);
            change(&mut object);
            object
        };
        let user = Side { loaded: load(1).load(Target::user()).expect("the user target takes it") };
        let linux = alveary_testing::bpf::permitted(test).then(|| {
            // Tables are the CPU's: the next packet has to come to the same one.
            alveary::kernel::sys::stay_on_cpu(0).expect("CPU 0");
            let cpus = alveary_testing::bpf::possible_cpus();
            Side { loaded: load(cpus).load(Linux::builder().without_pins().build()).expect("the kernel takes it") }
        });
        Site { user, linux }
    }

    /// Runs cases; every difference is told.
    pub(crate) fn run(&self, cases: &[Case]) {
        // Rates are by tick, and the kernel's clock may have ticked between two packets: then once more.
        let of_a_tick = |case: &Case| case.setup.settings.answer_rate != 0 || case.setup.settings.new_rate != 0;
        let run = |case| self.case(case).or_else(|failed| if of_a_tick(case) { self.case(case) } else { Err(failed) });
        let failed: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
        assert!(failed.is_empty(), "{} of {} cases fail\n{}", failed.len(), cases.len(), failed.join("\n"));
    }

    fn case(&self, case: &Case) -> Result<(), String> {
        self.user.clear();
        self.user.set(&case.setup);
        if let Some(linux) = &self.linux {
            linux.clear();
            linux.set(&case.setup);
        }
        self.packets(case)
    }

    fn packets(&self, case: &Case) -> Result<(), String> {
        let mut cpu = self.user.loaded.target().vcpu(0).expect("a CPU");
        for (at, (packet, want)) in case.packets.iter().enumerate() {
            let which = format!("{}, packet {}", case.name, at + 1);
            self.user.check(&format!("{which}, user"), packet, want, |packet| self.on_user(&mut cpu, packet))?;
            if let Some(linux) = &self.linux {
                linux.check(&format!("{which}, linux"), packet, want, |packet| self.on_linux(packet))?;
            }
        }
        Ok(())
    }

    fn on_user(&self, cpu: &mut Vcpu, packet: &[u8]) -> Result<(i32, Vec<u8>), String> {
        let program = self.user.loaded.program("lb").expect("lb");
        let mut packets = program.packets(cpu).expect("packets");
        // A tick is 2^30 ns; the clock of the user target stands still.
        let input = Input { data: packet, time: 5 << 30, ..Input::default() };
        let verdict = packets.run(&input).map_err(|fault| fault.diagnostic().to_string())?;
        Ok((verdict.code(), verdict.bytes()))
    }

    fn on_linux(&self, packet: &[u8]) -> Result<(i32, Vec<u8>), String> {
        let program = self.linux.as_ref().expect("linux").loaded.program("lb").expect("lb");
        let mut packets = program.packets().expect("packets");
        let verdict = packets.run(&Input { data: packet, ..Input::default() }).map_err(|e| e.to_string())?;
        Ok((verdict.code(), verdict.bytes().to_vec()))
    }

    /// Has what is left to the host go on to a program of another object; what is given keeps that alive.
    pub(crate) fn goes_on_to(&self, name: &str, program: &str) -> (Loaded<User>, Option<Loaded<Linux>>) {
        let open = || Object::open(format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"))).expect("an object");
        fn put<B: Backend>(side: &Side<B>, other: &Loaded<B>, program: &str) {
            let handle = other.program(program).expect("a program").handle().clone();
            side.loaded.target().set_program(side.map("next"), 0, &handle).expect("it can come next");
        }
        let user = open().load(self.user.loaded.target().clone()).expect("the user target takes it");
        put(&self.user, &user, program);
        let linux = self.linux.as_ref().map(|side| {
            let loaded = open().load(Linux::builder().without_pins().build()).expect("the kernel takes it");
            put(side, &loaded, program);
            loaded
        });
        (user, linux)
    }

    /// What programs return for a packet, on each target.
    pub(crate) fn actions(&self, packet: &[u8]) -> Vec<i32> {
        let mut cpu = self.user.loaded.target().vcpu(0).expect("a CPU");
        let mut all = vec![self.on_user(&mut cpu, packet).expect("it runs").0];
        all.extend(self.linux.as_ref().map(|_| self.on_linux(packet).expect("it runs").0));
        all
    }

    /// Runs a case on top of what was before it: tables are as the last one left them.
    pub(crate) fn go_on(&self, case: &Case) {
        self.user.set(&case.setup);
        if let Some(linux) = &self.linux {
            linux.set(&case.setup);
        }
        if let Err(failed) = self.packets(case) {
            panic!("{failed}");
        }
    }

    /// Makes the tables' entries this many ticks older.
    pub(crate) fn age(&self, ticks: u16) {
        self.user.age(ticks);
        if let Some(linux) = &self.linux {
            linux.age(ticks);
        }
    }

    /// The same of those of the CPUs' tables alone.
    pub(crate) fn age_cached(&self, ticks: u16) {
        self.user.age_cached(ticks);
        if let Some(linux) = &self.linux {
            linux.age_cached(ticks);
        }
    }

    /// Empties the CPUs' tables.
    pub(crate) fn forget_cached(&self) {
        self.user.forget_cached();
        if let Some(linux) = &self.linux {
            linux.forget_cached();
        }
    }

    /// Has the table of all CPUs name this real for all flows, seen so many ticks earlier, as if another CPU had led them there.
    pub(crate) fn lead(&self, name: u32, ticks: u16) {
        self.user.lead(name, ticks);
        if let Some(linux) = &self.linux {
            linux.lead(name, ticks);
        }
    }

    /// The same of ways back from reals behind NAT.
    pub(crate) fn age_nat(&self, ticks: u16) {
        self.user.age_nat(ticks);
        if let Some(linux) = &self.linux {
            linux.age_nat(ticks);
        }
    }

    /// How many entries a map has, on each target.
    pub(crate) fn entries(&self, map: &str) -> Vec<usize> {
        let mut all = vec![self.user.map(map).entries().expect("entries").len()];
        all.extend(self.linux.as_ref().map(|linux| linux.map(map).entries().expect("entries").len()));
        all
    }

    /// An entry of a map, on each target.
    pub(crate) fn values(&self, map: &str, index: u32) -> Vec<Vec<u8>> {
        let index = index.to_ne_bytes();
        let mut all = vec![self.user.map(map).lookup(&index).expect("read").expect("an entry")];
        all.extend(self.linux.as_ref().map(|linux| linux.map(map).lookup(&index).expect("read").expect("an entry")));
        all
    }

    /// Counters of a map, on each target.
    pub(crate) fn counters(&self, map: &str, index: u32, words: usize) -> Vec<Vec<u64>> {
        let mut all = vec![self.user.counters(map, index, words)];
        all.extend(self.linux.as_ref().map(|linux| linux.counters(map, index, words)));
        all
    }

    /// What programs sent through a ring buffer, on each target.
    pub(crate) fn events(&self, map: &str) -> Vec<Vec<Vec<u8>>> {
        fn of<B: Backend>(side: &Side<B>, map: &str) -> Vec<Vec<u8>> {
            let mut all = Vec::new();
            side.loaded.target().events(side.map(map), &mut |_, bytes| all.push(bytes.to_vec())).expect("events");
            all
        }
        let mut all = vec![of(&self.user, map)];
        all.extend(self.linux.as_ref().map(|linux| of(linux, map)));
        all
    }
}

impl<B: Backend> Side<B> {
    fn check(
        &self,
        which: &str,
        packet: &[u8],
        want: &Want,
        run: impl FnOnce(&[u8]) -> Result<(i32, Vec<u8>), String>,
    ) -> Result<(), String> {
        let before = self.verdicts();
        let ran = run(packet);
        // The kernel has no test run for less than an Ethernet header.
        let (action, bytes) = match ran {
            Err(_) if packet.len() < 14 => return Ok(()),
            other => other.map_err(|e| format!("{which}: {e}"))?,
        };
        let counted: Vec<usize> = self.verdicts().iter().zip(&before).map(|(a, b)| (a - b) as usize).collect();
        let got: Vec<usize> = (0..counted.len()).filter(|at| counted[*at] > 0).collect();
        if got != [want.verdict as usize] {
            return Err(format!("{which}: wanted {:?} ({}), counted {got:?}", want.verdict, want.verdict as u32));
        }
        if action != want.verdict.action() {
            return Err(format!("{which}: action {action}, not {}", want.verdict.action()));
        }
        let expected = match &want.out {
            Some(out) => out.as_slice(),
            None if action == 2 => packet,
            None => return Ok(()),
        };
        if bytes == expected {
            return Ok(());
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Err(format!("{which}: bytes differ\n  wanted {}\n  got    {}", hex(expected), hex(&bytes)))
    }
}
