//! The kernel is the oracle: the same programs on the same packets, in a router of the test's own with real routes and
//! here. The same bytes must come out, or nothing, and helpers must give the same. Skipped, by name, where that is not
//! permitted.

mod lab;
mod packets;
mod programs;
mod router;

use alveary_abi::{MapType, ProgType};
use alveary_isa::Inst;
use alveary_net::{Host, Lookup, Net, SkBuff, Skb};
use alveary_runtime::{LoadedMap, Prog, Runtime, Trust, World};
use alveary_spec::Program;
use alveary_testing::{Draw, bpf, code, def, kernel, map_spec, program};
use alveary_verifier::{Env, Verdict, check};
use lab::{Lab, TUNNEL_SOURCE};
use std::{collections::BTreeMap, net::Ipv6Addr, sync::Arc};

const IPV4: [u8; 2] = [8, 0];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// The router, as our helpers see it.
struct Router;

impl Host for Router {
    fn has_device(&self, _: u32) -> bool {
        true
    }

    /// Everything goes out by one device, but for table 77, which knows one prefix, and tables that are not there.
    fn route(&self, lookup: &Lookup) -> i64 {
        const EINVAL: i64 = -22;
        const ENETUNREACH: i64 = -101;
        let to = lookup.next_hop.unwrap_or(lookup.destination);
        match lookup.table {
            0 | 254 => 0,
            77 if to.segments()[..2] == [0xfc00, 0x77] => 0,
            77 | 255 => ENETUNREACH,
            _ => EINVAL,
        }
    }

    fn tunnel_source(&self, _: Ipv6Addr) -> Ipv6Addr {
        TUNNEL_SOURCE.parse().expect("an address")
    }
}

struct Ours {
    runtime: Arc<Runtime>,
}

/// What came out of a packet, and what the program left in the map.
type Came = (Vec<Vec<u8>>, u64);

/// The packet went back to where it came from.
struct Back;

impl Ours {
    fn new() -> Ours {
        let runtime =
            Runtime::builder(kernel(1), World::repeatable()).family::<Skb>(Arc::new(Net::new(Router))).build();
        Ours { runtime }
    }

    /// The program twice: proven, as what the kernel accepts must be, and checked.
    fn load(&self, ty: ProgType, text: &str) -> [(Arc<Prog>, LoadedMap); 2] {
        let map = self.runtime.create_map(&map_spec("map", def(MapType::ARRAY, 4, 8, 1))).expect("a map");
        let insns = code(text, |dst, _| Inst::MapIdx { dst, idx: 0 });
        let program = Arc::new(Program { maps: vec!["map".into()], ..program(ty, insns) });
        let proven = self.runtime.load(program.clone(), vec![map.clone()]);
        let proven = proven.unwrap_or_else(|e| panic!("we refuse\n{text}\n{e}"));
        assert!(matches!(proven.trust(), Trust::Proven(_)), "not proven\n{text}\n{:?}", proven.trust());
        let checked = self.runtime.load_unverified(program, vec![map.clone()]);
        [(proven, map.clone()), (checked.unwrap_or_else(|e| panic!("we refuse\n{text}\n{e}")), map)]
    }

    fn run(&self, (prog, map): &(Arc<Prog>, LoadedMap), packet: &[u8]) -> Result<Came, Back> {
        let key = 0u32.to_ne_bytes();
        map.map.write(&key, &[0; 8], 0).expect("an entry");
        let mut result = [0; 8];
        let out = self.forward(prog, packet)?;
        map.map.read(&key, &mut result).expect("an entry");
        Ok((out.into_iter().collect(), u64::from_ne_bytes(result)))
    }

    /// What a router does with the packet, and the program on its way.
    fn forward(&self, prog: &Arc<Prog>, packet: &[u8]) -> Result<Option<Vec<u8>>, Back> {
        let ty = prog.program().ty;
        let leaves = matches!(ty, ProgType::LWT_OUT | ProgType::LWT_XMIT);
        let mut packet = packet.to_vec();
        let ethertype = if packet[0] >> 4 == 6 { IPV6 } else { IPV4 };
        if leaves && !one_hop_less(&mut packet, ethertype) {
            return Ok(None);
        }
        let frame = [&[0; 12], &ethertype[..], &packet].concat();
        let mut buff = SkBuff::new();
        if buff.set_routed(&frame, ty).is_err() {
            return Ok(None);
        }
        let mut cpu = self.runtime.vcpu(0).expect("CPU 0");
        let value = cpu.run::<Skb>(prog, &buff).unwrap_or_else(|trap| panic!("{trap}")).value;
        if buff.leave(ty, value).is_err() {
            return Ok(None);
        }
        let verdict = buff.verdict(&self.runtime.kernel().profile, ty, value);
        let goes_on = match ty {
            ProgType::LWT_SEG6LOCAL => matches!(verdict.code, 0 | 7),
            _ => matches!(verdict.code, 0 | 7 | 128),
        };
        // The way that was found is the packet's, unless the endpoint is to look again.
        let looked = buff.way().filter(|_| verdict.code == 7 || ty == ProgType::LWT_IN);
        // Without a way the packet comes back to the endpoint: nothing that we do.
        if ty == ProgType::LWT_SEG6LOCAL && verdict.code == 7 && looked.is_none() {
            return Err(Back);
        }
        if !goes_on || looked.is_some_and(|way| Router.route(&way) != 0) {
            return Ok(None);
        }
        let wire = buff.to_wire();
        assert_eq!(wire[14..], buff.to_vec(), "the packet stands behind its Ethernet header");
        let mut out = buff.to_vec();
        // Without another route it is forwarded as what it was.
        let stays = ty == ProgType::LWT_IN && verdict.code == 0;
        let lives = leaves || one_hop_less(&mut out, if stays { ethertype } else { [wire[12], wire[13]] });
        Ok(lives.then_some(out))
    }
}

/// What forwarding does to the packet, as one of its protocol; false if its life ends there.
fn one_hop_less(packet: &mut [u8], ethertype: [u8; 2]) -> bool {
    let hops = &mut packet[if ethertype == IPV6 { 7 } else { 8 }];
    if *hops <= 1 {
        return false;
    }
    *hops -= 1;
    if ethertype == IPV6 {
        return true;
    }
    let (sum, carry) = u16::from_be_bytes([packet[10], packet[11]]).overflowing_add(0x100);
    packet[10..12].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    true
}

/// Whether routers send such packets anywhere else than by the default route.
fn ordinary(result: &Came) -> bool {
    result.0.iter().all(|packet| packet[0] >> 4 == 4 || (packet.len() >= 40 && packet[24] == 0xfc))
}

fn compare(what: &str, ty: ProgType, programs: &[String], packets: &[(String, Vec<u8>)]) {
    let Some(lab) = Lab::new(what) else { return };
    let ours = Ours::new();
    let (mut found, mut compared, mut out) = (Vec::new(), 0, 0);
    for text in programs {
        let map = bpf::Map::create(&def(MapType::ARRAY, 4, 8, 1), None).expect("a map");
        let insns = code(text, |dst, _| Inst::MapFd { dst, fd: map.fd() });
        let prog = bpf::Prog::load(ty, &insns).unwrap_or_else(|e| panic!("the kernel refuses\n{text}\n{e}"));
        let programs = ours.load(ty, text);
        let _routes = lab.route(&prog, ty);
        for (name, packet) in packets {
            let key = 0u32.to_ne_bytes();
            map.write(&key, &[0; 8], 0).expect("an entry");
            let came = lab.through(packet);
            let mut result = [0; 8];
            map.read(&key, &mut result).expect("an entry");
            let expected = (came, u64::from_ne_bytes(result));
            for program in &programs {
                let Ok(got) = ours.run(program, packet) else { continue };
                if !ordinary(&got) || !ordinary(&expected) {
                    continue;
                }
                compared += 1;
                out += expected.0.len();
                if got != expected {
                    found.push(difference(text, name, packet, &expected, &got));
                }
            }
        }
    }
    println!("{what}: {compared} packets compared, {out} came out");
    assert!(out * 10 > compared, "hardly a packet came out");
    assert!(found.is_empty(), "{what}: {} differences\n{}", found.len(), found[..found.len().min(24)].join("\n"));
}

fn difference(text: &str, name: &str, packet: &[u8], expected: &Came, got: &Came) -> String {
    let hex = |bytes: &[u8]| bytes.iter().take(140).map(|byte| format!("{byte:02x}")).collect::<String>();
    let told = |result: &Came| {
        let packets = result.0.iter().map(|p| format!("{} bytes {}", p.len(), hex(p))).collect::<Vec<_>>();
        format!("{:#x} {packets:?}", result.1)
    };
    let (kernel, here) = (told(expected), told(got));
    let text = text.lines().collect::<Vec<_>>().join("; ");
    format!("{text}\non `{name}` {} bytes {}\n  kernel: {kernel}\n  here:   {here}\n", packet.len(), hex(packet))
}

fn plain() -> Vec<(String, Vec<u8>)> {
    let data = packets::udp(b"who is it?");
    let six = packets::ipv6(17, &data);
    vec![
        ("udp6".to_owned(), six.clone()),
        ("udp6 with padding".to_owned(), [six.clone(), vec![0; 9]].concat()),
        ("udp6 truncated".to_owned(), six[..50].to_vec()),
        ("segments".to_owned(), packets::all()[0].1.clone()),
        ("udp4".to_owned(), packets::ipv4(&data)),
        ("udp4 with padding".to_owned(), [packets::ipv4(&data), vec![0; 9]].concat()),
        ("udp4 truncated".to_owned(), packets::ipv4(&data)[..30].to_vec()),
    ]
}

#[test]
fn endpoints_do_what_they_do_in_the_kernel() {
    compare("endpoints", ProgType::LWT_SEG6LOCAL, &programs::endpoints(), &packets::all());
}

#[test]
fn random_endpoints_do_what_they_do_in_the_kernel() {
    let mut draw = Draw::new(7);
    let programs = programs::random_endpoints(&mut draw, 150);
    compare("random endpoints", ProgType::LWT_SEG6LOCAL, &programs, &packets::mutants(&mut draw, 60));
}

#[test]
fn incoming_tunnels_do_what_they_do_in_the_kernel() {
    compare("incoming", ProgType::LWT_IN, &programs::incoming(), &plain());
}

#[test]
fn leaving_tunnels_do_what_they_do_in_the_kernel() {
    compare("xmit", ProgType::LWT_XMIT, &programs::leaving(), &plain());
}

#[test]
fn output_tunnels_do_what_they_do_in_the_kernel() {
    let programs = [0, 2, 128, 7, 1, -1].map(|code| programs::Text::new().look().returns(code));
    compare("output", ProgType::LWT_OUT, &programs, &plain());
}

/// The verifier is the other half of it: what Linux takes is proven here, what it refuses is refused.
#[test]
fn the_same_programs_are_taken() {
    if !bpf::permitted("the same programs") {
        return;
    }
    let ours = Ours::new();
    let mut found = Vec::new();
    for ty in [ProgType::LWT_IN, ProgType::LWT_OUT, ProgType::LWT_XMIT, ProgType::LWT_SEG6LOCAL] {
        for text in programs::questionable() {
            let insns = code(&text, |dst, _| Inst::MapIdx { dst, idx: 0 });
            let kernel = bpf::Prog::load(ty, &insns);
            let none = BTreeMap::new();
            let report = check(&program(ty, insns), &Env::new(ours.runtime.kernel(), &none));
            if kernel.is_ok() != (report.verdict == Verdict::Accept) {
                found.push(format!("{ty:?}\n{text}  kernel: {kernel:?}\n  here:   {:?}\n", report.verdict));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}
