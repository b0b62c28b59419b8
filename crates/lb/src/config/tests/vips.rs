//! VIPs and their reals: what is taken of them, and what does not go together.

use super::*;
use std::time::Duration;

#[test]
fn everything_has_its_place() {
    let config = Config::read("lb.toml", WHOLE).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.name, "edge");
    assert_eq!(config.limits.slots, 500_000);
    assert_eq!(config.rates, Rates { new_connections: 5000, answers: 1000, sample: 1000 });
    let [web, quic] = &config.vips[..] else { panic!("two VIPs") };
    assert_eq!((web.name.as_str(), quic.name.as_str()), ("web", "[2001:db8::1]:443"));
    assert_eq!(web.check.as_ref().expect("a check").status, [200, 201, 202, 204]);
    assert_eq!((web.drain, web.slow_start), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!((web.slots.slots(), quic.slots.slots()), (4093, 65_537));
    assert_eq!(web.keys().map(|(_, port, _)| port).collect::<Vec<_>>(), [80, 443]);
    assert_eq!(web.reals.iter().map(|real| config.inner_mtu(real)).collect::<Vec<_>>(), [1480, 1452]);
    assert_eq!(web.routes, [Route { from: vec!["198.51.100.0/24".parse().expect("a prefix")], reals: vec![1] }]);
    assert_eq!(quic.reals[0].ids[..], [7]);
}

#[test]
fn exceptions_and_katrans_places() {
    let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"172.16.0.0\"\nspread = 16\n[katran]\nvips = 1024\n\
                [[vip]]\naddress = \"192.0.2.1\"\nport = 443\nprotocol = \"udp\"\nquic = \"katran\"\n\
                real = [{ address = \"10.0.0.1\", id = [7, 0x30007] }]\n\
                [[vip]]\naddress = \"192.0.2.1\"\nprotocol = \"any\"\naction = \"drop\"\n";
    let config = Config::read("lb.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.katran.map(|katran| (katran.ring.slots(), katran.vips)), Some((65_537, 1024)));
    assert_eq!((config.vips[0].table, config.vips[0].slots.slots()), (Table::Katran, 65_537), "[katran] says so");
    assert_eq!((config.vips[1].action, config.spread), (Action::Drop, 16));
    assert_eq!(config.vips[0].reals[0].ids[..], [7, 0x30007]);
    let wrong = |from: &str, to: &str, message: &str| {
        assert!(text.contains(from), "{from}");
        let said = lines(&text.replace(from, to)).join("\n");
        assert!(said.contains(message), "{said}");
    };
    wrong("172.16.0.0", "172.16.1.1", "the last 16 bits of `source` are not free");
    wrong(
        "action = \"drop\"",
        "action = \"host\"\nreal = [{ address = \"10.0.0.1\" }]",
        "not balanced, and it has reals",
    );
    wrong("port = 443", "port = 443\nslots = 4093", "all tables are its rings, of 65537 slots");
    wrong("port = 443", "port = 443\ntable = \"maglev\"", "all tables are its rings");
    wrong("[7, 0x30007]", "[7, 7]", "two reals of the VIP have the id 7");
}

#[test]
fn what_does_not_go_together() {
    let with = |vip: &str| lines(&format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}"));
    for (vip, said) in [
        ("port = 80\nreal = [{ address = \"10.0.0.1\" }]", "packets to `10.0.0.1` need an IPv4 address to come from"),
        ("port = 80\nprotocol = \"icmp\"", "this protocol has no ports"),
        ("port = 80\nquic = \"quic-lb\"", "`quic = \"quic-lb\"` and `quic-server-id` go together"),
        ("port = 80\nquic-server-id = 4", "`quic = \"quic-lb\"` and `quic-server-id` go together"),
        (
            "check = { type = \"tcp\" }\nreal = [{ address = \"10.0.0.1\", forward = \"local\" }]",
            "the check has no port: the VIP takes all of them",
        ),
        ("port = 80\nfragments = \"drop\"", "a fragment has no ports, and the VIP has"),
        (
            "fragments = \"hash\"\nreal = [{ address = \"10.0.0.1\", forward = \"nat\" }]",
            "a fragment has no ports, which are replaced on the way to `10.0.0.1`",
        ),
        ("real = [{ address = \"10.0.0.1\", checksum = true }]", "`checksum` is of `forward = \"gue\"` alone"),
        (
            "protocol = \"udp\"\nquic = \"quic-lb-encrypted\"\nquic-server-id = 4",
            "encrypted connection ids of QUIC are not read here",
        ),
        (
            "protocol = \"udp\"\nquic = \"quic-lb\"\nquic-key = \"00\"\nquic-server-id = 4",
            "encrypted connection ids of QUIC are not read here",
        ),
        ("check = { type = \"exec\" }", "the check lacks `command`"),
        (
            "check = { type = \"exec\", command = [\"true\"], tunnel = true }",
            "`tunnel` is of `type = \"tcp\"` and `type = \"http\"` and `type = \"https\"` and `type = \"dns\"` alone",
        ),
        (
            "port = 80\ncheck = { type = \"tcp\", tunnel = true }\nreal = [{ address = \"10.0.0.1\", forward = \"local\" }]",
            "`10.0.0.1` is checked through the tunnel, and is reached without one",
        ),
        (
            "port = 80\ncheck = { type = \"tcp\", tunnel = true }\nreal = [{ address = \"fc00::1\" }]",
            "checks through the tunnel need an IPv4 address that the reals answer to",
        ),
        ("check = { type = \"http\", ca = \"x\" }", "`ca` is of `type = \"https\"` alone"),
        ("check = { type = \"https\", host = \"a name:80\" }", "expected a name without spaces"),
        ("check = { type = \"https\", host = \"-:80\" }", "no certificate is for such a host"),
        ("check = { type = \"tcp\", host = \"x\" }", "`host` is of `type = \"http\"` and `type = \"https\"` alone"),
        (
            "check = { type = \"https\", verify = false, ca = \"x\" }",
            "certificates are not verified, and `ca` says by what",
        ),
        ("check = { type = \"https\", server-name = \"a b\" }", "`server-name` is not what it should be"),
        ("real = [{ address = \"fc00::1\", forward = \"nat\" }]", "`fc00::1` is of another family than the VIP"),
        (
            "real = [{ address = \"10.0.0.1\", forward = \"local\", port = 1 }]",
            "the port of `10.0.0.1:1` is replaced with",
        ),
        (
            "tcp-id = true\nreal = [{ address = \"10.0.0.1\", forward = \"local\" }]",
            "packets shall name reals, and no real has an `id`",
        ),
        (
            "real = [{ address = \"10.0.0.1\", forward = \"local\" }, { address = \"10.0.0.1\", forward = \"local\" }]",
            "two reals of the VIP are called `10.0.0.1`",
        ),
        ("action = \"drop\"\n[[vip]]\naddress = \"192.0.2.1\"\naction = \"host\"", "two VIPs are 192.0.2.1, tcp"),
    ] {
        let lines = lines_containing(&with(vip), said);
        assert_eq!(lines, 1, "{vip}: {said}\n{:#?}", with(vip));
    }
    // What cannot be read is told alone.
    let encrypted = "protocol = \"udp\"\nquic = \"quic-lb-encrypted\"\nquic-server-id = 4\n\
                     real = [{ address = \"10.0.0.1\", forward = \"local\", id = 7 }]";
    assert_eq!(with(encrypted).len(), 1, "{:#?}", with(encrypted));
    let open = "[balancer]\ndevices = [\"eth0\"]\n[api]\naddress = \"0.0.0.0:9200\"";
    assert!(lines(open)[0].contains("others than this machine may ask here, and nothing says who"));
    let tls = |words: &str| lines(&format!("{open}\n{words}"));
    for (words, said) in [
        // Inside TLS anybody may still come.
        ("certificate = \"c\"\nkey = \"k\"", "others than this machine may ask here, and nothing says who"),
        ("token = \"t\"\ncertificate = \"c\"", "a `certificate` goes with its `key`"),
        ("token = \"t\"\nkey = \"k\"", "a `key` goes with a `certificate`"),
        ("token = \"t\"\nclients = \"c\"", "certificates are shown in TLS alone"),
    ] {
        assert_eq!(lines_containing(&tls(words), said), 1, "{words}: {:#?}", tls(words));
    }
    for words in ["token = \"t\"", "certificate = \"c\"\nkey = \"k\"\nclients = \"a\""] {
        Config::read("lb.toml", &format!("{open}\n{words}")).unwrap_or_else(|faults| panic!("{words}: {faults:#?}"));
    }
    let nowhere = "[balancer]\ndevices = [\"eth0\"]\n[api]\ntoken = \"t\"";
    assert!(lines(nowhere)[0].contains("`token` is for who comes to the `address`, and there is none"));
    assert_eq!(lines("")[0], "lb.toml:1:1: the file lacks a table `[balancer]`");
}

/// What can never work is no configuration, each with what is said of it.
#[test]
fn contradictions_are_refused() {
    let said = |own: &str, vip: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\nsource = [\"10.0.9.2\", \"fc00::9\"]\n{own}\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}\n"
        );
        Config::read("lb.toml", &text).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let real = "real = [{ address = \"10.0.0.1\" }]";
    assert!(said("", real).is_empty(), "{:?}", said("", real));
    for (vip, expected) in [
        ("port = []", "`port` names nothing"),
        ("protocol = [\"tcp\", \"udp\", \"tcp\"]", "`tcp` is named twice"),
        ("name = \"\"", "`name` is not what it should be (expected 1 to 128 bytes"),
        ("name = \"a\\nb\"", "`name` is not what it should be (expected 1 to 128 bytes"),
        ("real = [{ address = \"10.0.0.1\", name = \" a\" }]", "`name` is not what it should be"),
        ("real = [{ address = \"10.0.0.1\", device = \"a b\" }]", "`device` is not what it should be"),
        ("real = [{ address = \"192.0.2.1\" }]", "`192.0.2.1` has the address of the VIP `192.0.2.1`"),
        ("real = [{ address = \"10.0.9.2\" }]", "`10.0.9.2` has an address that is the balancer's own"),
        ("real = [{ address = \"0.0.0.0\" }]", "and this is no address: any of them"),
        ("real = [{ address = \"127.0.0.1\" }]", "and this is a loopback address"),
        ("real = [{ address = \"224.0.0.1\" }]", "and this is a multicast address"),
        ("real = [{ address = \"ff02::1\" }]", "and this is a multicast address"),
        ("real = [{ address = \"255.255.255.255\" }]", "and this is the broadcast address"),
        (
            "real = [{ address = \"10.0.0.1\" }, { address = \"10.0.0.1\", name = \"b\" }]",
            "another real of the VIP has the address of `b`",
        ),
        ("real = [{ address = \"10.0.0.1\", id = 7 }]", "has an id, and the VIP looks for none"),
        (
            "protocol = \"udp\"\nquic = \"quic-lb\"\nquic-server-id = 1\nreal = [{ address = \"10.0.0.1\", id = 256 }]",
            "the id 256 of `10.0.0.1` does not fit",
        ),
        ("protocol = \"udp\"\nmss = true", "`mss` is about TCP, and the VIP takes none of it"),
        ("protocol = \"udp\"\ntcp-id = true\nreal = [{ address = \"10.0.0.1\", id = 7 }]", "`tcp-id` is about TCP"),
        ("quic = \"katran\"\nreal = [{ address = \"10.0.0.1\", id = 7 }]", "`quic` is about UDP"),
        ("idle = \"30s\"", "`idle` is about UDP"),
        ("echo = true", "`echo` is about ICMP"),
        (
            "port = 53\nprotocol = \"udp\"\ncheck = { type = \"tcp\" }",
            "the check `tcp` asks by TCP, at a port of the VIP's, which takes no TCP",
        ),
        (
            "port = 80\ncheck = { type = \"tcp\", interval = \"1s\", timeout = \"2s\" }",
            "a check may take longer (`timeout`, 2s) than it is to the next (`interval`, 1s)",
        ),
        ("check = { type = \"http\", port = 80, status = [99] }", "`status` is not what it should be"),
        ("check = { type = \"http\", port = 80, status = \"299-200\" }", "expected statuses from 100 to 599"),
        ("check = { type = \"tcp\", port = 0 }", "`port` is not what it should be"),
    ] {
        let lines = said("", &if vip.contains("real") { vip.to_owned() } else { format!("{vip}\n{real}") });
        assert_eq!(lines_containing(&lines, expected), 1, "{vip}: {expected}\n{lines:#?}");
        assert_eq!(lines.len(), 1, "{vip}: nothing else is said\n{lines:#?}");
    }
    for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "::1"] {
        let text = format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"{address}\"\naction = \"drop\"");
        assert_eq!(lines_containing(&lines(&text), "an address that packets are routed to"), 1, "{address}");
    }
    assert_eq!(lines("[balancer]\ndevices = []")[0], "lb.toml:2:11: `devices` names nothing");
    // VIPs are read one by one: places in one are not those of the file.
    let text = "[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\n[[vip]]\naddress = \"192.0.2.2\"\nport = []\n";
    assert_eq!(lines_containing(&lines(text), "lb.toml:7:8: `port` names nothing"), 1, "{:#?}", lines(text));
}

/// What a real behind NAT answers to an address and port that is a VIP's goes to that VIP's reals.
#[test]
fn nat_does_not_come_from_where_a_vip_is() {
    let said = |own: &str, first: &str, second: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\nsource = [\"192.0.2.1\", \"2001:db8::1\"]\n{own}\n\
             [[vip]]\naddress = \"192.0.2.1\"\n{first}\n\
             [[vip]]\naddress = \"192.0.2.2\"\nport = 80\n{second}\nreal = [{{ address = \"10.0.0.1\" }}]\n"
        );
        let all = Config::read("lb.toml", &text).err().unwrap_or_default();
        all.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let nat = "forward = \"nat\"";
    for (own, first, second, which) in [
        ("", "action = \"host\"", nat, "takes all ports of it"),
        ("", "port = [80, 8080]\naction = \"drop\"", nat, "takes port 8080 of it"),
        ("nat-ports = [80, 80]", "port = [79, 80]\naction = \"drop\"", nat, "takes port 80 of it"),
        ("", "protocol = \"any\"\naction = \"host\"", nat, "takes all ports of it"),
        ("", "protocol = \"udp\"\naction = \"host\"", "forward = \"nat\"\nprotocol = [\"tcp\", \"udp\"]", "takes all"),
    ] {
        let lines = said(own, first, second);
        assert!(lines.len() == 1 && lines[0].contains(which), "{own}, {first}, {second}: {lines:?}");
        assert!(lines[0].starts_with("lb.toml:"), "{lines:?}");
    }
    for (own, first, second) in [
        // One address is enough where ports are apart.
        ("", "port = [80, 443]\naction = \"drop\"", nat),
        ("nat-ports = [20000, 30000]", "port = 8080\naction = \"drop\"", nat),
        ("", "protocol = \"udp\"\naction = \"host\"", nat),
        ("", "protocol = \"icmp\"\necho = true", nat),
        ("", "action = \"host\"", "forward = \"ip\""),
    ] {
        assert_eq!(said(own, first, second), Vec::<String>::new(), "{own}, {first}, {second}");
    }
}

/// What is right, and gives nobody anything.
#[test]
fn vips_that_drop_all_packets_are_told() {
    let remarks = |vip: &str| {
        let text =
            format!("[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}");
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{vip}: {faults:#?}")).remarks(None)
    };
    assert_eq!(remarks("port = 80"), ["192.0.2.1:80 has no reals: all packets to it are dropped"]);
    let none = "real = [{ address = \"10.0.0.1\", weight = 0 }]\n";
    assert_eq!(remarks(none), ["192.0.2.1 has no real with a weight: all packets to it are dropped"]);
    for vip in [
        "action = \"drop\"".to_owned(),
        "protocol = \"icmp\"\necho = true".to_owned(),
        format!("{none}route = [{{ from = \"10.0.0.0/8\", reals = \"10.0.0.1\" }}]"),
    ] {
        assert!(remarks(&vip).is_empty(), "{vip}");
    }
}

/// No connection of TCP comes to be where each of its packets is somebody else's.
#[test]
fn vips_that_scatter_connections_are_told() {
    let remarks = |vip: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\nhash = \"random\"\n{vip}"
        );
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{vip}: {faults:#?}")).remarks(None)
    };
    let reals = "remember = \"nobody\"\nreal = [{ address = \"10.0.0.1\" }, { address = \"10.0.0.2\" }]";
    let said = "192.0.2.1: each packet of a TCP connection goes to another real, since `hash = \"random\"` and `remember = \"nobody\"`";
    assert_eq!(remarks(reals), [said]);
    assert_eq!(remarks(&format!("protocol = \"any\"\n{reals}")), [said]);
    for vip in [
        format!("protocol = \"udp\"\n{reals}"),
        reals.replace("nobody", "cpu"),
        reals.replace("\"10.0.0.2\"", "\"10.0.0.2\", weight = 0"),
        reals.replace("}", ", id = 7 }").replacen('7', "8", 1) + "\ntcp-id = true",
    ] {
        assert_eq!(remarks(&vip), Vec::<String>::new(), "{vip}");
    }
}

/// What looks odd, and can work.
#[test]
fn what_has_a_reason_is_taken() {
    for vip in [
        "protocol = \"icmp\"\necho = true",
        "action = \"drop\"",
        "real = [{ address = \"127.0.0.1\", forward = \"local\" }]",
        "real = [{ address = \"192.0.2.1\", forward = \"local\" }]",
        "real = [{ address = \"10.0.0.1\", weight = 0 }]\nroute = [{ from = \"10.0.0.0/8\", reals = \"10.0.0.1\" }]",
        "protocol = \"any\"\nmss = true\nreal = [{ address = \"10.0.0.1\" }]",
        "port = 53\nprotocol = \"udp\"\ncheck = { type = \"tcp\", port = 53 }\nreal = [{ address = \"10.0.0.1\" }]",
        "real = [{ address = \"10.0.0.1\", forward = \"nat\", port = 1 }, { address = \"10.0.0.1\", forward = \"nat\", port = 2 }]",
    ] {
        let text =
            format!("[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\n{vip}");
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{vip}: {faults:#?}"));
    }
}

/// What is read VIP by VIP, and the whole, are one configuration; and say the same of what is wrong, with the same places.
#[test]
fn vips_one_by_one_are_those_of_the_whole_file() {
    let head = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n";
    let vip = |last: u8, more: &str| {
        format!("[[vip]]\naddress = \"192.0.2.{last}\"\nport = 80\n{more}\n[[vip.real]]\naddress = \"10.0.0.{last}\"\n")
    };
    let vips = vip(1, "") + "weight = 2\n[vip.check]\ntype = \"tcp\"\n" + &vip(2, "mss = true");
    let between = format!("{head}{}[default]\nslots = 101\n{}[rates]\nsample = 3\n", vip(1, ""), vip(2, ""));
    let faulty = format!("{head}{}{}{}[wrong]\n", vip(1, "colour = 3"), vip(1, "mss = 7"), vip(3, "address = 1"));
    for text in [
        head.to_owned() + &vips,
        between,
        faulty,
        head.to_owned() + &vips + "[[vip]\n",
        head.to_owned() + &vips + "[vip.check]\ntype = \"tcp\"\n",
        format!("vip = []\n{head}{vips}"),
        format!("{head}[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n{vips}"),
        head.to_owned() + "[[vip]]\n[[vip.real]]\naddress = 1\n",
    ] {
        let whole = Config::read_pieces("lb.toml", &text, None, false)
            .map(|(config, _)| config)
            .map_err(|all| format!("{all:#?}"));
        let read = Config::read("lb.toml", &text).map_err(|all| format!("{:#?}", Some(all)));
        assert_eq!(read, whole, "{text}");
        let here = format!("{head}[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n");
        let shared = Config::read_pieces("lb.toml", &here, Some(("etcd", &text)), false)
            .map(|(config, _)| config)
            .map_err(|all| format!("{all:#?}"));
        let read =
            Config::read_shared("lb.toml", &here, Some(("etcd", &text))).map_err(|all| format!("{:#?}", Some(all)));
        assert_eq!(read, shared, "{text}");
    }
}
