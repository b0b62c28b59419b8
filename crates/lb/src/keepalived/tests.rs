//! What becomes of keepalived's files.

use super::*;
use crate::{
    config::{CheckKind, Forward, Hash, Protocol},
    tls::Trust,
};
use proptest::prelude::*;
use std::time::Duration;

const FILE: &str = r#"! Configuration File for keepalived
global_defs {
   router_id LVS_DEVEL
}

virtual_server 192.0.2.1 443 {
    delay_loop 6
    lb_algo wrr
    lb_kind TUN
    persistence_timeout 50
    protocol TCP
    sorry_server 192.0.2.99 80

    real_server 10.0.0.1 443 {
        weight 3
        SSL_GET {
            url { path / }
            connect_timeout 3
            connect_port 8443
            retry 2
        }
    }
    real_server 10.0.0.2 443
    {
        weight 1
        TCP_CHECK {
            connect_timeout 3
            connect_port 8443
            retry 2
        }
    }
}

virtual_server_group dns {
    192.0.2.53 53
    2001:db8::53 53
}
virtual_server group dns {
    protocol UDP
    lb_kind NAT
    lb_algo lc
    real_server 10.0.0.3 5353 {
        DNS_CHECK { name example.org }
        notify_up "/bin/true"
    }
    real_server fd00::3 5353 { }
}
virtual_server fwmark 3 { }
"#;

/// Files by name, each pattern being one.
struct Shelf(&'static [(&'static str, &'static str)]);

impl Files for Shelf {
    fn matching(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
        let found: Vec<_> = self.0.iter().filter(|(name, _)| *name == pattern).collect();
        if found.is_empty() {
            return Err("there is no such file".into());
        }
        Ok(found.into_iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let found = self.0.iter().find(|(one, _)| *one == name);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is no such file".into())
    }
}

const NONE: Shelf = Shelf(&[]);

fn told() -> Told {
    Told {
        devices: vec!["eth1".into()],
        sources: vec!["10.0.9.2".parse().expect("one"), "fd00::9".parse().expect("one")],
        macs: (1..9).map(|last| (IpAddr::from([10, 0, 0, last]), Mac([2, 0, 0, 0, 0, last]))).collect(),
    }
}

/// What comes of a file: a configuration that is right, and what is said.
fn carried(text: &str) -> (Config, Vec<String>) {
    let imported = import("k.conf", text, &told(), &NONE).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(imported.fill.is_empty(), "{:?}", imported.fill);
    let config =
        Config::read("out.toml", &imported.toml).unwrap_or_else(|faults| panic!("{faults:#?}\n{}", imported.toml));
    (config, imported.left.iter().map(|left| format!("{}: {}", left.at, left.what)).collect())
}

#[test]
fn an_ethernet_address_of_nobody_is_told() {
    let text = "virtual_server 192.0.2.1 80 {\nlb_kind DR\nreal_server 10.0.0.3 80 {\n}\n}\n";
    let told = Told {
        macs: told().macs.into_iter().filter(|(address, _)| *address <= IpAddr::from([10, 0, 0, 4])).collect(),
        ..told()
    };
    let imported = import("k.conf", text, &told, &NONE).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(imported.idle, [1, 2, 4].map(|last| IpAddr::from([10, 0, 0, last])), "{}", imported.toml);
}

/// The same of what stands in one virtual server.
fn server(inside: &str) -> (Config, Vec<String>) {
    carried(&format!("virtual_server 192.0.2.1 80 {{\n{inside}\n}}\n"))
}

#[test]
fn a_file_becomes_one_of_ours() {
    let (config, left) = carried(FILE);
    assert_eq!(config.devices, ["eth1"]);
    let [web, four, six] = &config.vips[..] else { panic!("three VIPs") };
    assert_eq!((web.hash, web.protocols[0]), (Hash::Source, Protocol::Tcp));
    assert_eq!(web.reals.iter().map(|real| real.weight).collect::<Vec<_>>(), [3, 1]);
    assert!(web.reals.iter().all(|real| real.forward == Forward::Ip && real.port.is_none()));
    let check = web.check.as_ref().expect("a check");
    assert_eq!((check.kind, check.path.as_str(), &check.trust), (CheckKind::Https, "/", &Trust::Anybody));
    assert_eq!((check.port, check.fall), (Some(8443), 3));
    assert_eq!((check.interval.as_secs(), check.timeout.as_secs()), (6, 3));
    for vip in [four, six] {
        assert_eq!(
            (vip.protocols[0], vip.reals[0].port, vip.reals[0].forward),
            (Protocol::Udp, Some(5353), Forward::Nat)
        );
        assert_eq!((vip.reals.len(), vip.reals[0].address.is_ipv6()), (1, vip.address.is_ipv6()));
    }
    assert_eq!(four.check.as_ref().map(|check| check.query.as_str()), Some("example.org"));
    assert_eq!(
        left,
        [
            "line 2: `global_defs` is not the balancer's",
            "line 10: a client keeps its server by its address, without a time",
            "line 12: `sorry_server` has nothing that it could become",
            "line 26: a VIP has one check: that of line 16",
            "line 41: `lc` becomes consistent hashing of flows, by weight",
            "line 42: NAT does not get from `2001:db8::53` to `10.0.0.3`, of another family: the server is left out",
            "line 44: `notify_up` has nothing that it could become",
            "line 46: NAT does not get from `192.0.2.53` to `fd00::3`, of another family: the server is left out",
            "line 46: the server has no check, and gets the VIP's: that of line 43",
            "line 48: packets are not told apart by firewall marks",
        ]
    );
}

#[test]
fn ways_are_those_that_are_said() {
    let way = |method: &str| server(&format!("lvs_method {method}\nreal_server 10.0.0.1 80 {{ }}"));
    for (method, forward, port, checksum) in [
        ("NAT", Forward::Nat, 6080, false),
        ("DR", Forward::L2, 6080, false),
        ("TUN", Forward::Ip, 6080, false),
        ("TUN type ipip", Forward::Ip, 6080, false),
        ("TUN type gue port 5555", Forward::Gue, 5555, false),
        ("TUN type gue port 5555 csum", Forward::Gue, 5555, true),
    ] {
        let (config, left) = way(method);
        let real = &config.vips[0].reals[0];
        assert_eq!((real.forward, real.gue_port, real.checksum), (forward, port, checksum), "{method}");
        assert!(left.is_empty(), "{method}: {left:?}");
    }
    // Servers may have ways of their own; what is none leaves its server out, or all of them.
    let two = "lvs_method TUN\nreal_server 10.0.0.1 80 { lvs_method TUN type gre }\nreal_server 10.0.0.2 80 { lvs_method DR }";
    let (config, left) = server(two);
    assert_eq!(config.vips[0].reals.iter().map(|real| real.forward).collect::<Vec<_>>(), [Forward::L2]);
    assert_eq!(left, ["line 3: `TUN type gre` is no way to a server here: the server is left out"]);
    for what in ["lvs_method TUN type gre", "lvs_method TUN type gue port 1 remcsum", "lb_kind", "protocol SCTP"] {
        let text = format!("virtual_server 192.0.2.1 80 {{\n{what}\nreal_server 10.0.0.1 80 {{ }}\n}}\n");
        let faults = import("k.conf", &text, &told(), &NONE).expect_err(what);
        assert_eq!(faults[0].to_string(), "k.conf:1:1: no `virtual_server` can be carried over");
        assert!(faults[0].notes[0].starts_with("line 2: ") && faults[0].notes[0].contains("left out"), "{faults:?}");
    }
}

#[test]
fn statuses_are_numbers_and_ranges() {
    let status = |codes: &str| {
        let (config, left) =
            server(&format!("real_server 10.0.0.1 80 {{\nHTTP_GET {{ url {{\npath /a\nstatus_code {codes}\n}} }}\n}}"));
        (config.vips[0].check.as_ref().expect("a check").status.clone(), left)
    };
    assert_eq!(status("200 204"), (vec![200, 204], vec![]));
    assert_eq!(status("200-202 301"), (vec![200, 201, 202, 301], vec![]));
    let (none, left) = status("20x 700");
    assert!(none.is_empty() && left.len() == 2, "{left:?}");
    assert!(left[0].starts_with("line 5: `20x` is no status"), "{left:?}");
}

#[test]
fn checks_that_there_are_not_are_said() {
    for name in ["SMTP_CHECK", "PING_CHECK", "BFD_CHECK", "UDP_CHECK", "FILE_CHECK"] {
        let (config, left) = server(&format!("real_server 10.0.0.1 80 {{\n{name} {{ retry 1 }}\n}}"));
        assert!(config.vips[0].check.is_none());
        assert_eq!(left, [format!("line 3: `{name}` is no check here: tcp, http, https, dns and exec are")]);
    }
}

/// What keepalived takes and ours would not is said, and becomes what is nearest.
#[test]
fn what_would_be_refused_is_not_written() {
    let (config, left) = server("delay_loop 2\nreal_server 10.0.0.1 80 {\nTCP_CHECK { connect_timeout 5 }\n}");
    let check = config.vips[0].check.as_ref().expect("a check");
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(2), Duration::from_secs(2)));
    assert_eq!(left, ["line 4: a check ends before the next one: its time is \"2s\""]);
    let half = server("delay_loop 0.5\nreal_server 10.0.0.1 80 { TCP_CHECK { } }").0;
    assert_eq!(half.vips[0].check.as_ref().expect("a check").interval, Duration::from_millis(500));
    // A VIP of UDP whose servers are asked by TCP, at their port; one of all ports.
    let udp = server("protocol UDP\nlb_kind TUN\nreal_server 10.0.0.1 80 { TCP_CHECK { } }").0;
    assert_eq!(udp.vips[0].check.as_ref().expect("a check").port, Some(80));
    let all = "virtual_server 192.0.2.1 {\nlb_kind TUN\nreal_server 10.0.0.1 8080 { TCP_CHECK { } }\n}";
    assert_eq!(carried(all).0.vips[0].check.as_ref().expect("a check").port, Some(8080));
    let none = carried("virtual_server 192.0.2.1 {\nlb_kind TUN\nreal_server 10.0.0.1 { TCP_CHECK { } }\n}");
    assert!(none.0.vips[0].check.is_none());
    assert_eq!(none.1, ["line 1: the check of line 3 has no port: the VIP takes all of them"]);
    // Behind NAT each is asked at its own port, as with keepalived; elsewhere all of them at one, which is said.
    let two = "real_server 10.0.0.1 8080 { TCP_CHECK { } }\nreal_server 10.0.0.2 8081 { TCP_CHECK { } }";
    let (config, left) = server(&format!("lb_kind NAT\n{two}"));
    assert_eq!(config.vips[0].check.as_ref().expect("a check").port, None);
    assert_eq!((config.vips[0].reals[1].port, left), (Some(8081), Vec::new()));
    let (config, left) = server(&format!("lb_kind TUN\n{two}"));
    assert_eq!(config.vips[0].check.as_ref().expect("a check").port, Some(8080));
    assert_eq!(left, ["line 1: the servers have several ports, and all of them are checked at 8080"]);
    let all = "virtual_server 192.0.2.1 {\nlb_kind NAT\nreal_server 10.0.0.1 8080 { TCP_CHECK { } }\n}";
    assert_eq!(carried(all).0.vips[0].check.as_ref().expect("a check").port, Some(8080));
    // IPVS leaves packets for its own machine there.
    let own =
        server("lb_kind DR\nreal_server 127.0.0.1 80 { }\nreal_server 10.0.0.1 80 { }\nreal_server 10.0.0.1 81 { }");
    assert_eq!(own.0.vips[0].reals.iter().map(|real| real.forward).collect::<Vec<_>>(), [Forward::Local, Forward::L2]);
    assert_eq!(own.1, ["line 5: the VIP has a server `10.0.0.1` already"]);
    let twice = carried("virtual_server 192.0.2.1 80 {\nreal_server 10.0.0.1 80 { }\n}\n".repeat(2).as_str());
    assert_eq!((twice.0.vips.len(), twice.1.len()), (1, 1), "{:?}", twice.1);
    let rr = server("lb_algo rr\nreal_server 10.0.0.1 80 { weight 7 }\nreal_server 10.0.0.2 80 { weight 0 }").0;
    assert_eq!(
        rr.vips[0].reals.iter().map(|real| real.weight).collect::<Vec<_>>(),
        [1, 0],
        "round robin has no weights"
    );
    assert_eq!(server("lb_algo mh\nreal_server 10.0.0.1 80 { }").0.vips[0].hash, Hash::Source);
    assert_eq!(server("lb_algo mh\nmh-port\nreal_server 10.0.0.1 80 { }").0.vips[0].hash, Hash::Flow);
}

#[test]
fn many_have_room() {
    let vip = |at: usize| {
        let reals: String =
            (1..=7).map(|real| format!("real_server 10.{}.{}.{real} 80 {{ }}\n", at / 200, at % 200)).collect();
        format!("virtual_server 192.0.{}.{} 80 {{\nlb_kind TUN\n{reals}}}\n", at / 200, 1 + at % 200)
    };
    for count in [16, 1100] {
        let (config, left) = carried(&(0..count).map(vip).collect::<String>());
        assert_eq!((config.vips.len(), left.len()), (count, 0));
        assert!(config.vips[0].slots.slots() >= 700, "a hundred for each real");
    }
}

#[test]
fn groups_have_ranges() {
    let group = "virtual_server_group g {\n192.0.2.1-3 80\n2001:db8::1-3 80\nfwmark 7\n}\n";
    let (config, left) =
        carried(&format!("{group}virtual_server group g {{\nlb_kind TUN\nreal_server 10.0.0.1 80 {{ }}\n}}\n"));
    assert_eq!(config.vips.len(), 3);
    assert_eq!(
        left,
        ["line 3: `2001:db8::1-3 80` names no address and port", "line 4: `fwmark 7` names no address and port"]
    );
}

#[test]
fn files_are_included_where_they_are_named() {
    const WEB: &str = "virtual_server 192.0.2.1 80 {\nlb_kind TUN\ninclude reals.conf\n}\n";
    let shelf = Shelf(&[
        ("conf.d/*.conf", WEB),
        ("reals.conf", "real_server 10.0.0.1 80 { weight 2 }\nreal_server 10.0.0.2 80 { inhibit_on_failure }\n"),
    ]);
    let imported =
        import("k.conf", "include conf.d/*.conf\ninclude none.conf\n", &told(), &shelf).expect("it is right");
    let config = Config::read("out.toml", &imported.toml).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.vips[0].reals.iter().map(|real| real.weight).collect::<Vec<_>>(), [2, 1]);
    let left: Vec<String> = imported.left.iter().map(|left| format!("{}: {}", left.at, left.what)).collect();
    assert_eq!(
        left,
        [
            "line 2: `none.conf` is not included: there is no such file",
            "reals.conf, line 2: `inhibit_on_failure` has nothing that it could become",
        ]
    );
    // One that includes itself ends.
    let text = format!("include a\n{WEB}").replace("include reals.conf", "real_server 10.0.0.1 80 { }");
    let imported = import("a", &text, &told(), &Shelf(&[("a", "include a\n")])).expect("it ends");
    assert!(imported.left[0].what.contains("more than 8 deep"), "{:?}", imported.left);
    // One that is cut is told by its own name.
    let faults = import("k.conf", "include a\n", &told(), &Shelf(&[("a", "x {\n")])).expect_err("it is cut");
    assert_eq!(faults[0].to_string(), "a:1:1: a block is not closed: the file is cut");
}

#[test]
fn what_is_cut_or_empty_is_an_error() {
    for (text, said) in [
        ("", "k.conf:1:1: the file has no `virtual_server`"),
        ("! nothing\nvrrp_instance a { interface eth0 }\n", "k.conf:1:1: the file has no `virtual_server`"),
        ("}\na {\n", "k.conf:1:1: `}` closes nothing"),
        ("b\na {\n", "k.conf:2:1: a block is not closed: the file is cut"),
        (&FILE[..FILE.len() / 2], "k.conf:6:1: a block is not closed: the file is cut"),
        ("{ }", "k.conf:1:1: a block of nothing"),
        ("a { } { }", "k.conf:1:1: a block of nothing"),
    ] {
        let faults = import("k.conf", text, &told(), &NONE).expect_err(text);
        assert_eq!(faults[0].to_string(), said);
    }
}

#[test]
fn what_the_file_does_not_say_is_to_be_filled_in() {
    let text = "vrrp_instance a { interface ens3 }\nvirtual_server 192.0.2.1 80 {\nlb_kind DR\nreal_server 10.0.0.1 80 { }\n\
                real_server 10.0.0.2 80 { lvs_method TUN }\n}\nvirtual_server $VIP 80 { }\n@main x 1\n";
    let imported = import("k.conf", text, &Told::default(), &NONE).expect("it is right");
    assert_eq!(
        imported.fill,
        [
            "mac: the Ethernet address of 10.0.0.1 (line 4; `--mac`)",
            "source: an IPv4 address of this machine, where packets to reals come from (`--source`)",
        ]
    );
    assert!(imported.toml.contains("devices = [\"ens3\"]") && imported.toml.contains("# source = [\"192.0.2.2\"]"));
    let left: Vec<String> = imported.left.iter().map(|left| left.what.clone()).collect();
    assert!(left.contains(&"`$VIP 80` is no address and port".to_owned()), "{left:?}");
    assert!(left.iter().any(|what| what.contains("one configuration id alone")), "{left:?}");
    let none = import("k.conf", &text[text.find("virtual_server").expect("one")..], &Told::default(), &NONE)
        .expect("it is right");
    assert!(none.fill.iter().any(|what| what.starts_with("devices: ")), "{:?}", none.fill);
}

proptest! {
    /// Whatever stands there, it is refused, or what comes out is a configuration, but for what is said to be filled in.
    #[test]
    fn nothing_makes_it_panic(cut in 0usize..FILE.len(), len in 0usize..30, with in "[\\PC\n{}\"!# ]{0,16}") {
        let text = format!("{}{with}{}", &FILE[..cut], &FILE[(cut + len).min(FILE.len())..]);
        if let Ok(imported) = import("k.conf", &text, &told(), &NONE) {
            let read = Config::read("out.toml", &imported.toml);
            prop_assert!(read.is_ok() || !imported.fill.is_empty(), "{:#?}\n{}", read, imported.toml);
        }
    }

    #[test]
    fn nor_do_many_braces(depth in 0usize..10_000) {
        drop(import("k.conf", &"a {\n".repeat(depth), &told(), &NONE));
    }
}
