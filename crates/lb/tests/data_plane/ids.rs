//! Reals that packets name themselves.

use crate::{
    packet::{Packet, TCP, UDP, tcp, udp},
    site::{Case, Setup, Site, Verdict, real},
    ways::towards,
};
use alveary_lb::wire::{Real, Service, Way, flag};

const CLIENTS: [(&str, &str); 2] =
    [("203.0.113.5:40000", "192.0.2.10:443"), ("[2001:db8:1::5]:40000", "[2001:db8::10]:443")];

fn ipip(number: u32) -> Real {
    real(number, Way::Ip, &format!("10.1.0.{number}"))
}

/// Services 1 and 2, of both families, whose ring is real 1; ids name real 2.
fn setup(protocol: u8, flags: u32, kind: u8, id: &[u8]) -> Setup {
    // Configuration 0 has ids of 1 byte, 1 of 2 … and 6 of 15.
    let quic = (0..7u32).map(|at| [1, 2, 3, 8, 0, 9, 15][at as usize] << (at * 4)).sum();
    let but = |s: &mut Service| s.quic = quic;
    let mut setup = Setup::default();
    for (_, vip) in CLIENTS {
        setup = setup.service(vip, protocol, flags, &[1]).but(but);
    }
    setup.real(ipip(1)).real(ipip(2)).id(1, kind, id, 2).id(2, kind, id, 2)
}

fn goes(name: String, setup: Setup, packet: &Packet, number: u32) -> Case {
    Case::new(name, setup).becomes(packet, Verdict::Forwarded, towards(packet, &ipip(number)))
}

fn short(id: &[u8]) -> Vec<u8> {
    [&[0x40], id, &[9; 20]].concat()
}

fn long(first: u8, id: &[u8]) -> Vec<u8> {
    [&[first, 0, 0, 0, 1, id.len() as u8], id, &[0; 20]].concat()
}

fn quic(all: &mut Vec<Case>) {
    // Of version 1 sixteen bits begin behind the first two; 2 and 3 have bytes of their own.
    let ids: [(u8, &[u8], [u8; 8]); 3] = [
        (
            1,
            &[0xab, 0xcd],
            [0x40 | 0xab >> 2, ((0xabu16 << 6) as u8) | 0xcd >> 2, (0xcdu16 << 6) as u8 | 5, 1, 2, 3, 4, 5],
        ),
        (2, &[1, 2, 3], [0x80, 1, 2, 3, 7, 7, 7, 7]),
        (3, &[1, 2, 3, 4], [0xc0, 1, 2, 3, 4, 7, 7, 7]),
    ];
    for (client, vip) in CLIENTS {
        let packet = |payload: Vec<u8>| udp(client, vip).with(|p| p.payload = payload);
        for (kind, id, bytes) in ids {
            let name = |what: &str| format!("QUIC to {vip}, version {kind}: {what}");
            let with = |flags| setup(UDP, flags, kind, id);
            let flags = flag::QUIC;
            all.push(goes(name("a short header"), with(flags), &packet(short(&bytes)), 2));
            all.push(goes(name("a handshake"), with(flags), &packet(long(0xe0, &bytes)), 2));
            all.push(goes(name("a retry"), with(flags), &packet(long(0xf0, &bytes)), 2));
            all.push(goes(name("an initial packet"), with(flags), &packet(long(0xc0, &bytes)), 1));
            all.push(goes(name("early data"), with(flags), &packet(long(0xd0, &bytes)), 1));
            // Of the second version types are numbered otherwise (RFC 9369): one further.
            let second = |first: u8| {
                let mut bytes = long(first, &bytes);
                bytes[1..5].copy_from_slice(&[0x6b, 0x33, 0x43, 0xcf]);
                packet(bytes)
            };
            all.push(goes(name("a handshake of QUIC 2"), with(flags), &second(0xf0), 2));
            all.push(goes(name("a retry of QUIC 2"), with(flags), &second(0xc0), 2));
            all.push(goes(name("an initial packet of QUIC 2"), with(flags), &second(0xd0), 1));
            all.push(goes(name("early data of QUIC 2"), with(flags), &second(0xe0), 1));
            all.push(goes(name("an id that is too short"), with(flags), &packet(long(0xe0, &bytes[..7])), 1));
            all.push(goes(
                name("a length that is not there"),
                with(flags),
                &packet(long(0xe0, &bytes)[..13].to_vec()),
                1,
            ));
            all.push(goes(name("a header that is cut"), with(flags), &packet(short(&bytes)[..8].to_vec()), 1));
            all.push(goes(name("nobody's id"), with(flags), &packet(short(&[bytes[0], 99, 99, 99, 99, 0, 0, 0])), 1));
            all.push(goes(name("a service that does not ask"), with(0), &packet(short(&bytes)), 1));
            let others = setup(UDP, flags, 7, id).id(77, kind, id, 2);
            all.push(goes(name("an id of another service"), others, &packet(short(&bytes)), 1));
            let gone = setup(UDP, flags, 7, id).id(1, kind, id, 9).id(2, kind, id, 9);
            all.push(goes(name("an id of a real that is gone"), gone, &packet(short(&bytes)), 1));
        }
        let none = setup(UDP, flag::QUIC, 2, &[1, 2, 3]);
        all.push(goes(format!("QUIC to {vip}, version 0"), none.clone(), &packet(short(&[0, 1, 2, 3, 0, 0, 0, 0])), 1));
        all.push(goes(format!("QUIC to {vip}, nothing inside"), none, &packet(Vec::new()), 1));
        for (configuration, length) in [(0u8, 1usize), (1, 2), (2, 3), (3, 8), (5, 9), (6, 15)] {
            let id: Vec<u8> = (1..=length as u8).collect();
            let bytes = [&[configuration << 5 | 0x11], &id[..], &[7; 12]].concat();
            let name = |what: &str| format!("QUIC-LB to {vip}, configuration {configuration}: {what}");
            let with = || setup(UDP, flag::QUIC_LB, 8 + configuration, &id);
            all.push(goes(name("a short header"), with(), &packet(short(&bytes)), 2));
            let whole = &bytes[..bytes.len().min(20)];
            all.push(goes(name("a handshake"), with(), &packet(long(0xe0, whole)), 2));
            all.push(goes(name("an initial packet"), with(), &packet(long(0xc0, whole)), 1));
            let other = [&[configuration << 5], &vec![99; length][..], &[7; 12]].concat();
            all.push(goes(name("nobody's id"), with(), &packet(short(&other)), 1));
        }
        for configuration in [4u8, 7] {
            let bytes = [configuration << 5, 1, 2, 3, 4, 5, 6, 7];
            let with = setup(UDP, flag::QUIC_LB, 8 + configuration, &[1]);
            let name = format!("QUIC-LB to {vip}, configuration {configuration}, which there is not");
            all.push(goes(name, with, &packet(short(&bytes)), 1));
        }
        let with = setup(UDP, flag::QUIC_LB, 14, &(1..=15).collect::<Vec<u8>>());
        let cut = [&[6 << 5], &(1..=7).collect::<Vec<u8>>()[..]].concat();
        all.push(goes(
            format!("QUIC-LB to {vip}: an id longer than the connection id"),
            with,
            &packet(long(0xe0, &cut)),
            1,
        ));
    }
}

fn options(all: &mut Vec<Case>) {
    let id = [0xb7, 6, 1, 2, 3, 4];
    for (client, vip) in CLIENTS {
        let packet = |options: Vec<u8>| tcp(client, vip).with(|p| p.options = options);
        let mut case = |name: &str, flags, options: Vec<u8>, number| {
            let setup = setup(TCP, flags, 4, &[1, 2, 3, 4]);
            all.push(goes(format!("TCP's option to {vip}: {name}"), setup, &packet(options), number));
        };
        let asks = flag::TCP_ID;
        case("alone", asks, id.to_vec(), 2);
        case("behind no-operations", asks, [&[1, 1], &id[..]].concat(), 2);
        case("behind timestamps", asks, [&[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0], &id[..]].concat(), 2);
        case("at the end", asks, [&[1; 34], &id[..]].concat(), 2);
        case("not asked", 0, id.to_vec(), 1);
        case("behind the end", asks, [&[0], &id[..]].concat(), 1);
        case("of a wrong length", asks, vec![0xb7, 5, 1, 2, 3, 4], 1);
        case("that is cut", asks, [&[1; 36], &id[..4]].concat(), 1);
        case("nobody's", asks, vec![0xb7, 6, 9, 9, 9, 9], 1);
        case("behind an option of length 0", asks, [&[8, 0], &id[..]].concat(), 1);
        case("none", asks, vec![1, 1, 1, 1], 1);
        case("no options at all", asks, vec![], 1);
        let syn = packet(id.to_vec()).syn();
        let setup = setup(TCP, asks, 4, &[1, 2, 3, 4]);
        all.push(goes(format!("TCP's option to {vip}: of a SYN"), setup, &syn, 1));
    }
}

fn stable(all: &mut Vec<Case>) {
    for (client, vip) in CLIENTS {
        let mut case = |name: &str, flags, payload: Vec<u8>, number| {
            let setup = setup(UDP, flags, 5, &[1, 2, 3]);
            let packet = udp(client, vip).with(|p| p.payload = payload);
            all.push(goes(format!("stable routing to {vip}: {name}"), setup, &packet, number));
        };
        let asks = flag::UDP_STABLE;
        case("its header", asks, vec![0x52, 1, 2, 3, 0, 0, 0, 0, 9, 9], 2);
        case("nothing but its header", asks, vec![0x52, 1, 2, 3, 0, 0, 0, 0], 2);
        case("not asked", 0, vec![0x52, 1, 2, 3, 0, 0, 0, 0], 1);
        case("another header", asks, vec![0x53, 1, 2, 3, 0, 0, 0, 0], 1);
        case("a header that is cut", asks, vec![0x52, 1, 2, 3, 0, 0, 0], 1);
        case("nobody's", asks, vec![0x52, 9, 2, 3, 0, 0, 0, 0], 1);
    }
}

/// Where an id led a flow, its packets without one go, too: until another id leads it elsewhere.
fn followed(all: &mut Vec<Case>) {
    let id = |id: [u8; 3]| [&[0x52], &id[..], &[0; 4]].concat();
    for (client, vip) in CLIENTS {
        for (table, more) in [("all CPUs", 0), ("the CPU", flag::NO_GLOBAL), ("nobody", flag::NO_CONNECTIONS)] {
            let setup = setup(UDP, flag::UDP_STABLE | more, 5, &[1, 2, 3]);
            let third = if vip.starts_with('[') { 2 } else { 1 };
            let setup = setup.real(ipip(3)).id(third, 5, &[7, 7, 7], 3);
            let datagram = |payload: Vec<u8>| udp(client, vip).with(|p| p.payload = payload);
            let mut case = Case::new(format!("a flow to {vip} that an id led, remembered by {table}"), setup);
            let stays = more == flag::NO_CONNECTIONS;
            for (payload, number) in [
                (vec![9; 8], 1),
                (id([1, 2, 3]), 2),
                (vec![9; 8], if stays { 1 } else { 2 }),
                (id([9, 9, 9]), if stays { 1 } else { 2 }),
                (id([7, 7, 7]), 3),
                (vec![9; 8], if stays { 1 } else { 3 }),
            ] {
                let packet = datagram(payload);
                case = case.becomes(&packet, Verdict::Forwarded, towards(&packet, &ipip(number)));
            }
            all.push(case);
        }
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    quic(&mut all);
    options(&mut all);
    stable(&mut all);
    followed(&mut all);
    all
}

#[test]
fn packets_name_their_reals() {
    Site::new("ids").run(&cases());
}

/// An id that leads a flow elsewhere moves it; another packet of it is no new connection.
#[test]
fn flows_that_an_id_moves_are_opened_once() {
    let (client, vip) = CLIENTS[0];
    for (table, more) in [("all CPUs", 0), ("the CPU", flag::NO_GLOBAL)] {
        let site = Site::new("opened by an id");
        let setup = setup(UDP, flag::UDP_STABLE | more, 5, &[1, 2, 3]).real(ipip(3)).id(1, 5, &[7, 7, 7], 3);
        let mut case = Case::new("moved", setup);
        for id in [[1, 2, 3], [7, 7, 7], [7, 7, 7]] {
            let packet = udp(client, vip).with(|p| p.payload = [&[0x52], &id[..], &[0; 4]].concat());
            case = case.stays_forwarded(&packet);
        }
        site.run(&[case]);
        for counted in site.counters("vip_counters", 1, 6) {
            assert_eq!((counted[0], counted[4]), (3, 1), "in and opened, remembered by {table}");
        }
    }
}

/// Datagrams that come so late that they are another connection are counted as one: what was in the tables still counted as known.
#[test]
fn a_flow_that_was_idle_is_opened_anew_by_an_id() {
    let (client, vip) = CLIENTS[0];
    for (table, more) in [("all CPUs", 0), ("the CPU", flag::NO_GLOBAL)] {
        let site = Site::new("opened anew by an id");
        let idle = |s: &mut Service| s.idle = 2;
        let flags = flag::UDP_STABLE | more;
        let setup = Setup::default().service(vip, UDP, flags, &[1]).but(idle).real(ipip(1)).real(ipip(2)).real(ipip(3));
        let setup = setup.id(1, 5, &[1, 2, 3], 2).id(1, 5, &[7, 7, 7], 3);
        let to = |id: [u8; 3]| {
            let packet = udp(client, vip).with(|p| p.payload = [&[0x52], &id[..], &[0; 4]].concat());
            Case::new("an id", setup.clone()).stays_forwarded(&packet)
        };
        site.run(&[to([1, 2, 3])]);
        site.age(3);
        site.go_on(&to([7, 7, 7]));
        site.go_on(&to([1, 2, 3]));
        for counted in site.counters("vip_counters", 1, 6) {
            assert_eq!((counted[0], counted[4]), (3, 2), "in and opened, remembered by {table}");
        }
    }
}
