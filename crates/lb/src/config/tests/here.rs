//! What this machine lacks, and what may be wrong with it.

use super::*;

#[test]
fn what_a_machine_lacks_is_said_where_it_stands() {
    let folder = std::env::temp_dir().join(format!("alveary-lb-here-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in [("short", "guess me"), ("long", "a-token-of-many-letters")] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let lacks = |text: &str| {
        let text = text.replace("DIR", &folder.display().to_string());
        let (config, places) = Config::read_placed("lb.toml", &text, None).expect("it is right");
        said(config.lacks(&places))
    };
    assert_eq!(
        lacks("[balancer]\ndevices = [\"lo\"]\n[api]\naddress = \"127.0.0.1:1\"\ntoken = \"DIR/long\"\n"),
        Vec::<String>::new()
    );
    let text = "[balancer]\ndevices = [\"lo\", \"none0\"]\n[api]\naddress = \"192.0.2.77:1\"\ntoken = \"DIR/short\"\n\
                certificate = \"DIR/none\"\nkey = \"DIR/none\"\n[metrics]\naddress = \"127.0.0.1:2\"\n\
                [sync]\nlisten = \"192.0.2.77:3\"\npeers = \"192.0.2.78:3\"\nkey = \"DIR/none\"\n\
                [[vip]]\naddress = \"192.0.2.1\"\nport = 443\ncheck = { type = \"https\", ca = \"DIR/none\" }\n\
                real = [{ address = \"10.0.0.1\", forward = \"l2\", device = \"none1\", mac = \"02:00:00:00:00:01\" }]\n";
    assert_eq!(
        lacks(text),
        [
            "2:11 this machine has no network device `none0`",
            "4:11 this machine cannot be asked at `address`",
            "5:9 the token cannot be used",
            "6:15 the API's certificates cannot be used",
            "11:10 this machine cannot be asked at `listen`",
            "13:7 the secret of the peers cannot be used",
            "17:32 the certificates that reals are verified with cannot be used",
            "18:58 this machine has no network device `none1`",
        ]
    );
    // VIPs that are elsewhere ask for files of this machine, too; and so does the way there.
    let local = "[balancer]\ndevices = [\"lo\"]\n[etcd]\nendpoints = [\"https://127.0.0.1:2379\"]\nca = \"/none/ca\"\n";
    let vips = "[[vip]]\naddress = \"192.0.2.1\"\nport = 443\ncheck = { type = \"https\", ca = \"/none/other\" }\n";
    let (config, places) = Config::read_placed("lb.toml", local, Some(("etcd:key", vips))).expect("it is right");
    let lacks = config.lacks(&places);
    let found: Vec<_> = lacks.iter().map(ToString::to_string).collect();
    assert_eq!(
        self::said(lacks),
        [
            "5:6 the certificates for etcd cannot be used",
            "4:32 the certificates that reals are verified with cannot be used"
        ]
    );
    assert!(found[1].starts_with("etcd:key:4:32"), "{found:?}");
    std::fs::remove_dir_all(folder).expect("it is ours");
}

/// What is worth knowing of sources that are not here, and of nothing to balance.
#[test]
fn what_may_be_wrong_is_remarked() {
    let config = |source: &str, forward: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"lo\"]\nsource = \"{source}\"\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
             [[vip.real]]\naddress = \"10.0.0.1\"\nforward = \"{forward}\"\nmac = \"02:00:00:00:00:01\"\n"
        );
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
    };
    let nat = config("192.0.2.77", "nat").foreign();
    assert!(nat.len() == 1 && nat[0].contains("`source` 192.0.2.77") && nat[0].contains("NAT"), "{nat:?}");
    let tunnel = config("192.0.2.77", "ip").foreign();
    assert!(tunnel.len() == 1 && tunnel[0].contains("tunnels"), "{tunnel:?}");
    assert_eq!(config("192.0.2.77", "l2").foreign(), Vec::<String>::new());
    let mut own = config("192.0.2.77", "nat");
    own.sources.v4 = Some(std::net::Ipv4Addr::LOCALHOST);
    assert_eq!(own.foreign(), Vec::<String>::new());
    let none = Config::read("lb.toml", "[balancer]\ndevices = [\"lo\"]\n").expect("it is right");
    assert_eq!(none.remarks(None), ["there are no VIPs ([[vip]]): nothing is balanced"]);
    assert_eq!(own.remarks(None), Vec::<String>::new());
    // The same of those that etcd is to have.
    let here = "[balancer]\ndevices = [\"lo\"]\n[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n";
    let none = Config::read_shared("lb.toml", here, Some(("vips.toml", ""))).expect("it is right");
    assert_eq!(none.remarks(None), ["there are no VIPs ([[vip]]): nothing is balanced"]);
}

#[test]
fn ports_of_the_machines_own_are_told() {
    let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
                real = [{ address = \"10.0.0.1\", forward = \"nat\" }]\n";
    let with = |ports: &str| {
        let text = text.replace("[[vip]]", &format!("{ports}\n[[vip]]"));
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
    };
    let linux = Some((32_768, 60_999));
    assert!(with("").remarks(linux).is_empty(), "the default is not Linux's");
    let odd = with("nat-ports = [60999, 61000]").remarks(linux);
    assert!(odd.len() == 1 && odd[0].contains("60999 to 61000") && odd[0].contains("32768 to 60999"), "{odd:?}");
    assert!(with("nat-ports = [61000, 65535]").remarks(linux).is_empty());
    assert!(with("").remarks(Some((1024, 60_999)))[0].contains("net.ipv4.ip_local_port_range"));
    assert!(with("").remarks(None).is_empty());
    let tunnels = Config::read("lb.toml", &text.replace("\"nat\"", "\"ip\"")).expect("it is right");
    assert!(tunnels.remarks(Some((1, 65_535))).is_empty(), "without NAT it is no matter");
}
